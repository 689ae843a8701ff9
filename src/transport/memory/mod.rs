//! The in-memory twin of Kafka: the same seams, no network, and time that tests can hold.

mod broker;
mod broker_producer;
mod consumer;
mod group;
mod producer;

pub use broker::MemoryBroker;
pub use broker_producer::MemoryBrokerProducer;
pub use consumer::MemoryConsumer;
pub use producer::MemoryProducer;
