//! Every metric of the publishing side is told, with a value that is right.

use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(feature = "store")]
use futures_util::FutureExt as _;
use metrics_exporter_prometheus::{PrometheusHandle, PrometheusRecorder};

use super::*;
use crate::database::{Connection, Entity, Saved, Versioned, sqlx};
use crate::outbox::bucket_of;
use crate::publisher::PublishError;
use crate::telemetry::METRICS;
use crate::telemetry::http::prometheus_builder;
use crate::transport::{OutgoingRecord, ProduceError};

/// What a recorder was told.
struct Told(PrometheusHandle);

impl Told {
    /// Have this thread's metrics recorded, until the guard is dropped.
    fn here(recorder: &PrometheusRecorder) -> (Self, ::metrics::LocalRecorderGuard<'_>) {
        (Self(recorder.handle()), ::metrics::set_default_local_recorder(recorder))
    }

    /// The value of the series that begins so, with its labels; none where it was never told.
    fn value(&self, series: &str) -> Option<f64> {
        let text = self.0.render();
        let values = text.lines().filter_map(|line| line.rsplit_once(' '));
        values.into_iter().find(|(name, _)| *name == series).map(|(_, value)| value.parse().unwrap())
    }

    fn is(&self, series: &str, value: f64) -> bool {
        self.value(series).is_some_and(|told| (told - value).abs() < f64::EPSILON)
    }

    #[track_caller]
    fn assert_is(&self, series: &str, value: f64) {
        assert!(self.is(series, value), "{series} is not {value} in\n{}", self.0.render());
    }

    async fn until(&self, series: &str, value: f64) {
        eventually(&format!("{series} is {value}"), async || self.is(series, value)).await;
    }

    /// Every metric whose name begins with one of `parts` was told.
    #[track_caller]
    fn assert_all(&self, parts: &[&str]) {
        let text = self.0.render();
        for metric in METRICS.iter().filter(|metric| parts.iter().any(|part| metric.name.starts_with(part))) {
            let name = format!("# TYPE {} ", metric.prometheus_name());
            assert!(text.contains(&name), "{} was not told:\n{text}", metric.name);
        }
    }
}

fn recorder() -> PrometheusRecorder {
    let recorder = prometheus_builder().unwrap().build_recorder();
    ::metrics::with_local_recorder(&recorder, crate::telemetry::describe);
    recorder
}

fn refused(record: &OutgoingRecord, retryable: bool) -> ProduceError {
    ProduceError::Refused { topic: Arc::clone(&record.topic), reason: "told to".into(), retryable }
}

#[tokio::test]
async fn a_publisher_tells_what_it_sent_how_long_it_took_and_what_it_dropped() {
    let recorder = recorder();
    let (told, _recording) = Told::here(&recorder);
    let kafka = MemoryProducer::new(1);
    let publisher = publisher(&kafka, DIRECT).await;
    for _ in 0..3 {
        publisher.publish(&renamed()).await.unwrap();
    }
    kafka.fail_next(2, |record| refused(record, true));
    for _ in 0..2 {
        publisher.publish(&renamed()).await.unwrap_err();
    }
    publisher.close(Duration::ZERO).await;
    assert!(matches!(publisher.publish(&renamed()).await, Err(PublishError::Closed)));

    let labels = r#"messaging_system="kafka",messaging_operation_name="send",messaging_destination_name="accounts""#;
    let sent = "messaging_client_sent_messages_total";
    told.assert_is(&format!("{sent}{{{labels}}}"), 3.0);
    told.assert_is(&format!(r#"{sent}{{{labels},error_type="refused"}}"#), 2.0);
    let duration = "messaging_client_operation_duration_seconds";
    told.assert_is(&format!("{duration}_count{{{labels}}}"), 5.0);
    let took = told.value(&format!("{duration}_sum{{{labels}}}")).unwrap();
    assert!(took > 0.0 && took < 60.0, "{took}");
    let dropped = r#"tidings_publisher_dropped_events_total{messaging_destination_name="accounts",error_type"#;
    told.assert_is(&format!(r#"{dropped}="refused"}}"#), 2.0);
    told.assert_is(&format!(r#"{dropped}="closed"}}"#), 1.0);
    told.assert_all(&["messaging.client.sent", "messaging.client.operation", "tidings.publisher."]);
}

#[tokio::test]
async fn a_relay_tells_of_its_buckets_its_backlog_and_what_became_of_it() {
    let recorder = recorder();
    let (told, _recording) = Told::here(&recorder);
    let kafka = MemoryProducer::new(1);
    let database = database(&kafka).await;
    kafka.hold();
    let relay = relay(&database, &kafka);
    told.until("tidings_outbox_buckets_owned", 256.0).await;
    told.until("tidings_outbox_buckets_unowned", 0.0).await;
    for _ in 0..3 {
        publish(&database).await;
    }
    let of_bucket = format!(r#"tidings_outbox_bucket_rows{{tidings_bucket="{}"}}"#, bucket_of("42"));
    told.until("tidings_outbox_backlog", 3.0).await;
    told.until(&of_bucket, 3.0).await;
    let age = "tidings_outbox_oldest_age_seconds";
    eventually("the oldest row has an age", async || told.value(age).is_some_and(|age| age > 0.0 && age < 60.0)).await;
    kafka.release();
    told.until("tidings_outbox_published_events_total", 3.0).await;
    told.until("tidings_outbox_backlog", 0.0).await;
    told.until(&of_bucket, 0.0).await;
    told.until(age, 0.0).await;

    // It begins again from the table, is refused once more, alone, and parks what is refused.
    kafka.fail_next(2, |record| refused(record, false));
    publish(&database).await;
    told.until("tidings_outbox_parked_backlog", 1.0).await;
    told.assert_is("tidings_outbox_parked_events_total", 1.0);
    told.assert_is(r#"tidings_outbox_relay_restarts_total{error_type="refused"}"#, 1.0);
    let age = "tidings_outbox_parked_oldest_age_seconds";
    eventually("it has an age", async || told.value(age).is_some_and(|age| age > 0.0 && age < 60.0)).await;

    // One of another stream: behind a parked event its own stream waits.
    kafka.fail_next(1, |record| ProduceError::UnknownTopic { topic: Arc::clone(&record.topic) });
    publish_of(&database, "43").await;
    told.until("tidings_outbox_held_topics", 1.0).await;
    told.until("tidings_outbox_published_events_total", 4.0).await;
    told.until("tidings_outbox_held_topics", 0.0).await;
    relay.shutdown().await.unwrap();
    told.assert_all(&["tidings.outbox."]);
}

/// An entity that others were first to save, as often as it says.
#[derive(Clone)]
struct Contested(Arc<AtomicU32>);

impl Entity for Contested {
    type Key = str;

    fn key(&self) -> &'static str {
        "42"
    }

    async fn load(_: Connection<'_>, _: &str) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        Ok(None)
    }

    async fn save(&self, _: Connection<'_>, _: Option<u64>) -> Result<Saved, sqlx::Error> {
        let was_first =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1)).is_err();
        Ok(Saved::if_one_row(u64::from(was_first)))
    }
}

#[tokio::test]
async fn transactions_that_run_again_are_told() {
    let recorder = recorder();
    let (told, _recording) = Told::here(&recorder);
    let database = database(&MemoryProducer::new(1)).await;
    let contested = Contested(Arc::new(AtomicU32::new(2)));
    let saved = database.atomically("42", async |tx, _: Option<Contested>| {
        tx.save(&contested);
        Ok::<_, Error>(())
    });
    saved.await.unwrap();
    told.assert_is("tidings_database_transaction_retries_total", 2.0);
    told.assert_all(&["tidings.database."]);
}

#[cfg(feature = "store")]
#[tokio::test]
async fn a_store_tells_what_it_took_what_it_refused_and_what_waits() {
    use crate::publisher::ReadyEvent;
    use crate::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, StoreError, StoreOptions};

    let recorder = recorder();
    let (told, _recording) = Told::here(&recorder);
    let kafka = MemoryProducer::new(1);
    let database = database(&kafka).await;
    DatabaseStore::migrate(&database).await.unwrap();
    let store = DatabaseStore::open(&database, StoreOptions::default().max_queued_events(3)).await.unwrap();
    let publisher = publisher(&kafka, DeliveryMode::Store).await;
    let event = async || -> ReadyEvent { publisher.ready(publisher.prepare(&renamed()).unwrap()).await.unwrap() };

    let both = [event().await, event().await];
    store.append(Append::new(both, ExpectedVersion::None)).await.unwrap();
    told.assert_is("tidings_store_appended_events_total", 2.0);
    told.until("tidings_store_position", 2.0).await;
    let refused = store.append(Append::new([event().await], ExpectedVersion::None)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    told.assert_is(r#"tidings_store_refusals_total{error_type="wrong_version"}"#, 1.0);

    let three = [event().await, event().await, event().await];
    let waiting = store.append(Append::new(three, ExpectedVersion::Any));
    let mut waiting = std::pin::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    told.assert_is("tidings_store_queued_events", 3.0);
    let refused = store.append(Append::new([event().await], ExpectedVersion::Any)).await;
    assert!(matches!(refused, Err(StoreError::Overloaded)), "{refused:?}");
    told.assert_is("tidings_store_overloaded_requests_total", 1.0);
    waiting.await.unwrap();
    told.until("tidings_store_queued_events", 0.0).await;

    // As if another replica were always first.
    let first = "CREATE TABLE first (id INT PRIMARY KEY); INSERT INTO first VALUES (1); \
                 CREATE TRIGGER first BEFORE INSERT ON tidings_store_event BEGIN INSERT INTO first VALUES (1); END";
    sqlx::raw_sql(first).execute(database.sqlite_pool().unwrap()).await.unwrap();
    let failed = store.append(Append::new([event().await], ExpectedVersion::Any)).await;
    assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    told.assert_is("tidings_store_transaction_retries_total", 9.0);
    told.assert_is("tidings_store_appended_events_total", 5.0);
    told.assert_all(&["tidings.store."]);
    store.close().await;
}
