//! The seam through which records are written.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde::{Deserialize, Serialize};

use super::{Headers, Target};

/// A record to be written.
#[derive(Clone)]
pub struct OutgoingRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; `None` lets the key choose, by murmur2 as Java clients do.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
    /// The record's timestamp, in milliseconds since 1970; `None` is the time of writing.
    pub timestamp_ms: Option<i64>,
}

impl fmt::Debug for OutgoingRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OutgoingRecord")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("payload_bytes", &self.payload.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

impl OutgoingRecord {
    /// The bytes of key, payload and headers, as Kafka counts them: with room for the lengths written between them.
    pub fn size(&self) -> usize {
        let field = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len) + 5;
        let headers = self.headers.iter().map(|header| header.name.len() + header.value.map_or(0, <[u8]>::len) + 6);
        field(&self.key) + field(&self.payload) + headers.sum::<usize>() + 32
    }
}

/// Who must have a record before it counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Acks {
    /// Nobody: written when it was handed to the socket. It may be lost. Written `none` or `0`.
    None,
    /// The partition's leader. It may be lost with that broker, and repeated or reordered by a retry. Written `leader` or `1`.
    Leader,
    /// All replicas in sync; idempotent, so neither repeated nor reordered. Written `all` or `-1`.
    #[default]
    All,
}

impl Acks {
    /// The value of the client property `acks`.
    pub const fn as_property(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Leader => "1",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Acks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Leader => "leader",
            Self::All => "all",
        })
    }
}

/// A text that names no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no acknowledgement: write all, 1 (leader) or 0 (none)")]
pub struct UnknownAcks(String);

impl FromStr for Acks {
    type Err = UnknownAcks;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" | "0" => Ok(Self::None),
            "leader" | "1" => Ok(Self::Leader),
            "all" | "-1" => Ok(Self::All),
            _ => Err(UnknownAcks(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Acks {
    type Error = UnknownAcks;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Acks> for String {
    fn from(acks: Acks) -> Self {
        acks.to_string()
    }
}

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The partition.
    pub partition: i32,
    /// The offset; `None` where the acknowledgement does not tell (acks 0).
    pub offset: Option<i64>,
}

/// A record could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The local queue is full: the broker is slower than the publisher.
    #[error("the producer's queue is full; the record for {topic} was not taken")]
    QueueFull {
        /// The topic.
        topic: Arc<str>,
    },
    /// The record is larger than the broker or the client allows.
    #[error("a record of {bytes} bytes is too large for {topic}; raise max.message.bytes or publish less")]
    TooLarge {
        /// The topic.
        topic: Arc<str>,
        /// The record's size, in bytes.
        bytes: usize,
    },
    /// The topic does not exist.
    #[error("topic {topic} does not exist; create it with `tidings topics ensure`")]
    UnknownTopic {
        /// The topic.
        topic: Arc<str>,
    },
    /// The topic takes no record of this client, whatever is in it: no permission, or a topic that is out of order. It may come back.
    #[error("topic {topic} takes no records: {reason}")]
    TopicRefused {
        /// The topic.
        topic: Arc<str>,
        /// What the broker or the store says.
        reason: String,
    },
    /// The topic has no such partition, or the brokers do not know of it yet: one that has just started may not.
    #[error("topic {topic} does not have the record's partition, or its brokers do not know of it yet")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
    },
    /// The record was removed from the queue before it was written.
    #[error("the record for {topic} was purged before it was written")]
    Purged {
        /// The topic.
        topic: Arc<str>,
    },
    /// The producer failed for good and must be made again.
    #[error("the producer failed for good: {reason}")]
    Fatal {
        /// What the client says.
        reason: String,
    },
    /// The broker refused the record, or did not answer in time.
    #[error("the record for {topic} was not written: {reason}")]
    Refused {
        /// The topic.
        topic: Arc<str>,
        /// What the broker or the client says.
        reason: String,
        /// Whether writing the same record again may succeed.
        retryable: bool,
    },
}

impl ProduceError {
    /// A word for metrics: the same kind of failure has the same word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::QueueFull { .. } => "queue_full",
            Self::TooLarge { .. } => "too_large",
            Self::UnknownTopic { .. } => "unknown_topic",
            Self::TopicRefused { .. } => "topic_refused",
            Self::UnknownPartition { .. } => "unknown_partition",
            Self::Purged { .. } => "purged",
            Self::Fatal { .. } => "fatal",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether writing the same record again, with the same producer, may succeed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::QueueFull { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::TopicRefused { .. } => true,
            Self::Refused { retryable, .. } => *retryable,
            Self::TooLarge { .. } | Self::Purged { .. } | Self::Fatal { .. } => false,
        }
    }
}

/// Writes records.
pub trait Producer: Send + Sync + fmt::Debug + 'static {
    /// Take `record` into the queue now, in the order of the calls. The future resolves when it is acknowledged or has
    /// failed; dropping it does not take the record back. Does not block.
    ///
    /// # Errors
    /// The record was not taken: the queue is full, or it could never be written.
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError>;

    /// As [`enqueue`](Self::enqueue), for a record whose row in the outbox says where it goes. Default: to Kafka only.
    ///
    /// # Errors
    /// As there; [`ProduceError::Refused`]: this producer has no way to the target.
    fn enqueue_to(
        &self,
        target: Target,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        match target {
            Target::Kafka => self.enqueue(record),
            Target::Store => Err(ProduceError::Refused {
                topic: Arc::clone(&record.topic),
                reason: "this producer has no event store".to_owned(),
                retryable: true,
            }),
        }
    }

    /// As [`enqueue`](Self::enqueue), with one error for both.
    fn send(&self, record: OutgoingRecord) -> BoxFuture<'static, Result<Written, ProduceError>> {
        self.enqueue(&record).unwrap_or_else(|error| ready(Err(error)).boxed())
    }

    /// Resolve when all records taken so far are acknowledged or failed, or after `deadline`. Returns how many are left.
    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize>;

    /// Drop what is queued and in flight; their futures resolve to [`ProduceError::Purged`].
    fn purge(&self);
}

/// Is told how each record ended, whether or not someone awaits it. Called on the client's own thread: do not block.
pub trait DeliveryObserver: Send + Sync + 'static {
    /// A record was acknowledged, as far as the producer's acks go.
    fn written(&self, topic: &str);

    /// A record that had been taken into the queue was not written.
    fn failed(&self, topic: &str, headers: &Headers, error: &ProduceError);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_are_read_by_name_and_by_kafkas_number() {
        for (text, acks) in [("none", Acks::None), ("1", Acks::Leader), ("all", Acks::All), ("-1", Acks::All)] {
            assert_eq!(text.parse(), Ok(acks));
        }
        assert!("quorum".parse::<Acks>().is_err());
        assert_eq!(Acks::All.to_string().parse(), Ok(Acks::All));
    }
}
