//! How often a group's engine is started again.

use std::collections::VecDeque;
use std::time::Duration;

use super::error::StopReason;
use super::retry::full_jitter;
use crate::dispatch::RetryPolicy;
use crate::transport::ConsumeError;

/// Counts failures within a window, as supervisors in Erlang/OTP do (restart intensity).
#[derive(Debug)]
pub(super) struct Restarts {
    most: u32,
    window: Duration,
    failures: VecDeque<Duration>,
}

impl Restarts {
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, failures: VecDeque::new() }
    }

    /// The engine failed at `now`: the pause before it is started again.
    ///
    /// # Errors
    /// It has failed too often.
    pub(super) fn next(&mut self, now: Duration, reason: StopReason) -> Result<Duration, StopReason> {
        while self.failures.front().is_some_and(|failure| *failure + self.window < now) {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        if self.most == 0 {
            return Err(reason);
        }
        if self.count() > self.most {
            return Err(StopReason::KeepsFailing {
                failures: self.count(),
                window: self.window,
                last: reason.to_string(),
            });
        }
        Ok(full_jitter(RetryPolicy::default().backoff_bound(self.count())))
    }

    /// Failures within the window.
    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.failures.len()).unwrap_or(u32::MAX)
    }
}

impl StopReason {
    /// Whether a new engine may do better: not where somebody has to decide, or to change something.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Consume(ConsumeError::Operation { .. }) | Self::Panicked(_) => true,
            Self::Consume(_)
            | Self::Exhausted { .. }
            | Self::WentBack { .. }
            | Self::DeadLetterRefused { .. }
            | Self::TooManyParked { .. }
            | Self::KeepsFailing { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panicked() -> StopReason {
        StopReason::Panicked("again".to_owned())
    }

    #[test]
    fn it_is_started_again_as_often_as_allowed_within_the_window_and_then_says_why_not() {
        let mut restarts = Restarts::new(2, Duration::from_secs(60));
        assert!(restarts.next(Duration::from_secs(1), panicked()).is_ok());
        assert!(restarts.next(Duration::from_secs(2), panicked()).is_ok());
        let stopped = restarts.next(Duration::from_secs(3), panicked()).unwrap_err();
        assert!(
            matches!(&stopped, StopReason::KeepsFailing { failures: 3, last, .. } if last.contains("again")),
            "{stopped}"
        );
    }

    #[test]
    fn failures_that_are_long_ago_do_not_count() {
        let mut restarts = Restarts::new(1, Duration::from_secs(60));
        for minute in 0..10 {
            assert!(restarts.next(Duration::from_secs(minute * 61), panicked()).is_ok());
        }
    }

    #[test]
    fn without_restarts_the_reason_itself_is_told() {
        let mut restarts = Restarts::new(0, Duration::from_secs(60));
        assert!(matches!(restarts.next(Duration::ZERO, panicked()), Err(StopReason::Panicked(_))));
    }
}
