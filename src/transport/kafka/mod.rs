//! Kafka through librdkafka.

mod options;

pub use options::KafkaOptions;
