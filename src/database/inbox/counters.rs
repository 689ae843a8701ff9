//! What an inbox has turned away, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters, written by handlers' tasks and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct InboxCounters {
    repeats: AtomicU64,
    forks: AtomicU64,
}

impl InboxCounters {
    pub(super) fn repeat(&self) {
        self.repeats.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(crate::telemetry::names::INBOX_REPEATS).increment(1);
    }

    pub(super) fn fork(&self) {
        self.forks.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(crate::telemetry::names::INBOX_FORKS).increment(1);
    }

    /// Events that were handled before.
    #[cfg(feature = "consumer")]
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Events whose place in their stream another event has.
    #[cfg(feature = "consumer")]
    pub(crate) fn forks(&self) -> u64 {
        self.forks.load(Ordering::Relaxed)
    }
}
