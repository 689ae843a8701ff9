//! Kafka through librdkafka.

mod admin;
mod client_context;
#[cfg(feature = "consumer")]
mod committed;
#[cfg(feature = "consumer")]
pub(crate) mod consumer;
mod delivery;
#[cfg(feature = "embedded")]
mod embedded;
#[cfg(feature = "consumer")]
pub(crate) mod environment;
mod error;
#[cfg(feature = "consumer")]
mod native;
mod native_flush;
mod native_headers;
#[cfg(feature = "consumer")]
mod native_metadata;
mod options;
mod produce_error;
mod producer;
mod producer_options;
#[cfg(feature = "consumer")]
mod raw_headers;
#[cfg(feature = "consumer")]
pub(crate) mod reader;
#[cfg(feature = "testing")]
pub(crate) mod scratch;
mod topic_error;
pub(crate) mod topic_name;
mod topic_spec;
pub mod topics;
#[cfg(feature = "consumer")]
pub(crate) mod transaction;

#[cfg(feature = "consumer")]
pub use committed::StartFrom;
#[cfg(feature = "embedded")]
pub use embedded::{EmbeddedCluster, EmbeddedError};
pub use error::KafkaError;
pub use options::KafkaOptions;
pub use producer::KafkaProducer;
pub use producer_options::{Compression, ProducerOptions, Profile, UnknownProfile};
pub use topic_error::TopicError;
pub use topic_spec::{Retention, TopicSpec, UnknownRetention};
#[cfg(feature = "consumer")]
pub use transaction::TransactionError;
