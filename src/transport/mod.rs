//! The seam to Kafka: records, and the clients that read and write them.

mod consumer;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod murmur2;
mod producer;
mod record;

pub use consumer::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, StartOffset, TopicPartition, Wake,
};
pub use producer::{Acks, DeliveryObserver, OutgoingRecord, ProduceError, Producer, UnknownAcks, Written};
pub use record::{Header, Headers, Record};
