//! Why letters could not be read or redriven.

use crate::transport::kafka::reader::ReadError;
use crate::transport::kafka::{KafkaError, TopicError, TransactionError};

/// Letters could not be read or redriven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadLetterError {
    /// No client, no broker, or no access to the cluster.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// There is no such topic.
    #[error("the dead-letter topic {topic} does not exist: check the name; a consumer creates it when it starts")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// A topic could not be read.
    #[error("topic {topic} cannot be read: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
    /// A topic could not be created or asked about.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A transaction was not committed.
    #[error("{redriven} letters were redriven, then it could not go on; start it again to go on where it stopped")]
    Transaction {
        /// How many letters were redriven before.
        redriven: u64,
        /// Why.
        #[source]
        source: Box<TransactionError>,
    },
    /// A thread could not start, or ended early.
    #[error("a thread failed: {reason}")]
    Thread {
        /// What the system says.
        reason: String,
    },
}

impl From<ReadError> for DeadLetterError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kafka(error) => Self::Kafka(error),
            ReadError::Missing { topic } => Self::Missing { topic },
            ReadError::Refused { topic, reason } => Self::Refused { topic, reason },
        }
    }
}

impl From<tokio::task::JoinError> for DeadLetterError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Thread { reason: error.to_string() }
    }
}
