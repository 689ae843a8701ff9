//! How many letters may be redriven now.

use std::time::Duration;

/// What may be made up for after a pause: a slow transaction must not lower the rate, nor a long one let a burst through.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Spreads letters evenly over time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    /// When the next one is due, by the clock's monotonic time.
    next: Duration,
}

impl Pace {
    /// `rate` a second, from `now` on; as many as can be without.
    pub(super) fn new(rate: Option<f64>, now: Duration) -> Self {
        let interval = rate.filter(|rate| *rate > 0.0).map(|rate| Duration::try_from_secs_f64(1.0 / rate));
        // A rate so low that its interval cannot be told is one letter in centuries.
        Self { interval: interval.map_or(Duration::ZERO, |interval| interval.unwrap_or(Duration::MAX)), next: now }
    }

    /// How many may go `now`, at most `most`; how long to wait when none may.
    pub(super) fn permits(&mut self, now: Duration, most: usize) -> Result<usize, Duration> {
        if self.interval.is_zero() {
            return Ok(most);
        }
        if let Some(wait) = self.next.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        self.next = self.next.max(now.saturating_sub(CATCH_UP));
        let due = now.saturating_sub(self.next).as_nanos() / self.interval.as_nanos() + 1;
        Ok(usize::try_from(due).unwrap_or(usize::MAX).min(most))
    }

    /// So many went.
    pub(super) fn went(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.next = self.next.saturating_add(self.interval.saturating_mul(count));
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::clock::{Clock as _, ManualClock};

    /// How many go within `time`, when someone asks every `step`.
    fn sent(rate: f64, time: Duration, step: Duration) -> usize {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let mut pace = Pace::new(Some(rate), clock.monotonic());
        let mut sent = 0;
        while clock.monotonic() < time {
            if let Ok(permits) = pace.permits(clock.monotonic(), 100) {
                pace.went(permits);
                sent += permits;
            }
            clock.advance(step);
        }
        sent
    }

    #[test]
    fn as_many_go_in_a_while_as_the_rate_says() {
        let ten = Duration::from_secs(10);
        assert_eq!(sent(5.0, ten, Duration::from_millis(1)), 50);
        assert_eq!(sent(0.5, ten, Duration::from_millis(100)), 5);
        // More than one between two looks.
        assert!((990..=1_000).contains(&sent(100.0, ten, Duration::from_millis(50))));
    }

    #[test]
    fn a_pause_is_followed_by_no_burst() {
        let mut pace = Pace::new(Some(100.0), Duration::ZERO);
        assert_eq!(pace.permits(Duration::ZERO, 100), Ok(1));
        pace.went(1);
        assert_eq!(pace.permits(Duration::ZERO, 100), Err(Duration::from_millis(10)));
        assert_eq!(pace.permits(Duration::from_mins(10), 100), Ok(21));
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let mut pace = Pace::new(None, Duration::ZERO);
        pace.went(100);
        assert_eq!(pace.permits(Duration::ZERO, 100), Ok(100));
        let mut slowest = Pace::new(Some(f64::MIN_POSITIVE), Duration::ZERO);
        assert_eq!(slowest.permits(Duration::ZERO, 100), Ok(1));
        slowest.went(1);
        assert!(slowest.permits(Duration::from_hours(1_000), 100).is_err());
    }
}
