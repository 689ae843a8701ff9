//! When the poll thread last turned.

use std::time::Duration;

use super::sync::{AtomicU64, Ordering};

/// When the poll thread last turned. Whoever finds that fresh has found what it was told before, too.
pub(crate) struct LastTurn {
    /// In milliseconds of the clock.
    at: AtomicU64,
    /// How long the poll thread may be away without its partitions being taken for somebody else's.
    session_timeout: Duration,
}

impl LastTurn {
    pub(crate) fn new(now: Duration, session_timeout: Duration) -> Self {
        Self { at: AtomicU64::new(millis(now)), session_timeout }
    }

    /// The poll thread turns, and has told whom it had to tell.
    pub(crate) fn note(&self, now: Duration) {
        self.at.store(millis(now), Ordering::Release);
    }

    /// Whether the poll thread was away for so long at `now` that nothing may begin before it has looked around.
    pub(crate) fn is_too_long_ago(&self, now: Duration) -> bool {
        let turned = self.at.load(Ordering::Acquire);
        millis(now).saturating_sub(turned) >= millis(self.session_timeout)
    }
}

fn millis(time: Duration) -> u64 {
    time.as_secs() * 1_000 + u64::from(time.subsec_millis())
}
