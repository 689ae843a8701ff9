//! How long to wait after a failure.

use std::time::Duration;

/// The pause after a failure, doubled with each that follows.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(50);
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// A pause that doubles.
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST_BACKOFF)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(MAX_BACKOFF);
        pause
    }

    pub(super) fn reset(&mut self) {
        self.0 = FIRST_BACKOFF;
    }
}
