//! Why an audit did not come to an end.

use std::io;
use std::path::PathBuf;

use crate::transport::kafka::KafkaError;
use crate::transport::kafka::reader::ReadError;

/// An audit did not come to an end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// No client, no broker, or no access to the cluster.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The topic is not there, or cannot be read.
    #[error("{0}")]
    Topic(String),
    /// The brokers fell silent.
    #[error("nothing was read of topic {topic} for {seconds} s, {left} records before its end")]
    Silent {
        /// The topic.
        topic: String,
        /// For how long.
        seconds: u64,
        /// How many records are left.
        left: u64,
    },
    /// The database cannot be read.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    #[error("the outbox cannot be read")]
    Database(#[source] crate::database::Error),
    /// The state file cannot be read or written.
    #[error("the state file {path} cannot be {doing}")]
    StateFile {
        /// The file.
        path: PathBuf,
        /// What failed, as a participle.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The state file is not one, or is damaged, or of another topic.
    #[error("the state file {path} cannot be used: {reason}; delete it to begin anew")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A 256th of the streams takes more memory than is allowed.
    #[error("{bytes} bytes of memory are too few for the streams of topic {topic}: allow more")]
    Memory {
        /// How much was allowed.
        bytes: usize,
        /// The topic.
        topic: String,
    },
    /// It was told to end. With a state file the next one goes on where this one ended.
    #[error("the audit was interrupted{}", if *.saved { "; the next one with this state file goes on from here" } else { "" })]
    Interrupted {
        /// Whether the state file has what was read so far.
        saved: bool,
    },
    /// A thread of its own ended early.
    #[error("a thread of the audit ended early")]
    Ended(#[from] tokio::task::JoinError),
}

impl From<ReadError> for AuditError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kafka(error) => Self::Kafka(error),
            other => Self::Topic(other.to_string()),
        }
    }
}
