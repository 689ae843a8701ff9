//! The relay: what is committed arrives, in order, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all, ready};
use tidings::database::{Database, Error};
use tidings::outbox::{
    BUCKETS, OutboxLimits, Relay, RelayOptions, Streams, bucket_of, count_streams, health, held_topics, parked,
    parked_streams, raise_epochs, retry_parked, skip_parked, status,
};
use tidings::publisher::{Acks, DeliveryMode};
use tidings::transport::memory::MemoryProducer;
use tidings::transport::{OutgoingRecord, ProduceError, Producer, Written};

use tidings::event::StreamId;

use super::account::AccountRenamed;
use super::stage::{Stage, eventually, position};

async fn publish(database: &Database, id: &str, nickname: &str) {
    let publish = database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new(id, nickname));
        Ok::<_, Error>(())
    });
    publish.await.unwrap();
}

/// The stream of an account.
fn account(id: &str) -> StreamId {
    StreamId::new("accounts", tidings::Stream::new("Account", id))
}

/// Every stream's sequences, in the order they were first published, are 1, 2, 3…
fn assert_in_order(published: &[(String, u64)]) {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (stream, sequence) in published {
        let last = last.entry(stream).or_default();
        assert!(*sequence <= *last + 1, "{stream} {sequence} came after {last}");
        *last = (*last).max(*sequence);
    }
}

pub(crate) async fn records_are_those_of_the_direct_mode_with_a_sequence(stage: &Stage) {
    let direct = stage.publishing(DeliveryMode::Direct { acks: Acks::All }).await;
    publish(&direct, "1", "Kim").await;
    publish(&stage.database, "2", "Kim").await;
    let relay = stage.relay();
    stage.until_published(2).await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked, summary.restarts), (1, 0, 0));
    assert_eq!(stage.outbox_rows().await, 0);

    let written = stage.kafka.written();
    let (direct, relayed) = (&written[0], &written[1]);
    let names = |headers: &tidings::transport::Headers| -> Vec<String> {
        headers.iter().map(|header| String::from_utf8(header.name.to_vec()).unwrap()).collect()
    };
    let mut without_sequence = names(&relayed.headers);
    without_sequence.retain(|name| name != "ce_sequence");
    assert_eq!(without_sequence, names(&direct.headers));
    for name in ["ce_specversion", "ce_source", "ce_type", "ce_schemaversion", "ce_dataschema", "content-type"] {
        assert_eq!(relayed.headers.get(name), direct.headers.get(name), "{name}");
    }
    for name in ["ce_time", "ce_recordedtime", "traceparent"] {
        let length = |headers: &tidings::transport::Headers| headers.get(name).unwrap().len();
        assert_eq!(length(&relayed.headers), length(&direct.headers), "{name}");
    }
    assert_eq!(relayed.headers.get_str("ce_sequence"), Some("00000000000000000001"));
    assert_eq!(relayed.headers.get("ce_streamepoch"), None);
    assert_eq!(relayed.headers.get_str("ce_partitionkey"), Some("2"));
    assert_eq!(relayed.key.as_deref(), Some(&b"2"[..]));
    assert_eq!(relayed.payload.as_ref().map(bytes::Bytes::len), direct.payload.as_ref().map(bytes::Bytes::len));
    let millis = relayed.timestamp_ms.unwrap();
    assert!(relayed.headers.get_str("ce_time").unwrap().contains(&format!(".{:03}", millis % 1_000)));
}

pub(crate) async fn an_epoch_that_is_not_zero_is_a_header(stage: &Stage) {
    publish(&stage.database, "7", "Kim").await;
    stage.execute("DELETE FROM tidings_outbox").await;
    stage.execute("UPDATE tidings_stream SET epoch = 3, sequence = 0").await;
    publish(&stage.database, "7", "Lou").await;
    let relay = stage.relay();
    stage.until_published(1).await;
    relay.shutdown().await.unwrap();
    let headers = &stage.kafka.written()[0].headers;
    assert_eq!(headers.get_str("ce_streamepoch"), Some("3"));
    assert_eq!(headers.get_str("ce_sequence"), Some("00000000000000000001"));
}

pub(crate) async fn a_commit_wakes_the_relay_of_its_process(stage: &Stage) {
    let never = Duration::from_hours(1);
    let kafka = stage.kafka.clone();
    let relay = Relay::new(&stage.database, move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let relay = relay.options(RelayOptions::default().min_poll(never).max_poll(never).idle_poll(never)).spawn();
    eventually("all buckets are owned", async || status(&stage.database).await.unwrap().unowned() == 0).await;
    for event in 1..=5 {
        publish(&stage.database, "7", &event.to_string()).await;
        stage.until_published(event).await;
    }
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
}

pub(crate) async fn a_relay_in_another_process_finds_what_is_committed_here(stage: &Stage) {
    let elsewhere = stage.elsewhere().await;
    let relay = stage.relay_of(&elsewhere);
    publish(&stage.database, "7", "Kim").await;
    stage.until_published(1).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
}

pub(crate) async fn two_relays_share_the_buckets_and_reorder_nothing(stage: &Stage) {
    const WRITERS: usize = 4;
    const EACH: usize = 60;
    let databases = [stage.elsewhere().await, stage.elsewhere().await];
    let first = stage.relay_of(&databases[0]);
    let done = AtomicBool::new(false);
    let write = async {
        let writers = (0..WRITERS).map(|writer| async move {
            for round in 0..EACH {
                // Two streams that all write to, and one of each writer's own.
                let id = [0, 1, writer + 2][round % 3].to_string();
                publish(&stage.database, &id, &format!("{writer}-{round}")).await;
            }
        });
        join_all(writers).await;
        done.store(true, Ordering::Relaxed);
    };
    let join = async {
        stage.until_published(20).await;
        // Another joins in the middle, and takes half of the buckets.
        let second = stage.relay_of(&databases[1]);
        eventually("each relay owns half", async || {
            let owners: Vec<_> =
                status(&stage.database).await.unwrap().buckets.into_iter().map(|bucket| bucket.owner).collect();
            let counts = owners.iter().flatten().fold(BTreeMap::new(), |mut counts, owner| {
                *counts.entry(owner.clone()).or_insert(0) += 1;
                counts
            });
            counts.len() == 2 && counts.values().all(|count| *count == BUCKETS / 2)
        })
        .await;
        second
    };
    let ((), second) = tokio::join!(write, join);
    stage.until_published(WRITERS * EACH).await;
    stage.until_empty().await;
    let (first, second) = (first.shutdown().await.unwrap(), second.shutdown().await.unwrap());
    let published = stage.published();
    assert_in_order(&published);
    assert_eq!(published.iter().collect::<HashSet<_>>().len(), WRITERS * EACH, "nothing is lost");
    assert_eq!(published.len(), WRITERS * EACH, "and nothing repeated, since nobody crashed");
    assert_eq!(first.published + second.published, u64::try_from(WRITERS * EACH).unwrap());
}

pub(crate) async fn what_a_killed_relay_published_and_did_not_delete_is_repeated_with_its_sequence(stage: &Stage) {
    for event in 1..=4 {
        publish(&stage.database, "7", &event.to_string()).await;
    }
    let kafka = stage.kafka.clone();
    kafka.hold();
    let killed = Relay::new(&stage.database, move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let killed = killed.options(RelayOptions::default().lease_ttl(Duration::from_secs(2))).spawn();
    // The first shows that the topic is there.
    eventually("the first is in flight", async || stage.kafka.outstanding() == 1).await;
    stage.kafka.release_next(1);
    eventually("the others are in flight", async || stage.kafka.outstanding() == 3).await;
    eventually("the first is deleted", async || stage.outbox_rows().await == 3).await;
    // Two are acknowledged; the relay is killed before it hears of it. This runs in one thread, so it cannot.
    stage.kafka.release_next(2);
    killed.abort();
    eventually("what is left of it is gone", async || stage.kafka.outstanding() == 1).await;
    stage.kafka.purge();
    stage.kafka.release();
    assert_eq!(stage.outbox_rows().await, 3);

    // The next owner waits until the lease ends.
    let next = stage.relay();
    stage.until_published(6).await;
    stage.until_empty().await;
    next.shutdown().await.unwrap();
    let sequences: Vec<_> = stage.published().into_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 2, 3, 4]);
    let ids: Vec<_> =
        stage.kafka.written().iter().map(|record| record.headers.get("ce_id").unwrap().to_vec()).collect();
    assert_eq!((&ids[1], &ids[2]), (&ids[3], &ids[4]), "a repeat is the same event");
}

pub(crate) async fn a_relay_that_shuts_down_gives_its_buckets_to_the_next_at_once(stage: &Stage) {
    let first = stage.relay();
    publish(&stage.database, "7", "Kim").await;
    stage.until_published(1).await;
    first.shutdown().await.unwrap();
    assert_eq!(status(&stage.database).await.unwrap().unowned(), BUCKETS);
    let epochs = status(&stage.database).await.unwrap().buckets;

    let kafka = stage.kafka.clone();
    let next = Relay::new(&stage.database, move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let next = next.options(RelayOptions::default().lease_ttl(Duration::from_hours(1))).spawn();
    publish(&stage.database, "7", "Lou").await;
    stage.until_published(2).await;
    let taken_over = status(&stage.database).await.unwrap().buckets;
    assert!(epochs.iter().zip(&taken_over).all(|(before, after)| after.epoch == before.epoch + 1));
    next.shutdown().await.unwrap();
}

pub(crate) async fn shutting_down_waits_for_acknowledgements_and_deletes_what_was_acknowledged(stage: &Stage) {
    stage.kafka.hold();
    let relay = stage.relay();
    publish(&stage.database, "7", "Kim").await;
    eventually("it is in flight", async || stage.kafka.outstanding() == 1).await;
    let shutdown = tokio::spawn(relay.shutdown());
    tokio::task::yield_now().await;
    stage.kafka.release();
    let summary = shutdown.await.unwrap().unwrap();
    assert_eq!(summary.published, 1);
    assert_eq!(stage.outbox_rows().await, 0);
}

/// Refuses the records of some keys as a broker does: later, and whoever follows fails until a new producer is made.
#[derive(Debug, Clone)]
struct Picky {
    kafka: MemoryProducer,
    poison: &'static [&'static str],
    failed: Arc<AtomicBool>,
}

impl Producer for Picky {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let key = record.key.as_deref().unwrap_or_default();
        if self.failed.load(Ordering::Relaxed) {
            return Ok(ready(Err(ProduceError::Fatal { reason: "gap".into() })).boxed());
        }
        if self.poison.iter().any(|poison| poison.as_bytes() == key) {
            self.failed.store(true, Ordering::Relaxed);
            let (topic, reason) = (Arc::clone(&record.topic), "invalid record".into());
            return Ok(ready(Err(ProduceError::Refused { topic, reason, retryable: false })).boxed());
        }
        self.kafka.enqueue(record)
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.kafka.flush(deadline)
    }

    fn purge(&self) {
        self.kafka.purge();
    }
}

pub(crate) async fn a_poisoned_row_is_parked_and_the_others_go_on(stage: &Stage) {
    for round in 1..=3 {
        for id in ["1", "poison", "2", "venom", "3"] {
            publish(&stage.database, id, &round.to_string()).await;
        }
    }
    let kafka = stage.kafka.clone();
    let relay = Relay::new(&stage.database, move || -> Arc<dyn Producer> {
        Arc::new(Picky { kafka: kafka.clone(), poison: &["poison", "venom"], failed: Arc::default() })
    });
    let relay = relay.spawn();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!(summary.parked, 6);

    let published = stage.published();
    assert_in_order(&published);
    let good: HashSet<_> = published.into_iter().collect();
    let expected = ["1", "2", "3"].iter().flat_map(|id| (1..=3).map(move |round| (format!("Account/{id}"), round)));
    assert_eq!(good, expected.collect());
    let parked = parked(&stage.database, None, 100).await.unwrap();
    assert_eq!(parked.len(), 6);
    for event in parked {
        let reason = if event.sequence == 1 { "invalid record" } else { "waits behind an earlier event" };
        assert!(event.reason.contains(reason), "{event:?}");
    }
    assert_eq!(status(&stage.database).await.unwrap().parked, 6);
}

/// Knows no topic but one, until the others are created.
#[derive(Debug, Clone)]
struct Lacking {
    kafka: MemoryProducer,
    created: Arc<AtomicBool>,
}

impl Producer for Lacking {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        if &*record.topic != "accounts" && !self.created.load(Ordering::Relaxed) {
            return Ok(ready(Err(ProduceError::UnknownTopic { topic: Arc::clone(&record.topic) })).boxed());
        }
        self.kafka.enqueue(record)
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.kafka.flush(deadline)
    }

    fn purge(&self) {
        self.kafka.purge();
    }
}

/// A row of another source, with a topic of its own.
async fn insert_row(stage: &Stage, source: &str, id: &str, sequence: u64) {
    let (bucket, event_id) = (bucket_of(id), uuid::Uuid::now_v7());
    stage
        .execute(&format!(
            "INSERT INTO tidings_outbox (bucket, event_id, topic, stream, epoch, sequence, partition_key, source, \
             event_type, schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload) \
             VALUES ({bucket}, '{event_id}', '{source}', 'Player/{id}', 0, '{sequence:020}', '{id}', '/{source}', \
             '{source}.Renamed', '1.0.0', '2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z', 'c', 'd', 'p', X'00')"
        ))
        .await;
}

pub(crate) async fn a_topic_that_takes_nothing_holds_back_its_own_events_only_and_is_told_of(stage: &Stage) {
    for sequence in 1..=40 {
        for id in ["1", "2", "3"] {
            insert_row(stage, "players", id, sequence).await;
        }
    }
    let lacking = Lacking { kafka: stage.kafka.clone(), created: Arc::default() };
    let relay = Stage::relay_through(&stage.database, lacking.clone());
    eventually("it is told of", async || held_topics(&stage.database).await.unwrap().len() == 1).await;
    for event in 1..=20 {
        publish(&stage.database, ["1", "2"][event % 2], &event.to_string()).await;
        stage.until_published(event).await;
    }
    eventually("they are deleted", async || stage.outbox_rows().await == 120).await;
    let told = status(&stage.database).await.unwrap();
    assert_eq!((told.rows(), told.parked, told.held_topics[0].topic.as_str()), (120, 0, "players"), "{told:?}");
    let health = health(&stage.database, &OutboxLimits::default()).await;
    assert!(!health.ready && health.reasons.iter().any(|reason| reason.contains("players")), "{health:?}");
    assert!(health.held_topics[0].reason.contains("does not exist"), "{health:?}");

    lacking.created.store(true, Ordering::Relaxed);
    insert_row(stage, "players", "2", 41).await;
    stage.until_empty().await;
    eventually("nothing is held back", async || held_topics(&stage.database).await.unwrap().is_empty()).await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked, summary.restarts), (141, 0, 0));
    assert_in_order(&stage.published());
    assert_eq!(stage.published().len(), 141);
}

pub(crate) async fn a_broker_that_does_not_know_of_a_partition_yet_gets_its_events_later(stage: &Stage) {
    for event in ["one", "two", "three"] {
        publish(&stage.database, "7", event).await;
    }
    stage.kafka.fail_next(2, |record| ProduceError::UnknownPartition { topic: Arc::clone(&record.topic) });
    let relay = stage.relay();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (3, 0));
    assert_in_order(&stage.published());
    assert_eq!(stage.published().len(), 3);
}

pub(crate) async fn streams_of_one_name_of_two_sources_do_not_share_their_fate(stage: &Stage) {
    publish(&stage.database, "poison", "one").await;
    publish(&stage.database, "poison", "two").await;
    let kafka = stage.kafka.clone();
    let relay = Relay::new(&stage.database, move || -> Arc<dyn Producer> {
        Arc::new(Picky { kafka: kafka.clone(), poison: &["poison"], failed: Arc::default() })
    });
    let relay = relay.spawn();
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(status(&stage.database).await.unwrap().parked, 2);

    // Another source's: behind what is parked, were they one stream, and in an order of its own.
    for sequence in [3, 4] {
        stage
            .execute(&format!(
                "INSERT INTO tidings_outbox (bucket, event_id, topic, stream, epoch, sequence, partition_key, source, \
                 event_type, schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload) \
                 VALUES ({}, '00000000-0000-7000-8000-00000000000{sequence}', 'players', 'Account/poison', 0, \
                 '{sequence:020}', 'good', '/players', 'players.Renamed', '1.0.0', '2025-01-01T00:00:00Z', \
                 '2025-01-01T00:00:00Z', 'c', 'd', 'p', X'00')",
                bucket_of("poison"),
            ))
            .await;
    }
    let relay = stage.relay();
    stage.until_published(2).await;
    stage.until_empty().await;
    let theirs = StreamId::new("players", tidings::Stream::new("Account", "poison"));
    assert_eq!(retry_parked(&stage.database, &theirs).await.unwrap().events, 0);
    assert_eq!(skip_parked(&stage.database, &theirs).await.unwrap().skipped, None);
    let ours = parked_streams(&stage.database, 10).await.unwrap();
    assert_eq!((ours.len(), ours[0].events, &ours[0].first.stream), (1, 2, &account("poison")));
    assert_eq!(skip_parked(&stage.database, &account("poison")).await.unwrap().events, 1);
    stage.until_published(3).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    let published = [3, 4, 2].map(|sequence| ("Account/poison".to_owned(), sequence));
    assert_eq!(stage.published(), published);
}

pub(crate) async fn a_row_too_large_for_the_client_is_parked_at_once_and_its_stream_waits_behind_it(stage: &Stage) {
    for event in ["one", "two", "three"] {
        publish(&stage.database, "7", event).await;
    }
    publish(&stage.database, "8", "one").await;
    let relay = Stage::relay_through(&stage.database, Small::new(stage));
    stage.until_empty().await;
    // What comes now follows, and nothing else does.
    publish(&stage.database, "7", "four").await;
    publish(&stage.database, "9", "one").await;
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.parked, summary.restarts), (3, 0));
    let published: HashSet<_> = stage.published().into_iter().collect();
    assert_eq!(published, HashSet::from(["7", "8", "9"].map(|id| (format!("Account/{id}"), 1))));
    let streams = parked_streams(&stage.database, 10).await.unwrap();
    assert_eq!((streams.len(), streams[0].events, streams[0].first.sequence), (1, 3, 2), "{streams:?}");
}

/// What is parked of `Account/7`, published by a relay that can, behind a first relay that could not.
async fn with_parked_events(stage: &Stage, events: u64) {
    let relay = Stage::relay_through(&stage.database, Small::new(stage));
    for event in 1..=events {
        publish(&stage.database, "7", &event.to_string()).await;
    }
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(stage.published(), [("Account/7".to_owned(), 1)]);
}

pub(crate) async fn parked_events_are_put_back_in_order_before_what_came_since(stage: &Stage) {
    // More than are put back at once.
    const EVENTS: u64 = 1_100;
    let relay = Stage::relay_through(&stage.database, Small::new(stage));
    for batch in 0..EVENTS / 100 {
        let publish = stage.database.transaction(async |tx| {
            (0..100).for_each(|event| tx.publish(&AccountRenamed::new("7", &(batch * 100 + event).to_string())));
            Ok::<_, Error>(())
        });
        publish.await.unwrap();
    }
    stage.until_empty().await;
    relay.shutdown().await.unwrap();

    // Another relay, to whom nobody has said that the stream is held back.
    let relay = stage.relay();
    publish(&stage.database, "7", "since").await;
    stage.until_empty().await;
    assert_eq!(stage.published(), [("Account/7".to_owned(), 1)]);
    let stream = account("7");
    let (released, ()) = tokio::join!(retry_parked(&stage.database, &stream), async {
        for event in 0..20 {
            publish(&stage.database, "7", &format!("meanwhile {event}")).await;
        }
    });
    assert!(released.unwrap().events >= EVENTS);
    let all = usize::try_from(EVENTS).unwrap() + 21;
    stage.until_published(all).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    let sequences: Vec<_> = stage.published().into_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences, (1..=u64::try_from(all).unwrap()).collect::<Vec<_>>());
    assert_eq!(parked(&stage.database, None, 10).await.unwrap(), []);
}

pub(crate) async fn parked_events_that_are_put_back_go_before_later_ones_that_nobody_has_read_yet(stage: &Stage) {
    with_parked_events(stage, 4).await;
    // Nobody relays, and the bucket fills up behind two more events of the stream.
    publish(&stage.database, "7", "five").await;
    publish(&stage.database, "7", "six").await;
    for row in 1..=60 {
        insert_row(stage, "players", "7", row).await;
    }
    let released = retry_parked(&stage.database, &account("7")).await.unwrap();
    assert_eq!(released.events, 5);
    // One that reads the outbox in small parts.
    let kafka = stage.kafka.clone();
    let relay = Relay::new(&stage.database, move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let relay = relay.options(RelayOptions::default().fetch_rows(5)).spawn();
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    let published = stage.published();
    let sequences = published.iter().filter(|(stream, _)| stream == "Account/7").map(|(_, sequence)| *sequence);
    assert_eq!(sequences.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

pub(crate) async fn what_is_put_back_and_refused_again_is_parked_again(stage: &Stage) {
    with_parked_events(stage, 4).await;
    let relay = Stage::relay_through(&stage.database, Small::new(stage));
    assert_eq!(retry_parked(&stage.database, &account("7")).await.unwrap().events, 3);
    stage.until_empty().await;
    eventually("all are parked again", async || status(&stage.database).await.unwrap().parked == 3).await;
    relay.shutdown().await.unwrap();
    assert_eq!(stage.published().len(), 1);
}

pub(crate) async fn a_parked_event_that_is_skipped_is_gone_and_the_others_are_published(stage: &Stage) {
    with_parked_events(stage, 4).await;
    let released = skip_parked(&stage.database, &account("7")).await.unwrap();
    assert_eq!((released.events, released.skipped.unwrap().sequence), (2, 2));
    let relay = stage.relay();
    stage.until_published(3).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    let sequences: Vec<_> = stage.published().into_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences, [1, 3, 4]);
    let nothing = skip_parked(&stage.database, &account("7")).await.unwrap();
    assert_eq!((nothing.events, nothing.skipped), (0, None));
}

pub(crate) async fn a_new_epoch_is_above_those_that_a_copy_may_have_forgotten(stage: &Stage) {
    for id in ["1", "2", "3"] {
        publish(&stage.database, id, "before").await;
    }
    let (all, one) = (Streams::All, Streams::Named(vec!["Account/2".to_owned()]));
    let counts = (count_streams(&stage.database, &all).await, count_streams(&stage.database, &one).await);
    assert_eq!((counts.0.unwrap(), counts.1.unwrap()), (3, 1));
    assert_eq!(raise_epochs(&stage.database, &all, None).await.unwrap(), 3);
    let epochs = async || -> Vec<u32> {
        let epochs = stage.texts("SELECT CAST(epoch AS CHAR) FROM tidings_stream ORDER BY stream").await;
        epochs.iter().map(|epoch| epoch.parse().unwrap()).collect()
    };
    let first = epochs().await;
    assert!(first.iter().all(|epoch| *epoch > 1_700_000_000), "{first:?}");
    // At once, again: no stream has an epoch twice.
    raise_epochs(&stage.database, &Streams::Prefixed("Account/".to_owned()), None).await.unwrap();
    assert!(epochs().await.iter().zip(&first).all(|(now, before)| now > before));
    raise_epochs(&stage.database, &one, Some(4_000_000_000)).await.unwrap();
    assert_eq!(epochs().await[1], 4_000_000_000);

    // What waited is published as it was, and then what is new.
    publish(&stage.database, "2", "after").await;
    let relay = stage.relay();
    stage.until_published(4).await;
    relay.shutdown().await.unwrap();
    let written = stage.kafka.written();
    let of_two = written.iter().filter(|record| record.key.as_deref() == Some(&b"2"[..]));
    let places: Vec<_> = of_two
        .map(|record| (record.headers.get_str("ce_streamepoch"), record.headers.get_str("ce_sequence").unwrap()))
        .collect();
    assert_eq!(places, [(None, "00000000000000000001"), (Some("4000000000"), "00000000000000000001")]);
}

pub(crate) async fn a_stream_that_the_copy_does_not_have_begins_in_the_new_epoch(stage: &Stage) {
    let (all, one) = (Streams::All, Streams::Named(vec!["Account/1".to_owned()]));
    publish(&stage.database, "1", "in the copy").await;
    raise_epochs(&stage.database, &one, Some(70)).await.unwrap();
    publish(&stage.database, "2", "one alone has a new epoch").await;
    raise_epochs(&stage.database, &all, Some(80)).await.unwrap();
    for id in ["1", "3"] {
        publish(&stage.database, id, "begun again, maybe").await;
    }
    raise_epochs(&stage.database, &all, Some(80)).await.unwrap();
    publish(&stage.database, "4", "the next").await;
    let column =
        async |column: &str| stage.texts(&format!("SELECT {column} FROM tidings_outbox ORDER BY stream, epoch")).await;
    assert_eq!(column("stream").await, ["1", "1", "2", "3", "4"].map(|id| format!("Account/{id}")));
    assert_eq!(column("CAST(epoch AS CHAR)").await, ["0", "80", "0", "80", "81"]);
    assert!(column("sequence").await.iter().all(|sequence| *sequence == format!("{:020}", 1)));
}

pub(crate) async fn a_commit_wakes_the_relay_of_another_process(stage: &Stage) {
    let never = Duration::from_hours(1);
    let elsewhere = stage.elsewhere().await;
    let kafka = stage.kafka.clone();
    let relay = Relay::new(&elsewhere, move || -> Arc<dyn Producer> { Arc::new(kafka.clone()) });
    let relay = relay.options(RelayOptions::default().min_poll(never).max_poll(never).idle_poll(never)).spawn();
    eventually("all buckets are owned", async || status(&stage.database).await.unwrap().unowned() == 0).await;
    let listed = status(&stage.database).await.unwrap().buckets;
    assert!(listed.iter().all(|bucket| bucket.address.as_deref().unwrap().starts_with("127.0.0.1:")));
    for event in 1..=5 {
        publish(&stage.database, "7", &event.to_string()).await;
        stage.until_published(event).await;
    }
    relay.shutdown().await.unwrap();
    elsewhere.close().await;
}

/// Takes no second record of a stream.
#[derive(Debug, Clone)]
struct Small(MemoryProducer);

impl Small {
    fn new(stage: &Stage) -> Self {
        Self(stage.kafka.clone())
    }
}

impl Producer for Small {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        if record.headers.get_str("ce_sequence") == Some("00000000000000000002") {
            return Err(ProduceError::TooLarge { topic: Arc::clone(&record.topic), bytes: 9 });
        }
        self.0.enqueue(record)
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        self.0.flush(deadline)
    }

    fn purge(&self) {
        self.0.purge();
    }
}

pub(crate) async fn a_producer_that_fails_is_made_again_and_nothing_is_lost_or_reordered(stage: &Stage) {
    for event in 1..=40 {
        publish(&stage.database, ["1", "2"][event % 2], &event.to_string()).await;
    }
    stage.kafka.fail_next(3, |record| ProduceError::Refused {
        topic: Arc::clone(&record.topic),
        reason: "the broker went away".into(),
        retryable: true,
    });
    let relay = stage.relay();
    stage.until_empty().await;
    let summary = relay.shutdown().await.unwrap();
    assert!(summary.restarts >= 1);
    let published = stage.published();
    assert_eq!(published.iter().collect::<HashSet<_>>().len(), 40);
}

pub(crate) async fn a_row_that_somebody_spoilt_is_parked_with_its_stream(stage: &Stage) {
    publish(&stage.database, "7", "one").await;
    publish(&stage.database, "7", "two").await;
    stage.execute("UPDATE tidings_outbox SET occurred_at = 'yesterday' WHERE sequence LIKE '%1'").await;
    let relay = stage.relay();
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(stage.published(), []);
    let parked = parked(&stage.database, Some("Account/7"), 10).await.unwrap();
    assert_eq!(parked.len(), 2);
    assert!(parked[0].reason.contains("occurred_at is 'yesterday'"), "{parked:?}");
}

pub(crate) async fn the_status_tells_of_the_backlog(stage: &Stage) {
    publish(&stage.database, "7", "one").await;
    publish(&stage.database, "7", "two").await;
    let status = status(&stage.database).await.unwrap();
    assert_eq!((status.rows(), status.unowned(), status.parked), (2, BUCKETS, 0));
    assert!(status.oldest().unwrap() < Duration::from_mins(1));
    assert_eq!(status.buckets[usize::from(bucket_of("7"))].rows, 2);
    publish(&stage.database, "8", "three").await;
    let told = health(&stage.database, &OutboxLimits::default()).await.fullest_buckets;
    assert_eq!(
        told.iter().map(|of| (of.bucket, of.rows)).collect::<Vec<_>>(),
        [(bucket_of("7"), 2), (bucket_of("8"), 1)]
    );
}

pub(crate) async fn the_health_tells_of_what_is_parked_and_of_buckets_without_a_relay(stage: &Stage) {
    let limits = OutboxLimits::default();
    let before = health(&stage.database, &limits).await;
    assert_eq!((before.ready, before.unowned_buckets, before.parked), (false, 256, 0), "{before:?}");
    assert_eq!(before.oldest_parked, Duration::ZERO);
    with_parked_events(stage, 4).await;
    stage.execute("UPDATE tidings_outbox_parked SET parked_at = '2025-01-01 00:00:00'").await;
    let relay = stage.relay();
    eventually("all buckets are owned", async || status(&stage.database).await.unwrap().unowned() == 0).await;
    let told = health(&stage.database, &limits).await;
    assert_eq!((told.ready, told.parked, told.rows), (true, 3, 0), "{told:?}");
    assert!(told.oldest_parked > Duration::from_hours(24), "{told:?}");
    let limited = health(&stage.database, &limits.parked(Duration::from_hours(1))).await;
    assert!(!limited.ready && limited.reasons[0].starts_with("3 of its events are parked"), "{limited:?}");
    let json = serde_json::to_value(&limited).unwrap();
    assert_eq!((&json["parked"], json["oldest_parked_seconds"].is_f64()), (&3.into(), true), "{json}");
    relay.shutdown().await.unwrap();
}

pub(crate) async fn a_row_with_a_lower_id_that_appears_later_is_still_published(stage: &Stage) {
    let relay = stage.relay();
    for event in 1..=3 {
        publish(&stage.database, "7", &event.to_string()).await;
    }
    stage.until_published(3).await;
    stage.until_empty().await;
    // What a cursor has passed by: an id below those that were seen, in a bucket that was read.
    stage
        .execute(&format!(
            "INSERT INTO tidings_outbox (bucket, id, event_id, topic, stream, epoch, sequence, partition_key, source, \
             event_type, schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload) \
             VALUES ({}, 1, '00000000-0000-7000-8000-000000000000', 'accounts', 'Account/low', 0, '00000000000000000001', \
             'low', '/accounts', 'accounts.AccountRenamed', '1.0.0', '2025-01-01T00:00:00Z', '2025-01-01T00:00:00Z', 'c', \
             'd', 'p', X'00')",
            bucket_of("low"),
        ))
        .await;
    stage.until_published(4).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    assert_eq!(position(&stage.kafka.written()[3]), ("Account/low".to_owned(), 1));
}
