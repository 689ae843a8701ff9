//! The producer, record by record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tidings::transport::kafka::{EmbeddedCluster, KafkaOptions, KafkaProducer, ProducerOptions};
use tidings::transport::{
    Acks, DeliveryObserver, Headers, OutgoingRecord, ProduceError, Producer as _, Written, murmur2,
};

use crate::reader::read;

const LONG: Duration = Duration::from_secs(30);

fn record(topic: &str, key: &str) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.into(),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        payload: Some(Bytes::from_static(b"payload")),
        headers: Headers::new(),
        timestamp_ms: None,
    }
}

fn cluster(topic: &str, partitions: u32) -> (EmbeddedCluster, KafkaOptions) {
    let cluster = EmbeddedCluster::start(1).unwrap();
    cluster.create_topic(topic, partitions).unwrap();
    let kafka = KafkaOptions::new(cluster.brokers());
    (cluster, kafka)
}

#[tokio::test]
async fn a_stranger_reads_key_payload_headers_and_time_as_they_were_given() {
    let (cluster, kafka) = cluster("accounts", 12);
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new()).unwrap();
    let mut headers = Headers::new();
    headers.push_str("ce_type", "accounts.NicknameChanged");
    headers.push("raw", Some(&[0, 159, 146, 150]));
    headers.push("null", None);
    headers.push("empty", Some(b""));
    headers.push_str("ce_type", "again");
    let outgoing = OutgoingRecord { headers, timestamp_ms: Some(1_700_000_000_123), ..record("accounts", "foobar") };
    let written = producer.send(outgoing).await.unwrap();

    let partition = i32::try_from(murmur2::partition(b"foobar", 12)).unwrap();
    assert_eq!(written, Written { partition, offset: Some(0) });
    let seen = &read(cluster.brokers(), "accounts", 12, 1)[0];
    assert_eq!((seen.partition, seen.offset), (partition, 0));
    assert_eq!(seen.key.as_deref(), Some(&b"foobar"[..]));
    assert_eq!(seen.payload.as_deref(), Some(&b"payload"[..]));
    assert_eq!(seen.timestamp_ms, Some(1_700_000_000_123));
    let expected = [
        ("ce_type".to_owned(), Some(b"accounts.NicknameChanged".to_vec())),
        ("raw".to_owned(), Some(vec![0, 159, 146, 150])),
        ("null".to_owned(), None),
        ("empty".to_owned(), Some(Vec::new())),
        ("ce_type".to_owned(), Some(b"again".to_vec())),
    ];
    assert_eq!(seen.headers, expected);
}

#[tokio::test]
async fn every_key_goes_where_javas_murmur2_sends_it() {
    let (_cluster, kafka) = cluster("accounts", 7);
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new()).unwrap();
    for key in ["21", "foobar", "a-little-bit-long-string", "1", "", "é", "469000000"] {
        let written = producer.send(record("accounts", key)).await.unwrap();
        let expected = murmur2::partition(key.as_bytes(), 7);
        assert_eq!(u32::try_from(written.partition).unwrap(), expected, "{key:?}");
    }
}

#[tokio::test]
async fn records_of_one_key_keep_their_order_through_a_full_pipeline() {
    let (cluster, kafka) = cluster("accounts", 1);
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new()).unwrap();
    let sends: Vec<_> = (0..2_000)
        .map(|index| {
            let payload = Some(Bytes::from(format!("{index}")));
            producer.send(OutgoingRecord { payload, ..record("accounts", "1") })
        })
        .collect();
    assert_eq!(producer.flush(LONG).await, 0);
    for (index, send) in sends.into_iter().enumerate() {
        assert_eq!(send.await.unwrap().offset, Some(i64::try_from(index).unwrap()));
    }
    for (index, seen) in read(cluster.brokers(), "accounts", 1, 2_000).into_iter().enumerate() {
        assert_eq!(seen.payload, Some(format!("{index}").into_bytes()));
    }
}

#[tokio::test]
async fn acks_from_none_resolve_without_an_offset() {
    let (cluster, kafka) = cluster("accounts", 1);
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new().acks(Acks::None)).unwrap();
    let written = producer.send(record("accounts", "1")).await.unwrap();
    assert_eq!(written, Written { partition: 0, offset: None });
    assert_eq!(read(cluster.brokers(), "accounts", 1, 1).len(), 1);
}

#[tokio::test]
async fn a_full_queue_is_told_at_once() {
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let options = ProducerOptions::new().queue_records(2);
    let producer = KafkaProducer::new(&kafka, &options).unwrap();
    let _first = producer.send(record("accounts", "1"));
    let _second = producer.send(record("accounts", "1"));
    assert!(matches!(producer.send(record("accounts", "1")).await, Err(ProduceError::QueueFull { .. })));
    assert_eq!(producer.outstanding(), 2);
}

#[tokio::test]
async fn a_purge_resolves_what_waits_and_a_dropped_producer_purges() {
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new()).unwrap();
    let purged = producer.send(record("accounts", "1"));
    producer.purge();
    assert!(matches!(purged.await, Err(ProduceError::Purged { .. })));
    let abandoned = producer.send(record("accounts", "1"));
    drop(producer);
    assert!(matches!(abandoned.await, Err(ProduceError::Purged { .. })));
}

#[tokio::test]
async fn brokers_that_are_away_are_named_when_the_time_is_over() {
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let options = ProducerOptions::new().delivery_timeout(Duration::from_millis(300));
    let error = KafkaProducer::new(&kafka, &options).unwrap().send(record("accounts", "1")).await.unwrap_err();
    assert!(matches!(error, ProduceError::Refused { retryable: true, .. }), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn an_unknown_partition_a_large_record_and_hostile_values_are_refused_without_a_panic() {
    let (_cluster, kafka) = cluster("accounts", 1);
    let producer = KafkaProducer::new(&kafka, &ProducerOptions::new()).unwrap();
    producer.send(record("accounts", "1")).await.unwrap();

    let error = producer.send(OutgoingRecord { partition: Some(9), ..record("accounts", "1") }).await.unwrap_err();
    assert!(matches!(error, ProduceError::UnknownPartition { .. }), "{error:?}");
    let payload = Some(Bytes::from(vec![0; 1_100_000]));
    let error = producer.send(OutgoingRecord { payload, ..record("accounts", "1") }).await.unwrap_err();
    assert!(matches!(error, ProduceError::TooLarge { bytes: 1_100_000.., .. }), "{error:?}");
    let hostile = ["", "a\0b", "a b/../c", &"x".repeat(300)].map(|topic| producer.send(record(topic, "1")));
    for result in join_all(hostile).await {
        assert!(!result.unwrap_err().to_string().is_empty());
    }
    let error = producer.send(OutgoingRecord { partition: Some(i32::MIN), ..record("accounts", "1") }).await;
    assert!(error.is_err(), "{error:?}");
}

#[tokio::test]
async fn a_flush_does_not_wait_for_lingering_records() {
    let (_cluster, kafka) = cluster("accounts", 1);
    let options = ProducerOptions::new().linger(Duration::from_mins(10)).delivery_timeout(Duration::from_mins(15));
    let producer = KafkaProducer::new(&kafka, &options).unwrap();
    let sent = producer.send(record("accounts", "1"));
    assert_eq!(producer.flush(LONG).await, 0);
    assert_eq!(sent.await.unwrap().offset, Some(0));
}

#[tokio::test]
async fn header_names_that_are_no_text_are_taken_and_reported() {
    let (_cluster, kafka) = cluster("accounts", 1);
    let told = Arc::new(Names::default());
    let producer = KafkaProducer::observed(&kafka, &ProducerOptions::new(), Some(Arc::clone(&told) as _)).unwrap();
    let mut headers = Headers::new();
    headers.push([0xff, 0xfe], Some(b"x"));
    headers.push("", Some(b"no name"));
    headers.push("a\0b", Some(b"zero"));
    producer.send(OutgoingRecord { headers: headers.clone(), ..record("accounts", "1") }).await.unwrap();
    producer.send(OutgoingRecord { headers, ..record("nowhere", "1") }).await.unwrap_err();
    assert_eq!(told.0.lock()[0], [0xff, 0xfe]);
}

#[derive(Default)]
struct Names(Mutex<Vec<Vec<u8>>>);

impl DeliveryObserver for Names {
    fn written(&self, _: &str) {}

    fn failed(&self, _: &str, headers: &Headers, _: &ProduceError) {
        self.0.lock().extend(headers.iter().map(|header| header.name.to_vec()));
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl DeliveryObserver for Told {
    fn written(&self, topic: &str) {
        self.0.lock().push(format!("written {topic}"));
    }

    fn failed(&self, topic: &str, headers: &Headers, error: &ProduceError) {
        let id = headers.get_str("ce_id").unwrap_or_default();
        self.0.lock().push(format!("failed {topic} {id} {}", error.kind()));
        panic!("a panicking observer must not stop the others' acknowledgements");
    }
}

#[tokio::test]
async fn the_observer_is_told_of_records_nobody_awaits() {
    let (_cluster, kafka) = cluster("accounts", 1);
    let told = Arc::new(Told::default());
    let producer = KafkaProducer::observed(&kafka, &ProducerOptions::new(), Some(Arc::clone(&told) as _)).unwrap();
    drop(producer.send(record("accounts", "1")));
    assert_eq!(producer.flush(LONG).await, 0);
    let mut headers = Headers::new();
    headers.push_str("ce_id", "event-1");
    drop(producer.send(OutgoingRecord { headers, ..record("nowhere", "1") }));
    drop(producer.send(record("nowhere", "2")));
    assert_eq!(producer.flush(LONG).await, 0);
    let told = told.0.lock();
    assert_eq!(*told, ["written accounts", "failed nowhere event-1 unknown_topic", "failed nowhere  unknown_topic"]);
}
