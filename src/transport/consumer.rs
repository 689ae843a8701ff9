//! The seam through which records are read, as a member of a consumer group.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Record;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.topic, self.partition)
    }
}

/// An offset to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that is not complete.
    pub offset: i64,
    /// What travels with it; at most 4,096 bytes by the broker's default.
    pub metadata: String,
}

/// A partition that is handed to this member, and where its reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The partition.
    pub partition: TopicPartition,
    /// Where to begin.
    pub start: StartOffset,
}

/// Where reading a partition begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartOffset {
    /// Nobody of the group has committed: at the oldest record.
    Beginning,
    /// Nobody of the group has committed: behind the newest record there was when this was looked up. To be committed at once,
    /// or what is published before the first commit would be skipped at the next start.
    End(i64),
    /// Where the group stopped.
    Committed {
        /// The committed offset.
        offset: i64,
        /// What was committed with it; empty when it is not text.
        metadata: String,
    },
}

/// What happened to the group's membership, or to the client.
#[derive(Debug)]
pub enum GroupEvent {
    /// These partitions are ours once [`ConsumerTransport::assign`] is called.
    Assigned(Vec<Assignment>),
    /// These partitions are to be given back with [`ConsumerTransport::unassign`], after their work is committed.
    Revoked(Vec<TopicPartition>),
    /// These partitions are somebody else's already; committing them is forbidden. To be given back all the same.
    Lost(Vec<TopicPartition>),
    /// The oldest commit under way has ended.
    Committed(Result<(), ConsumeError>),
    /// The client reports a problem it deals with itself.
    Warning(ConsumeError),
    /// The client cannot go on.
    Failed(ConsumeError),
}

/// Reading failed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The client could not be made.
    #[error("cannot make a Kafka consumer: {reason}")]
    Client {
        /// What the client says.
        reason: String,
    },
    /// An operation failed.
    #[error("cannot {operation}: {reason}")]
    Operation {
        /// What was tried.
        operation: &'static str,
        /// What the client or the broker says.
        reason: String,
    },
    /// The broker takes less metadata with a committed offset.
    #[error("the broker refuses the metadata of a commit as too large (offset.metadata.max.bytes)")]
    MetadataTooLarge,
    /// Reading a partition failed.
    #[error("cannot read {partition}: {reason}")]
    Fetch {
        /// The partition.
        partition: TopicPartition,
        /// What the client or the broker says.
        reason: String,
        /// Whether the client cannot go on by itself.
        fatal: bool,
    },
}

/// Wakes the thread that waits in [`ConsumerTransport::wait`].
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A member of a consumer group. All calls come from one thread, and none but [`wait`](Self::wait) and
/// [`close`](Self::close) blocks for longer than it takes to hand a request over.
pub trait ConsumerTransport: Send {
    /// Join the group for `topics`.
    ///
    /// # Errors
    /// The client refuses.
    fn subscribe(&mut self, topics: &[Arc<str>]) -> Result<(), ConsumeError>;

    /// The next thing that happened, if any. To be called often: it keeps the membership alive.
    fn poll(&mut self) -> Option<GroupEvent>;

    /// Begin to read these partitions where they say.
    ///
    /// # Errors
    /// The client refuses.
    fn assign(&mut self, partitions: &[Assignment]) -> Result<(), ConsumeError>;

    /// Read a partition that is ours from `offset` on; what was fetched and not taken is thrown away.
    ///
    /// # Errors
    /// The client refuses.
    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError>;

    /// Give these partitions back.
    ///
    /// # Errors
    /// The client refuses.
    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError>;

    /// Move at most `most` fetched records of `partition` into `records`; not calling it is the back-pressure.
    ///
    /// # Errors
    /// Reading failed; what was moved is in `records` all the same.
    fn fetch(&mut self, partition: &TopicPartition, most: usize, records: &mut Vec<Record>)
    -> Result<(), ConsumeError>;

    /// Behind the newest record of a partition that is ours, as the broker last said. `None` while it has not said.
    fn end_offset(&self, partition: &TopicPartition) -> Option<i64>;

    /// Start to commit; [`GroupEvent::Committed`] tells the end.
    ///
    /// # Errors
    /// The client refuses.
    fn commit(&mut self, offsets: &[CommitOffset]) -> Result<(), ConsumeError>;

    /// Block until woken, or for `timeout`.
    fn wait(&mut self, timeout: Duration);

    /// Wakes [`wait`](Self::wait), from any thread.
    fn wake(&self) -> Wake;

    /// Leave the group. May block for some seconds.
    fn close(self);
}
