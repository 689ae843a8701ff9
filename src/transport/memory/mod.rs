//! The in-memory twin of Kafka: the same seams, no network, and time that tests can hold.

mod broker;
mod consumer;

pub use broker::MemoryBroker;
pub use consumer::MemoryConsumer;
