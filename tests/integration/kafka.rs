//! The real brokers, and topics of these tests' own.

use std::time::Duration;

use tidings::transport::kafka::{KafkaOptions, TopicSpec, topics};
use uuid::Uuid;

use crate::setting;

pub(crate) const LONG: Duration = Duration::from_secs(30);

pub(crate) fn kafka() -> KafkaOptions {
    KafkaOptions::new(setting("TIDINGS_TEST_BROKERS"))
}

/// The listener that asks for a password.
pub(crate) fn guarded(password: &str) -> KafkaOptions {
    KafkaOptions::new(setting("TIDINGS_TEST_SASL_BROKERS"))
        .property("security.protocol", "SASL_PLAINTEXT")
        .property("sasl.mechanism", "PLAIN")
        .property("sasl.username", setting("TIDINGS_TEST_SASL_USER"))
        .property("sasl.password", password)
}

/// A service's name that nobody else uses.
pub(crate) fn fresh(name: &str) -> String {
    format!("{name}-{}", Uuid::new_v4().simple())
}

/// A new topic of `partitions` partitions.
pub(crate) async fn fresh_topic(name: &str, partitions: u32) -> String {
    let name = fresh(name);
    topics::ensure(&kafka(), &[TopicSpec::new(&name, partitions)], LONG).await.unwrap();
    name
}
