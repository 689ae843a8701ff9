//! Kafka through librdkafka.

#[cfg(feature = "consumer")]
pub(crate) mod consumer;
#[cfg(feature = "consumer")]
mod native;
mod options;

pub use options::KafkaOptions;
