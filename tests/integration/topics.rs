//! Topics: declared, created, checked.

use std::time::{Duration, Instant};

use tidings::transport::kafka::topics::{self, Ensured};
use tidings::transport::kafka::{KafkaError, KafkaOptions, Retention, TopicError, TopicSpec};

use crate::kafka::{LONG, fresh, fresh_topic, guarded, kafka};
use crate::setting;

#[tokio::test]
async fn a_declared_topic_is_created_once_with_its_properties() {
    let topic = TopicSpec::new(fresh("accounts"), 5)
        .retention(Retention::For(Duration::from_hours(2)))
        .compaction(true)
        .config("max.message.bytes", "2000000");
    let (kafka, name) = (kafka(), topic.name().to_owned());
    let created = topics::ensure(&kafka, std::slice::from_ref(&topic), LONG).await.unwrap();
    assert_eq!(created, [(name.clone(), Ensured::Created)]);
    let existed = topics::ensure(&kafka, std::slice::from_ref(&topic), LONG).await.unwrap();
    assert_eq!(existed, [(name.clone(), Ensured::Existed)]);

    let state = topics::check(&kafka, &[topic], LONG).await.unwrap().remove(0);
    assert_eq!((state.partitions, state.replication), (5, 1));
    assert_eq!((state.max_message_bytes, state.min_insync_replicas), (Some(2_000_000), Some(1)));
    assert_eq!(state.retention_ms, Some(7_200_000));
    assert_eq!(state.cleanup_policy.as_deref(), Some("compact,delete"));
    let own: Vec<_> = state.config.keys().map(String::as_str).collect();
    assert_eq!(own, ["cleanup.policy", "max.message.bytes", "retention.ms"]);
}

#[tokio::test]
async fn another_number_of_partitions_is_an_error_and_adds_none() {
    let kafka = kafka();
    let name = fresh_topic("accounts", 3).await;
    let declared = [TopicSpec::new(&name, 12)];
    let error = topics::ensure(&kafka, &declared, LONG).await.unwrap_err();
    let TopicError::Partitions { expected: 12, found: 3, .. } = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("tidings topics ensure"), "{error}");
    assert!(topics::check(&kafka, &declared, LONG).await.is_err());
    assert_eq!(topics::show(&kafka, &[name], LONG).await.unwrap()[0].partitions, 3);
}

#[tokio::test]
async fn a_missing_topic_is_named_with_what_to_do() {
    let name = fresh("payments");
    let error = topics::show(&kafka(), std::slice::from_ref(&name), LONG).await.unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("tidings topics ensure"), "{error}");
}

#[tokio::test]
async fn a_property_the_broker_refuses_is_an_error_for_that_topic_alone() {
    let kafka = kafka();
    let wrong = TopicSpec::new(fresh("accounts"), 1).config("no.such.property", "1");
    let right = TopicSpec::new(fresh("accounts"), 1);
    let error = topics::ensure(&kafka, &[wrong.clone(), right.clone()], LONG).await.unwrap_err();
    assert!(matches!(&error, TopicError::NotCreated { topic, .. } if topic == wrong.name()), "{error:?}");
    assert!(topics::check(&kafka, &[right], LONG).await.is_ok());
}

#[tokio::test]
async fn the_right_password_opens_the_door() {
    let name = fresh_topic("accounts", 2).await;
    let kafka = guarded(&setting("TIDINGS_TEST_SASL_PASSWORD"));
    assert_eq!(topics::show(&kafka, &[name], LONG).await.unwrap()[0].partitions, 2);
}

#[tokio::test]
async fn a_wrong_password_is_called_that_well_before_the_deadline() {
    let start = Instant::now();
    let error = topics::show(&guarded("wrong horse"), &["accounts".to_owned()], LONG).await.unwrap_err();
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
    let TopicError::Kafka(error @ KafkaError::Authentication { .. }) = &error else { panic!("{error:?}") };
    let message = error.to_string();
    assert!(message.contains("authentication failed") && !message.contains("wrong horse"), "{message}");
}

#[tokio::test]
async fn a_name_that_resolves_nowhere_is_told() {
    let kafka = KafkaOptions::new("no-such-host.invalid:9092");
    let error = topics::show(&kafka, &["accounts".to_owned()], Duration::from_secs(2)).await.unwrap_err();
    let TopicError::Kafka(error @ KafkaError::Unreachable { .. }) = &error else { panic!("{error:?}") };
    assert!(error.to_string().contains("no-such-host.invalid:9092"), "{error}");
}
