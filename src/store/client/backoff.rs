//! Pauses between attempts.

use std::time::Duration;

use rand::RngExt as _;

const FIRST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(2);

/// Pauses that grow, with full jitter: those who were refused together do not come back together.
#[derive(Debug)]
pub(in crate::store) struct Backoff(Duration);

impl Backoff {
    pub(in crate::store) const fn new() -> Self {
        Self(FIRST)
    }

    pub(in crate::store) fn next(&mut self) -> Duration {
        let pause = rand::rng().random_range(Duration::ZERO..=self.0);
        self.0 = (self.0 * 2).min(LONGEST);
        pause
    }
}
