//! The publisher on a producer in memory.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::*;
use crate::transport::kafka::KafkaOptions;
use crate::transport::memory::MemoryProducer;
use crate::transport::{OutgoingRecord, ProduceError};
use crate::{Event, Key as _};

#[derive(Serialize, Deserialize)]
struct Renamed {
    user_id: i64,
}

impl Event for Renamed {
    const NAME: &'static str = "accounts.Renamed";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str =
        r#"{"type": "record", "name": "Renamed", "fields": [{"name": "user_id", "type": "long"}]}"#;
    const ENTITY: &'static str = "Account";

    fn key(&self) -> Cow<'_, str> {
        Cow::Owned(self.user_id.to_key().into_owned())
    }
}

/// A publisher, what it writes to, and the kinds of the drops it reports.
async fn publisher(options: PublisherOptions, producer: &MemoryProducer) -> (Publisher, Arc<Mutex<Vec<&'static str>>>) {
    let drops = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&drops);
    let publisher = Publisher::builder(options)
        .producer(Arc::new(producer.clone()))
        .on_drop(move |event| told.lock().push(event.kind))
        .build()
        .await
        .unwrap();
    (publisher, drops)
}

fn refused(record: &OutgoingRecord) -> ProduceError {
    ProduceError::Refused { topic: Arc::clone(&record.topic), reason: "told to".into(), retryable: true }
}

#[tokio::test]
async fn a_failed_send_is_an_error_and_a_reported_drop() {
    let producer = MemoryProducer::new(1);
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    producer.fail_next(1, refused);
    let error = publisher.send(&Renamed { user_id: 1 }, Acks::All).await.unwrap_err();
    assert!(matches!(error, PublishError::NotWritten { event: "accounts.Renamed", .. }), "{error:?}");
    assert_eq!(*drops.lock(), ["refused"]);
    publisher.send(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    assert_eq!((drops.lock().len(), producer.written().len()), (1, 1));
}

#[tokio::test]
async fn an_event_that_kafka_refuses_holds_no_other_back() {
    let producer = MemoryProducer::new(1);
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    producer.fail_next(1, refused);
    let mut pending = Vec::new();
    for user_id in 0..10 {
        pending.push(publisher.enqueue(&Renamed { user_id }, Acks::All).await.unwrap());
    }
    let results = futures_util::future::join_all(pending).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 9);
    assert_eq!((drops.lock().len(), producer.written().len()), (1, 9));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_waited_for() {
    let producer = MemoryProducer::new(1).queue_records(1);
    producer.hold();
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    let first = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    let mut second = Box::pin(publisher.enqueue(&Renamed { user_id: 1 }, Acks::All));
    assert!(second.as_mut().now_or_never().is_none());
    producer.release_next(1);
    let second = second.await.unwrap();
    producer.release();
    assert_eq!((first.await.unwrap().offset(), second.await.unwrap().offset()), (Some(0), Some(1)));
    assert!(drops.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_stays_full_past_the_deadline_drops_the_event() {
    let producer = MemoryProducer::new(1).queue_records(1);
    producer.hold();
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    let _held = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    let error = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await.unwrap_err();
    assert!(matches!(error, PublishError::NotWritten { source: ProduceError::QueueFull { .. }, .. }), "{error:?}");
    assert_eq!(*drops.lock(), ["queue_full"]);
}

#[tokio::test(start_paused = true)]
async fn closing_waits_until_its_deadline_and_says_what_it_threw_away() {
    let producer = MemoryProducer::new(1);
    producer.hold();
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    let pending = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    assert_eq!(publisher.close(Duration::from_secs(5)).await, 1);
    assert!(matches!(pending.await, Err(PublishError::NotWritten { source: ProduceError::Purged { .. }, .. })));
    let late = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await;
    assert!(matches!(late, Err(PublishError::Closed)));
    assert_eq!(*drops.lock(), ["purged", "closed"]);
    assert_eq!(publisher.close(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn what_is_thrown_away_at_the_close_is_reported_before_that_returns() {
    // Port 1 is nobody's, and no receipt is awaited.
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let options = PublisherOptions::new("accounts").kafka(kafka).connect_deadline(Duration::from_millis(100));
    let drops = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&drops);
    let publisher = Publisher::builder(options.check_topic(false))
        .on_drop(move |event| {
            // The client's thread takes its time.
            std::thread::sleep(Duration::from_millis(20));
            told.lock().push((event.id.to_owned(), event.kind));
        })
        .build()
        .await
        .unwrap();
    let mut expected = Vec::new();
    for (user_id, acks) in [(1, Acks::All), (2, Acks::All), (3, Acks::Leader)] {
        let pending = publisher.enqueue(&Renamed { user_id }, acks).await.unwrap();
        expected.push((pending.id().to_string(), "purged"));
    }
    assert_eq!(publisher.close(Duration::from_millis(10)).await, 3);
    let mut dropped = drops.lock().clone();
    dropped.sort();
    expected.sort();
    assert_eq!(dropped, expected);
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_publisher_stops_waiting_for_room_is_a_reported_drop() {
    let producer = MemoryProducer::new(1).queue_records(1);
    producer.hold();
    let (publisher, drops) = publisher(PublisherOptions::new("accounts"), &producer).await;
    let first = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    let waits = publisher.enqueue(&Renamed { user_id: 1 }, Acks::All);
    assert!(tokio::time::timeout(Duration::from_millis(50), waits).await.is_err());
    assert_eq!(*drops.lock(), ["cancelled"]);
    // What was taken goes on, whoever waits for it.
    drop(first);
    assert!(publisher.send(&Renamed { user_id: 1 }, Acks::All).now_or_never().is_none());
    assert_eq!(*drops.lock(), ["cancelled", "cancelled"]);
    producer.release();
    publisher.send(&Renamed { user_id: 1 }, Acks::All).await.unwrap();
    assert_eq!((drops.lock().len(), producer.written().len()), (2, 2));
}

#[derive(Debug, Default)]
struct Recorded(Mutex<Vec<ReadyEvent>>);

impl Recorder for Recorded {
    fn record(
        &self,
        event: ReadyEvent,
        _: Target,
    ) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
        async {
            self.0.lock().push(event);
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn publish_records_the_event_where_the_mode_says_so() {
    let (recorder, producer) = (Arc::new(Recorded::default()), MemoryProducer::new(1));
    let publisher = Publisher::builder(PublisherOptions::new("accounts").mode(DeliveryMode::Outbox))
        .producer(Arc::new(producer.clone()))
        .recorder(Arc::clone(&recorder) as _)
        .build()
        .await
        .unwrap();
    let receipt = publisher.publish(&Renamed { user_id: 7 }).await.unwrap();
    let recorded = recorder.0.lock();
    let envelope = &recorded[0].envelope;
    assert_eq!((envelope.id, &*envelope.key, &*envelope.event), (receipt.id(), "7", "accounts.Renamed"));
    assert_eq!((receipt.partition(), producer.written().len()), (None, 0));
}

#[tokio::test]
async fn a_service_whose_name_cannot_be_a_topic_has_no_publisher() {
    for service in ["", "our accounts"] {
        let error = Publisher::builder(PublisherOptions::new(service)).build().await.unwrap_err();
        assert!(matches!(error, PublisherError::Service { .. }), "{error:?}");
    }
}
