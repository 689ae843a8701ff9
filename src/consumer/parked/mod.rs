//! Parked keys: events that failed for good and what follows of their keys, kept in order until an operator decides.
//!
//! A parked event is out of its partition's way: its offset is committed once it is in the store, so a restart or a rebalance
//! neither loses it nor delivers it again. While a key is parked, its new events go behind the parked ones. An operator releases
//! the key (its events are handled in their order), skips its first event, or discards all of it.

#[cfg(any(feature = "mysql", feature = "sqlite"))]
mod database;
mod kafka;
mod memory;
mod record;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

#[cfg(any(feature = "mysql", feature = "sqlite"))]
pub use database::DatabaseParkedStore;
pub use kafka::{KafkaParkedOptions, KafkaParkedStore, ParkedTopicError, ensure_parked_topic, parked_topic};
pub use memory::MemoryParkedStore;
pub use record::{ParkCause, ParkedRecord};

use crate::transport::TopicPartition;

/// A key of a partition that is parked.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedKey {
    /// The partition.
    pub partition: TopicPartition,
    /// The key.
    pub key: Bytes,
    /// How many of its events wait.
    pub records: u64,
    /// What an operator has asked for, until it is done.
    pub request: Option<ParkRequest>,
}

impl ParkedKey {
    /// A key whose `records` events wait.
    pub const fn new(partition: TopicPartition, key: Bytes, records: u64, request: Option<ParkRequest>) -> Self {
        Self { partition, key, records, request }
    }
}

impl fmt::Debug for ParkedKey {
    // Keys are people's data: they do not belong in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParkedKey")
            .field("partition", &self.partition)
            .field("records", &self.records)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// What an operator asks of a parked key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParkRequest {
    /// Handle its events, in their order; if one fails for good again, it and the rest stay parked.
    Release,
    /// Forget its first event, then handle the rest.
    Skip,
    /// Forget all of its events; the key goes on with what comes next.
    Discard,
}

impl ParkRequest {
    /// The word for it on the command line and in stores.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Skip => "skip",
            Self::Discard => "discard",
        }
    }

    /// The request of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Release, Self::Skip, Self::Discard].into_iter().find(|request| request.as_str() == word)
    }
}

/// A parked store failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} parked events")]
pub struct ParkError {
    /// What was tried: a verb.
    pub operation: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl ParkError {
    /// `operation`, a verb, failed because of `source`.
    pub fn new(operation: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { operation, source: source.into() }
    }
}

/// Which key of which group.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ParkedKeyId {
    /// The consumer group.
    pub group: Arc<str>,
    /// The partition.
    pub partition: TopicPartition,
    /// The key.
    pub key: Bytes,
}

impl fmt::Debug for ParkedKeyId {
    // Keys are people's data: they do not belong in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParkedKeyId")
            .field("group", &self.group)
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

/// Keeps parked events. The group's member that owns a partition is the only one that writes its events; requests come from anyone.
///
/// A member may have lost its partition and not know it yet: one that was frozen, say. Nothing that it still does may harm what the new
/// owner keeps. So an event is named by its offset, in [`park`](Self::park) and [`remove`](Self::remove), and whatever concerns a whole
/// key looks first whether it is still to be done: [`forget`](Self::forget), [`discard`](Self::discard), [`answer`](Self::answer).
///
/// Every call is done, durably, when its future resolves. A call may be made again after a failure whose effect is unknown, so all
/// of them are idempotent.
pub trait ParkedStore: Send + Sync + fmt::Debug + 'static {
    /// The parked keys of these partitions; of all of the group's when there are none given.
    fn keys(
        &self,
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'static, Result<Vec<ParkedKey>, ParkError>>;

    /// Keep an event, behind those of its key with lower offsets. One of the same offset is replaced; a record without a cause keeps
    /// the cause of the one that it replaces. For an event that is delivered again, after a crash say, comes behind its own key: whoever
    /// parks it then does not know why it was parked.
    fn park(&self, group: Arc<str>, record: ParkedRecord) -> BoxFuture<'static, Result<(), ParkError>>;

    /// The first `limit` events of a key, from the lowest offset on.
    fn records(&self, key: ParkedKeyId, limit: usize) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>>;

    /// The same, but no more of them than are within `bytes` together, by [`ParkedRecord::size`]; the first one in any case.
    ///
    /// Unless said otherwise, all are read and the rest is dropped: a store whose events are elsewhere does better not to read them.
    fn records_within(
        &self,
        key: ParkedKeyId,
        limit: usize,
        bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        let records = self.records(key, limit);
        async move {
            let mut records = records.await?;
            records.truncate(within(records.iter().map(ParkedRecord::size), bytes));
            Ok(records)
        }
        .boxed()
    }

    /// Forget one event of a key.
    fn remove(&self, key: ParkedKeyId, offset: i64) -> BoxFuture<'static, Result<(), ParkError>>;

    /// Forget a key that has no events left, and what was asked for. One that has some stays as it is: somebody else may have parked
    /// them since.
    fn forget(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>>;

    /// Forget a key with its events, as [`ParkRequest::Discard`] asks. Where that is not asked for, or not any more, nothing happens.
    fn discard(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>>;

    /// What was asked for is under way or done: ask for `then` instead. `false` when it is not asked for, or not any more; also
    /// where an earlier call has done it and failed all the same. A call that cannot tell whether it has done it fails.
    fn answer(
        &self,
        key: ParkedKeyId,
        asked: ParkRequest,
        then: Option<ParkRequest>,
    ) -> BoxFuture<'static, Result<bool, ParkError>>;

    /// Ask for something to be done with a key, or withdraw it. `false` when the key is not parked.
    fn request(&self, key: ParkedKeyId, request: Option<ParkRequest>) -> BoxFuture<'static, Result<bool, ParkError>>;
}

/// How many of the first of these sizes are within `bytes` together; one in any case, if there is one.
fn within(sizes: impl Iterator<Item = usize>, bytes: usize) -> usize {
    let mut together = 0_usize;
    let fits = |size: &usize| {
        let is_first = together == 0;
        together = together.saturating_add(*size);
        is_first || together <= bytes
    };
    sizes.take_while(fits).count()
}
