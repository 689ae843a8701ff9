//! The seam through which records are written.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::Headers;

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
    /// The topic or the partition does not exist.
    #[error("topic {topic} does not exist; create it with `tidings topics ensure`")]
    UnknownTopic {
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

/// Writes records.
pub trait Producer: Send + Sync + fmt::Debug + 'static {
    /// Take `record` into the queue now, in the order of the calls, and resolve when it is acknowledged. Does not block: a full
    /// queue resolves to [`ProduceError::QueueFull`].
    fn send(&self, record: OutgoingRecord) -> BoxFuture<'static, Result<Written, ProduceError>>;

    /// Resolve when all records taken so far are acknowledged or failed, or after `deadline`. Returns how many are left.
    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize>;

    /// Drop what is queued and in flight; their futures resolve to [`ProduceError::Purged`].
    fn purge(&self);
}
