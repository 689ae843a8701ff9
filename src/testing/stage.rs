//! Where a kit runs: in memory, or on real brokers under names that nobody else has.

use std::sync::Arc;

use uuid::Uuid;

use crate::transport::TopicPartition;
use crate::transport::kafka::KafkaOptions;
use crate::transport::memory::MemoryBroker;

/// Where a kit runs.
#[derive(Debug)]
pub(super) enum Stage {
    Memory(MemoryBroker),
    Kafka { options: KafkaOptions, suffix: String },
}

impl Stage {
    pub(super) fn new(kafka: Option<KafkaOptions>) -> Self {
        match kafka {
            None => Self::Memory(MemoryBroker::new()),
            Some(options) => Self::Kafka { options, suffix: format!("-{}", Uuid::new_v4().simple()) },
        }
    }

    pub(super) fn suffix(&self) -> &str {
        match self {
            Self::Memory(_) => "",
            Self::Kafka { suffix, .. } => suffix,
        }
    }

    /// What the brokers call what the test calls `name`: a topic or a group.
    pub(super) fn real(&self, name: &str) -> Arc<str> {
        format!("{name}{}", self.suffix()).into()
    }

    /// What the test calls what the brokers call `name`.
    pub(super) fn logical(&self, name: &Arc<str>) -> Arc<str> {
        match name.strip_suffix(self.suffix()) {
            Some(logical) if logical.len() < name.len() => logical.into(),
            _ => Arc::clone(name),
        }
    }

    pub(super) fn logical_partition(&self, partition: &TopicPartition) -> TopicPartition {
        TopicPartition { topic: self.logical(&partition.topic), partition: partition.partition }
    }

    pub(super) fn real_partition(&self, partition: &TopicPartition) -> TopicPartition {
        TopicPartition { topic: self.real(&partition.topic), partition: partition.partition }
    }
}
