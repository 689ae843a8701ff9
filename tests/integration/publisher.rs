//! The publisher on a real broker.

use std::error::Error as _;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tidings::publisher::{Acks, PublishError, Publisher, PublisherError, PublisherOptions};
use tidings::transport::ProduceError;
use tidings::transport::kafka::{KafkaError, KafkaOptions, Profile, TopicError, TopicSpec, topics};

use crate::events::NicknameChanged;
use crate::kafka::{LONG, fresh, fresh_topic, guarded, kafka};
use crate::reader::read;
use crate::setting;

async fn publisher(service: &str) -> Publisher {
    Publisher::builder(PublisherOptions::new(service).kafka(kafka())).build().await.unwrap()
}

#[tokio::test]
async fn events_arrive_with_each_kind_of_acks() {
    let service = fresh_topic("accounts", 3).await;
    let publisher = publisher(&service).await;
    for acks in [Acks::None, Acks::Leader, Acks::All] {
        let receipt = publisher.send(&NicknameChanged::of(7), acks).await.unwrap();
        assert!(receipt.partition().is_some());
        assert_eq!(receipt.offset().is_some(), acks != Acks::None, "{acks}");
    }
    assert_eq!(publisher.close(LONG).await, 0);
    let seen = read(&setting("TIDINGS_TEST_BROKERS"), &service, 3, 3);
    assert!(seen.iter().all(|record| record.key.as_deref() == Some(b"7")));
    assert_eq!(seen[0].text_headers()["ce_source"], format!("/{service}"));
}

#[tokio::test]
async fn one_keys_events_keep_their_order_at_high_throughput() {
    let service = fresh_topic("accounts", 4).await;
    let options = PublisherOptions::new(&service).kafka(kafka()).profile(Profile::HighThroughput);
    let publisher = Publisher::builder(options).build().await.unwrap();
    let mut pending = Vec::new();
    for index in 0..5_000 {
        let event = NicknameChanged { user_id: 7, nickname: format!("{index:04}") };
        pending.push(publisher.enqueue(&event, Acks::All).await.unwrap());
    }
    let receipts = try_join_all(pending).await.unwrap();
    let offsets: Vec<_> = receipts.iter().map(|receipt| receipt.offset().unwrap()).collect();
    assert_eq!(offsets, (0..5_000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn the_topics_own_limit_decides_what_is_too_large() {
    let service = fresh("accounts");
    let topic = TopicSpec::new(&service, 1).config("max.message.bytes", "5000");
    topics::ensure(&kafka(), std::slice::from_ref(&topic), LONG).await.unwrap();
    let publisher = publisher(&service).await;
    let sized = |length| NicknameChanged { user_id: 7, nickname: "x".repeat(length) };
    let error = publisher.send(&sized(5_000), Acks::All).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { limit: 5_000, .. }), "{error:?}");
    // What fits one by one is not lost for having been batched beyond the limit.
    let mut pending = Vec::new();
    for _ in 0..50 {
        pending.push(publisher.enqueue(&sized(3_000), Acks::All).await.unwrap());
    }
    assert_eq!(try_join_all(pending).await.unwrap().len(), 50);
}

#[tokio::test]
async fn a_topic_may_take_more_than_the_clients_own_limit() {
    let service = fresh("accounts");
    let topic = TopicSpec::new(&service, 1).config("max.message.bytes", "3000000");
    topics::ensure(&kafka(), &[topic], LONG).await.unwrap();
    let event = NicknameChanged { user_id: 7, nickname: "x".repeat(2_900_000) };
    publisher(&service).await.send(&event, Acks::All).await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_and_absent_brokers_stop_the_publisher_from_starting() {
    let start = Instant::now();
    let options = PublisherOptions::new("accounts").kafka(guarded("wrong horse"));
    let error = Publisher::builder(options).build().await.unwrap_err();
    let PublisherError::Topic(TopicError::Kafka(KafkaError::Authentication { .. })) = &error else {
        panic!("{error:?}")
    };
    let options = PublisherOptions::new("accounts")
        .kafka(KafkaOptions::new("127.0.0.1:1"))
        .connect_deadline(Duration::from_secs(1));
    let error = Publisher::builder(options).build().await.unwrap_err();
    let PublisherError::Topic(TopicError::Kafka(KafkaError::Unreachable { brokers, .. })) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(brokers, "127.0.0.1:1");
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_unknown_topic_is_told_at_startup_or_when_unchecked_within_seconds() {
    let service = fresh("payments");
    let options = PublisherOptions::new(&service).kafka(kafka());
    let error = Publisher::builder(options.clone()).build().await.unwrap_err();
    assert!(matches!(error, PublisherError::Topic(TopicError::Missing { .. })), "{error:?}");

    let publisher = Publisher::builder(options.check_topic(false)).build().await.unwrap();
    let start = Instant::now();
    let error = publisher.send(&NicknameChanged::of(7), Acks::All).await.unwrap_err();
    let PublishError::NotWritten { source: ProduceError::UnknownTopic { topic }, .. } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(**topic, *service);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    // The topic was not made by asking for it.
    assert!(topics::show(&kafka(), &[service], LONG).await.is_err());
}

#[tokio::test]
async fn a_password_that_becomes_wrong_is_the_reason_of_the_time_out() {
    let options = PublisherOptions::new("accounts")
        .kafka(guarded("wrong horse"))
        .check_topic(false)
        .connect_deadline(Duration::from_secs(1))
        .send_deadline(Duration::from_secs(2));
    let publisher = Publisher::builder(options).build().await.unwrap();
    let error = publisher.send(&NicknameChanged::of(7), Acks::All).await.unwrap_err();
    let reason = error.source().unwrap().to_string();
    assert!(reason.to_lowercase().contains("authentication"), "{reason}");
}
