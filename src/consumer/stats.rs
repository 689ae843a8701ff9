//! What a consumer has done, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, kept by the poll thread and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) handled: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) dead_lettered: AtomicU64,
    pub(crate) parked: AtomicU64,
    pub(crate) unparked: AtomicU64,
    pub(crate) parked_keys: AtomicU64,
    pub(crate) breakers_open: AtomicU64,
    pub(crate) skipped: AtomicU64,
    pub(crate) completed_before: AtomicU64,
    pub(crate) assigned: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) buffered_bytes: AtomicU64,
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
    /// Events parked: those that failed, and those that came behind them.
    pub parked: u64,
    /// Parked events that were handled after all, dead-lettered, or skipped by an operator.
    pub unparked: u64,
    /// Keys that are parked now, in the partitions assigned.
    pub parked_keys: u64,
    /// Handlers that are paused now, because they fail whatever they are given.
    pub breakers_open: u64,
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
            parked: read(&self.parked),
            unparked: read(&self.unparked),
            parked_keys: read(&self.parked_keys),
            breakers_open: read(&self.breakers_open),
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
            parked: self.parked + other.parked,
            unparked: self.unparked + other.unparked,
            parked_keys: self.parked_keys + other.parked_keys,
            breakers_open: self.breakers_open + other.breakers_open,
            skipped: self.skipped + other.skipped,
            completed_before: self.completed_before + other.completed_before,
            assigned: self.assigned + other.assigned,
            in_flight: self.in_flight + other.in_flight,
            buffered_bytes: self.buffered_bytes + other.buffered_bytes,
        }
    }
}
