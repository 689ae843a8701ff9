//! Stores of parked events on real servers: MySQL, MariaDB and Kafka do what the one in memory does.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidings::consumer::parked::{
    KafkaParkedOptions, KafkaParkedStore, ParkRequest, ParkedKeyId, ParkedRecord, ParkedStore as _, ParkedTopicError,
    ensure_parked_topic,
};
use tidings::transport::kafka::{KafkaProducer, ProducerOptions, TopicSpec, topics};
use tidings::transport::{Headers, OutgoingRecord, Producer as _, TopicPartition};

use crate::kafka::{LONG, fresh, kafka};
use crate::scenarios;
use crate::scenarios::parked::ParkedStage;
use crate::scenarios::stage::Stage;

async fn on_kafka() -> ParkedStage {
    let topic = fresh("parked");
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let store = || KafkaParkedStore::new(&kafka(), KafkaParkedOptions::new().topic(&topic)).unwrap();
    ParkedStage::new(store(), store())
}

mod mysql {
    use super::*;

    crate::parked_scenarios! { [] (async { ParkedStage::database(Stage::server(&crate::setting("TIDINGS_TEST_DATABASE")).await) }) }
}

mod mariadb {
    use super::*;

    crate::parked_scenarios! {
        [#[ignore = "needs MariaDB: scripts/servers up mariadb"]]
        (async { ParkedStage::database(Stage::server(&crate::setting("TIDINGS_TEST_MARIADB")).await) })
    }
}

mod in_kafka {
    use super::*;

    crate::parked_scenarios! { [] (on_kafka()) }
}

fn key(group: &str, key: &'static [u8]) -> ParkedKeyId {
    let partition = TopicPartition { topic: "accounts".into(), partition: 0 };
    ParkedKeyId { group: group.into(), partition, key: Bytes::from_static(key) }
}

fn event(id: &ParkedKeyId, offset: i64, payload: &'static [u8]) -> ParkedRecord {
    let ParkedKeyId { partition, key, .. } = id.clone();
    let payload = Some(Bytes::from_static(payload));
    ParkedRecord { partition, offset, timestamp_ms: None, key, payload, headers: Headers::new(), cause: None }
}

/// Write to a topic as anybody may.
async fn write(topic: &str, key: Option<&[u8]>, payload: Option<&[u8]>, headers: Headers) {
    let producer = KafkaProducer::new(&kafka(), &ProducerOptions::new()).unwrap();
    let (key, payload) = (key.map(Bytes::copy_from_slice), payload.map(Bytes::copy_from_slice));
    let record = OutgoingRecord { topic: topic.into(), partition: None, key, payload, headers, timestamp_ms: None };
    producer.send(record).await.unwrap();
}

#[tokio::test]
async fn hostile_records_are_ignored_and_counted() {
    let (topic, group) = (fresh("parked"), fresh("boards"));
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let store = KafkaParkedStore::new(&kafka(), KafkaParkedOptions::new().topic(&topic)).unwrap();
    let id = key(&group, b"42");
    store.park(id.group.clone(), event(&id, 5, b"good")).await.unwrap();
    let mut headers = Headers::new();
    headers.push([0xff, 0xfe], None);
    let own = format!(r#"{{"group":"{group}","topic":"accounts","partition":0,"key":"42","offset":5}}"#);
    let spaced = own.replace(',', ", ");
    for (key, payload) in [
        // Compaction takes none without a key; a broker refuses it.
        (&b""[..], Some(&b"x"[..])),
        (b"\xff\xfe", None),
        (b"{\"group\":", Some(b"x")),
        // Written over the event, without what a parked event says.
        (own.as_bytes(), Some(b"spoilt")),
        (spaced.as_bytes(), None),
        (br#"{"group":"g","topic":"t","partition":0,"key":"k","request":true}"#, Some(b"burn it")),
    ] {
        write(&topic, Some(key), payload, headers.clone()).await;
    }
    assert_eq!(store.keys(id.group.clone(), Vec::new()).await.unwrap()[0].records, 1);
    let records = store.records(id, 9).await.unwrap();
    assert_eq!((records.len(), records[0].payload.as_deref(), store.ignored()), (1, Some(&b"good"[..]), 6));
}

#[tokio::test]
async fn an_event_that_somebody_removes_is_left_out_and_holds_nothing_up() {
    let (topic, group) = (fresh("parked"), fresh("boards"));
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let store = KafkaParkedStore::new(&kafka(), KafkaParkedOptions::new().topic(&topic)).unwrap();
    let id = key(&group, b"42");
    for offset in 5..8 {
        store.park(id.group.clone(), event(&id, offset, b"good")).await.unwrap();
    }
    let own = format!(r#"{{"group":"{group}","topic":"accounts","partition":0,"key":"42","offset":6}}"#);
    write(&topic, Some(own.as_bytes()), None, Headers::new()).await;
    let offsets: Vec<_> = store.records(id, 9).await.unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [5, 7]);
}

#[tokio::test]
async fn a_request_that_a_tool_wrote_is_seen() {
    let (topic, group) = (fresh("parked"), fresh("boards"));
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let store = KafkaParkedStore::new(&kafka(), KafkaParkedOptions::new().topic(&topic)).unwrap();
    let id = key(&group, b"42");
    store.park(id.group.clone(), event(&id, 5, b"good")).await.unwrap();
    let request = format!(r#"{{"group":"{group}","topic":"accounts","partition":0,"key":"42","request":true}}"#);
    write(&topic, Some(request.as_bytes()), Some(b"release"), Headers::new()).await;
    assert_eq!(store.keys(id.group.clone(), Vec::new()).await.unwrap()[0].request, Some(ParkRequest::Release));
    assert!(store.request(id.clone(), None).await.unwrap());
    assert_eq!(store.keys(id.group, Vec::new()).await.unwrap()[0].request, None);
}

#[tokio::test]
async fn events_of_two_keys_far_apart_are_read_again_each_in_its_order() {
    let (topic, group) = (fresh("parked"), fresh("boards"));
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let store = KafkaParkedStore::new(&kafka(), KafkaParkedOptions::new().topic(&topic)).unwrap();
    let (sparse, dense) = (key(&group, b"sparse"), key(&group, b"dense"));
    for round in 0..5 {
        store.park(sparse.group.clone(), event(&sparse, round, b"sparse")).await.unwrap();
        let dense =
            (0..700).map(|offset| store.park(dense.group.clone(), event(&dense, round * 700 + offset, b"dense")));
        futures_util::future::try_join_all(dense).await.unwrap();
    }
    let offsets = async |id: &ParkedKeyId, limit| {
        let records = store.records(id.clone(), limit).await.unwrap();
        assert!(records.iter().all(|record| record.payload.as_deref() == Some(&*id.key)));
        records.iter().map(|record| record.offset).collect::<Vec<_>>()
    };
    for _ in 0..3 {
        assert_eq!(offsets(&sparse, 9).await, [0, 1, 2, 3, 4]);
        assert_eq!(offsets(&dense, 10_000).await, (0..3_500).collect::<Vec<_>>());
        assert_eq!(offsets(&sparse, 1).await, [0]);
    }
}

#[tokio::test]
async fn a_topic_made_anew_is_read_from_its_beginning() {
    let (topic, group) = (fresh("parked"), fresh("boards"));
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let options = KafkaParkedOptions::new().topic(&topic).patience(Duration::from_secs(3));
    let store = KafkaParkedStore::new(&kafka(), options).unwrap();
    let id = key(&group, b"42");
    for offset in 0..5 {
        store.park(id.group.clone(), event(&id, offset, b"old")).await.unwrap();
    }
    assert_eq!(store.keys(id.group.clone(), Vec::new()).await.unwrap()[0].records, 5);
    crate::support::scene::delete_topic(&topic).await;
    let failed = store.keys(id.group.clone(), Vec::new()).await;
    ensure_parked_topic(&kafka(), &topic, true, None, LONG).await.unwrap();
    let look = async || match store.keys(Arc::clone(&id.group), Vec::new()).await {
        Ok(keys) if keys.is_empty() => Ok(()),
        other => Err(other),
    };
    crate::support::wait::until(&format!("nothing is parked; while it was away: {failed:?}"), look).await;
}

#[tokio::test]
async fn a_topic_that_would_lose_or_mix_up_what_is_parked_is_refused() {
    let ensure = async |spec: TopicSpec| {
        topics::ensure(&kafka(), std::slice::from_ref(&spec), LONG).await.unwrap();
        ensure_parked_topic(&kafka(), spec.name(), true, None, LONG).await.unwrap_err()
    };
    let error = ensure(TopicSpec::new(fresh("parked"), 3).compaction(true)).await;
    assert!(matches!(error, ParkedTopicError::Partitions { found: 3, .. }), "{error}");
    let error = ensure(TopicSpec::new(fresh("parked"), 1)).await;
    assert!(matches!(&error, ParkedTopicError::Policy { found, .. } if found == "delete"), "{error}");
    let error = ensure_parked_topic(&kafka(), &fresh("parked"), false, None, LONG).await.unwrap_err();
    assert!(error.to_string().contains("does not exist"), "{error}");
}
