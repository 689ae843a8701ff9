//! The publisher, event by event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use tidings::causality::Causality;
use tidings::clock::ManualClock;
use tidings::publisher::{Acks, DeliveryMode, PublishError, Publisher, PublisherError, PublisherOptions, Receipt};
use tidings::transport::kafka::{EmbeddedCluster, KafkaOptions, TopicError, TopicSpec};

use crate::events::NicknameChanged;
use crate::reader::read;

fn cluster(partitions: u32) -> (EmbeddedCluster, PublisherOptions) {
    let cluster = EmbeddedCluster::start(1).unwrap();
    cluster.create_topic("accounts", partitions).unwrap();
    let options = PublisherOptions::new("accounts").kafka(KafkaOptions::new(cluster.brokers()));
    (cluster, options)
}

#[tokio::test]
async fn an_event_carries_every_header_but_a_sequence() {
    let (cluster, options) = cluster(3);
    let now: DateTime<Utc> = "2026-03-01T12:00:00.000123Z".parse().unwrap();
    let publisher = Publisher::builder(options).clock(Arc::new(ManualClock::new(now))).build().await.unwrap();
    let receipt = publisher.send(&NicknameChanged::of(42), Acks::All).await.unwrap();

    let seen = &read(cluster.brokers(), "accounts", 3, 1)[0];
    assert_eq!((receipt.partition(), receipt.offset()), (Some(seen.partition), Some(seen.offset)));
    assert_eq!(seen.key.as_deref(), Some(&b"42"[..]));
    assert_eq!(seen.timestamp_ms, Some(now.timestamp_millis()));
    assert_eq!(seen.payload.as_ref().map(|payload| payload[0]), Some(0));
    let mut headers = seen.text_headers();
    let id = receipt.id().to_string();
    let traceparent = headers.remove("traceparent").unwrap();
    assert_eq!(traceparent.len(), 55, "{traceparent}");
    assert!(headers.remove("ce_dataschema").is_some());
    let expected = BTreeMap::from([
        ("ce_specversion", "1.0"),
        ("ce_id", id.as_str()),
        ("ce_source", "/accounts"),
        ("ce_type", "accounts.NicknameChanged"),
        ("ce_schemaversion", "1.2.0"),
        ("ce_time", "2026-03-01T12:00:00.000123Z"),
        ("ce_recordedtime", "2026-03-01T12:00:00.000123Z"),
        ("ce_subject", "Account/42"),
        ("ce_partitionkey", "42"),
        ("ce_correlationid", id.as_str()),
        ("content-type", "application/avro"),
    ]);
    assert_eq!(headers, expected);
    assert_eq!(receipt.id().get_version_num(), 7);
}

#[tokio::test]
async fn what_a_handler_publishes_names_the_event_that_caused_it() {
    let (cluster, options) = cluster(1);
    let publisher = Publisher::builder(options).build().await.unwrap();
    let cause = Causality {
        correlation_id: Some("order-1".into()),
        causation_id: Some("event-1".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        tracestate: Some("vendor=1".into()),
    };
    cause.scope(async { publisher.send(&NicknameChanged::of(1), Acks::All).await.unwrap() }).await;
    let seen = &read(cluster.brokers(), "accounts", 1, 1)[0];
    let headers = seen.text_headers();
    assert_eq!(headers["ce_correlationid"], "order-1");
    assert_eq!(headers["ce_causationid"], "event-1");
    assert!(headers["traceparent"].starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
    assert_ne!(&headers["traceparent"][36..52], "00f067aa0ba902b7");
    assert_eq!(headers["tracestate"], "vendor=1");
}

#[tokio::test]
async fn every_kind_of_acks_arrives_and_all_of_them_close_together() {
    let (cluster, options) = cluster(1);
    let publisher = Publisher::builder(options).build().await.unwrap();
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let receipt = publisher.send(&NicknameChanged::of(1), acks).await.unwrap();
        assert_eq!(receipt.offset().is_some(), acks != Acks::None, "{acks}");
    }
    assert_eq!(publisher.close(Duration::from_secs(30)).await, 0);
    assert_eq!(read(cluster.brokers(), "accounts", 1, 3).len(), 3);
    let late = publisher.send(&NicknameChanged::of(1), Acks::All).await;
    assert!(matches!(late, Err(PublishError::Closed)), "{late:?}");
}

#[tokio::test]
async fn events_taken_one_after_the_other_keep_their_order() {
    let (cluster, options) = cluster(1);
    let publisher = Publisher::builder(options.queue_records(50)).build().await.unwrap();
    let mut pending = Vec::new();
    for index in 0..500 {
        let event = NicknameChanged { user_id: 1, nickname: format!("{index:03}") };
        pending.push(publisher.enqueue(&event, Acks::All).await.unwrap());
    }
    let receipts = try_join_all(pending).await.unwrap();
    assert!(receipts.is_sorted_by_key(Receipt::offset));
    let payloads: Vec<_> = read(cluster.brokers(), "accounts", 1, 500).into_iter().map(|seen| seen.payload).collect();
    assert!(payloads.is_sorted());
}

#[tokio::test]
async fn the_mode_is_configuration() {
    let (cluster, options) = cluster(1);
    let mode: DeliveryMode = "direct:leader".parse().unwrap();
    let publisher = Publisher::builder(options.clone().mode(mode)).build().await.unwrap();
    publisher.publish(&NicknameChanged::of(1)).await.unwrap();
    assert_eq!(read(cluster.brokers(), "accounts", 1, 1).len(), 1);

    let outbox = Publisher::builder(options.mode(DeliveryMode::Outbox)).build().await.unwrap();
    let sent = outbox.send(&NicknameChanged::of(1), Acks::All).await;
    assert!(matches!(sent, Err(PublishError::Mode { .. })), "{sent:?}");
    let published = outbox.publish(&NicknameChanged::of(1)).await;
    assert!(matches!(published, Err(PublishError::Mode { .. })), "{published:?}");
}

#[tokio::test]
async fn an_event_larger_than_its_topic_allows_is_refused_by_name_and_reported() {
    let (_cluster, options) = cluster(1);
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&dropped);
    let publisher = Publisher::builder(options)
        .on_drop(move |event| told.lock().push((event.event.to_owned(), event.kind, event.id.to_owned())))
        .build()
        .await
        .unwrap();
    let event = NicknameChanged { user_id: 1, nickname: "x".repeat(1_048_588) };
    let error = publisher.send(&event, Acks::All).await.unwrap_err();
    let PublishError::TooLarge { id, limit: 1_048_588, .. } = error else { panic!("{error:?}") };
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
    assert_eq!(*dropped.lock(), [("accounts.NicknameChanged".to_owned(), "too_large", id.to_string())]);
}

#[tokio::test]
async fn a_missing_topic_stops_the_publisher_from_starting() {
    let (_cluster, options) = cluster(4);
    let options = PublisherOptions::new("payments").kafka(options.kafka_options().clone());
    let error = Publisher::builder(options).build().await.unwrap_err();
    let PublisherError::Topic(TopicError::Missing { topic }) = &error else { panic!("{error:?}") };
    assert_eq!(topic, "payments");
}

#[tokio::test]
async fn a_topic_with_other_partitions_than_declared_stops_the_publisher_from_starting() {
    let (_cluster, options) = cluster(4);
    let topic = TopicSpec::new("accounts", 12);
    let error = Publisher::builder(options).topic(topic).build().await.unwrap_err();
    let PublisherError::Topic(TopicError::Partitions { expected: 12, found: 4, .. }) = &error else {
        panic!("{error:?}")
    };
}

#[tokio::test]
async fn events_that_nobody_awaits_are_reported_when_they_fail() {
    let (cluster, options) = cluster(1);
    let (dropped, mut drops) = tokio::sync::mpsc::unbounded_channel();
    let options = options.send_deadline(Duration::from_millis(500));
    let publisher = Publisher::builder(options)
        .on_drop(move |event| dropped.send((event.id.to_owned(), event.kind, event.error.to_string())).unwrap())
        .build()
        .await
        .unwrap();
    drop(cluster);
    let pending = publisher.enqueue(&NicknameChanged::of(1), Acks::All).await.unwrap();
    let id = pending.id().to_string();
    drop(pending);
    let (dropped, kind, reason) = drops.recv().await.unwrap();
    assert_eq!((dropped, kind), (id, "refused"));
    assert!(reason.contains("accounts"), "{reason}");
}
