//! The seam to Kafka: records, and the clients that read and write them.

mod consumer;
mod headers;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod memory;
pub mod murmur2;
mod producer;
mod record;
mod target;

pub use consumer::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, StartOffset, TopicPartition, Wake,
};
pub use headers::{Header, Headers};
pub use producer::{Acks, DeliveryObserver, OutgoingRecord, ProduceError, Producer, UnknownAcks, Written};
pub use record::Record;
pub use target::Target;
