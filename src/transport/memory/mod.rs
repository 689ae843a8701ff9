//! The in-memory twin of Kafka: the same seams, no network, and time that tests can hold.

mod broker;
mod consumer;
mod producer;

pub use broker::MemoryBroker;
pub use consumer::MemoryConsumer;
pub use producer::MemoryProducer;
