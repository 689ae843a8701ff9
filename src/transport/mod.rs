//! The seam to Kafka: records, and the clients that read and write them.

#[cfg(feature = "kafka")]
pub mod kafka;
mod producer;
mod record;

pub use producer::{Acks, DeliveryObserver, OutgoingRecord, ProduceError, Producer, UnknownAcks, Written};
pub use record::{Header, Headers, Record};
