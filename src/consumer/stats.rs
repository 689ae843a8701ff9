//! What a consumer has done, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use super::health::Pulse;

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
    pub(crate) repeats: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) out_of_order: AtomicU64,
    pub(crate) forks: AtomicU64,
    /// Counted by handlers' tasks.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) inbox: std::sync::Arc<crate::database::inbox::InboxCounters>,
    pub(crate) completed_before: AtomicU64,
    pub(crate) failed_commits: AtomicU64,
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
    /// Events parked: those that failed, and those that came behind them.
    pub parked: u64,
    /// Parked events that were handled after all, dead-lettered, or skipped by an operator.
    pub unparked: u64,
    /// Keys that are parked now, in the partitions assigned.
    pub parked_keys: u64,
    /// Handlers that are paused now, because they fail whatever they are given.
    pub breakers_open: u64,
    /// Events nobody handles, filtered ones, those redriven for another group, and tombstones.
    pub skipped: u64,
    /// Events that came again, as their streams' sequences show; each is handled as any other.
    pub repeats: u64,
    /// Events that are missing between two of their stream. What retention, compaction and other members of the group have is
    /// not missed.
    pub gaps: u64,
    /// Events that came behind later ones of their stream, for the first time. They were counted in `gaps` before.
    pub out_of_order: u64,
    /// Events that have the sequence of another one of their stream.
    pub forks: u64,
    /// Events that the inbox knew as handled: the handlers, which take a `Transaction`, did not run. Counted in `handled` too.
    pub inbox_repeats: u64,
    /// Events whose place in their stream the inbox knows as another event's. None is dropped.
    pub inbox_forks: u64,
    /// Events read again after a restart or a rebalance that were complete already, and not handled again.
    pub completed_before: u64,
    /// Commits of offsets that failed; each is repeated.
    pub failed_commits: u64,
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
        counter.store(counter.load(Ordering::Relaxed).saturating_add(amount), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> ConsumerStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        let (inbox_repeats, inbox_forks) = (self.inbox.repeats(), self.inbox.forks());
        #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
        let (inbox_repeats, inbox_forks) = (0, 0);
        ConsumerStats {
            handled: read(&self.handled),
            retried: read(&self.retried),
            dead_lettered: read(&self.dead_lettered),
            parked: read(&self.parked),
            unparked: read(&self.unparked),
            parked_keys: read(&self.parked_keys),
            breakers_open: read(&self.breakers_open),
            skipped: read(&self.skipped),
            repeats: read(&self.repeats),
            gaps: read(&self.gaps),
            out_of_order: read(&self.out_of_order),
            forks: read(&self.forks),
            inbox_repeats,
            inbox_forks,
            completed_before: read(&self.completed_before),
            failed_commits: read(&self.failed_commits),
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
            repeats: self.repeats + other.repeats,
            // A stranger's sequence makes them any number.
            gaps: self.gaps.saturating_add(other.gaps),
            out_of_order: self.out_of_order + other.out_of_order,
            forks: self.forks + other.forks,
            inbox_repeats: self.inbox_repeats + other.inbox_repeats,
            inbox_forks: self.inbox_forks + other.inbox_forks,
            completed_before: self.completed_before + other.completed_before,
            failed_commits: self.failed_commits + other.failed_commits,
            assigned: self.assigned + other.assigned,
            in_flight: self.in_flight + other.in_flight,
            buffered_bytes: self.buffered_bytes + other.buffered_bytes,
        }
    }
}
