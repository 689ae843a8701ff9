//! What a consumer has done, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::health::Pulse;

/// Counters, kept by the poll thread and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) handled: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead_lettered: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) completed_before: AtomicU64,
    pub(crate) assigned: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) buffered_bytes: AtomicU64,
    /// How the poll thread is.
    pub(crate) pulse: Pulse,
}

/// What a consumer has done since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Events whose handler said they are done.
    pub handled: u64,
    /// Attempts that failed and are made again.
    pub retried: u64,
    /// Events written to the dead-letter topic.
    pub dead_lettered: u64,
    /// Events nobody handles, filtered ones and tombstones.
    pub skipped: u64,
    /// Events read again after a restart or a rebalance that were complete already, and not handled again.
    pub completed_before: u64,
    /// Partitions assigned now.
    pub assigned: u64,
    /// Handlers running now.
    pub in_flight: u64,
    /// Bytes of records held now.
    pub buffered_bytes: u64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, amount: u64) {
        // Only the poll thread writes; others may read a moment late.
        counter.store(counter.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> ConsumerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ConsumerStats {
            handled: read(&self.handled),
            retried: read(&self.retried),
            dead_lettered: read(&self.dead_lettered),
            skipped: read(&self.skipped),
            completed_before: read(&self.completed_before),
            assigned: read(&self.assigned),
            in_flight: read(&self.in_flight),
            buffered_bytes: read(&self.buffered_bytes),
        }
    }
}

impl std::ops::Add for ConsumerStats {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            handled: self.handled + other.handled,
            retried: self.retried + other.retried,
            dead_lettered: self.dead_lettered + other.dead_lettered,
            skipped: self.skipped + other.skipped,
            completed_before: self.completed_before + other.completed_before,
            assigned: self.assigned + other.assigned,
            in_flight: self.in_flight + other.in_flight,
            buffered_bytes: self.buffered_bytes + other.buffered_bytes,
        }
    }
}
