//! Who watches an engine, and may disturb it: the test kit.

use std::time::Duration;

use crate::outcome::{HandlerError, Outcome};
use crate::transport::{Assignment, Record, TopicPartition};

/// What an engine does with a record it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// It waits for its turn.
    Queued,
    /// Nobody handles it.
    Skipped,
    /// It was complete under an earlier assignment.
    CompletedBefore,
}

/// Watches an engine, and may disturb it. Called on the engine's thread, between two of its steps: must not block.
pub(crate) trait Observer: Send + Sync {
    /// Partitions are the engine's, from where they say.
    fn assigned(&self, partitions: &[Assignment]);
    /// A partition is no longer the engine's.
    fn released(&self, partition: &TopicPartition);
    /// A record was read.
    fn read(&self, record: &Record, read: Read);
    /// An attempt begins.
    /// `batched` says whether with others, as one batch.
    fn started(&self, record: &Record, handler: &'static str, attempt: u32, batched: bool);
    /// An attempt has ended.
    fn ended(&self, record: &Record, outcome: &Outcome);
    /// The record is worked on again when the clock's monotonic time is `until`.
    fn pausing(&self, record: &Record, until: Duration);
    /// The record is in the dead-letter topic.
    fn dead_lettered(&self, record: &Record);
    /// The record is in the parked store.
    fn parked(&self, record: &Record);
    /// The engine is done with the record, whichever way: its offset may be committed.
    fn finished(&self, record: &Record);
    /// There is nothing to do, before the clock's monotonic time is `due` or somebody else has done something: `busy` says whether
    /// tasks of the engine's own are under way.
    fn idle(&self, due: Option<Duration>, busy: bool);
    /// What an attempt of `handler` fails with, in place of being made.
    fn intercept(&self, handler: &'static str) -> Option<HandlerError>;
    /// Whether the engine is to end without a trace, as if its process had died.
    fn crashed(&self) -> bool;
}
