//! What an embedded cluster tells of topics.

use std::time::{Duration, Instant};

use tidings::transport::kafka::{
    EmbeddedCluster, EmbeddedError, KafkaError, KafkaOptions, TopicError, TopicSpec, topics,
};

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn topics_are_created_from_inside_and_checked_from_outside() {
    let cluster = EmbeddedCluster::start(1).unwrap();
    cluster.create_topic("accounts", 3).unwrap();
    let kafka = KafkaOptions::new(cluster.brokers());
    let states = topics::check(&kafka, &[TopicSpec::new("accounts", 3)], LONG).await.unwrap();
    assert_eq!((states[0].partitions, states[0].replication), (3, 1));
    assert_eq!(states[0].max_message_bytes, None);
    let again = cluster.create_topic("accounts", 3);
    assert!(matches!(again, Err(EmbeddedError::Topic { .. })), "{again:?}");
}

#[tokio::test]
async fn everything_wrong_is_told_at_once_and_asking_creates_nothing() {
    let cluster = EmbeddedCluster::start(1).unwrap();
    cluster.create_topic("accounts", 3).unwrap();
    let kafka = KafkaOptions::new(cluster.brokers());
    let declared = [TopicSpec::new("accounts", 5), TopicSpec::new("payments", 2)];
    for _ in 0..2 {
        let error = topics::check(&kafka, &declared, LONG).await.unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, TopicError::Several(errors) if errors.len() == 2));
        assert!(message.contains("accounts has 3 partitions where 5 are declared"), "{message}");
        assert!(message.contains("payments does not exist"), "{message}");
    }
}

#[tokio::test]
async fn brokers_that_are_away_are_named_within_the_deadline() {
    let start = Instant::now();
    let kafka = KafkaOptions::new("127.0.0.1:1");
    let error = topics::show(&kafka, &["accounts".to_owned()], Duration::from_secs(1)).await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let TopicError::Kafka(KafkaError::Unreachable { brokers, .. }) = &error else { panic!("{error:?}") };
    assert_eq!(brokers, "127.0.0.1:1");
}

#[tokio::test]
async fn hostile_names_are_errors() {
    let cluster = EmbeddedCluster::start(1).unwrap();
    let kafka = KafkaOptions::new(cluster.brokers());
    for name in ["", "a\0b", "a b"] {
        let shown = topics::show(&kafka, &[name.to_owned()], Duration::from_secs(5)).await;
        assert!(matches!(shown, Err(TopicError::Name { .. })), "{name:?}: {shown:?}");
        assert!(cluster.create_topic(name, 1).is_err(), "{name:?}");
    }
}
