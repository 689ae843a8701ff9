//! What the engine does about an outcome.

use std::time::Duration;

use crate::dispatch::{OnExhausted, RetryPolicy};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// What a handler's failures lead to: the consumer's options with what block and handler replaced.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FailurePolicy {
    pub(crate) retry: RetryPolicy,
    pub(crate) on_exhausted: OnExhausted,
    pub(crate) timeout: Duration,
}

/// What to do with a delivery after an attempt.
#[derive(Debug)]
pub(crate) enum Decision {
    Complete,
    RetryAfter(Duration, HandlerError),
    DeadLetter(HandlerError),
    Park(HandlerError),
    Stop(HandlerError),
}

/// How often, and for how long, a delivery has been tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried {
    /// Attempts that count, the last included.
    pub(crate) attempts: u32,
    /// Failures in all; the pause grows with them.
    pub(crate) failures: u32,
    /// Time since the first began.
    pub(crate) age: Duration,
}

impl FailurePolicy {
    /// Decide. `jitter` draws evenly from zero to its argument.
    pub(crate) fn decide(&self, outcome: Outcome, tried: Tried, jitter: impl Fn(Duration) -> Duration) -> Decision {
        match outcome {
            Outcome::Done => Decision::Complete,
            Outcome::DeadLetter { error } => Decision::DeadLetter(error),
            Outcome::Park { error } => Decision::Park(error),
            Outcome::Retry { error, .. } if error.is_terminal() => self.give_up(error),
            Outcome::Retry { error, after } => {
                let unblamed = error.class() == ErrorClass::Unavailable;
                let pause = match after {
                    // However often that is said: nothing ends it but the error's own end.
                    Some(after) if unblamed => after.max(self.retry.backoff_bound(1)),
                    Some(after) => after,
                    None => jitter(self.retry.backoff_bound(tried.failures)),
                };
                // Where nothing is wrong with the event, it is not given up, however long it takes.
                let exhausted = !unblamed
                    && (tried.attempts >= self.retry.max_attempts
                        || tried.age.saturating_add(pause) > self.retry.max_age);
                if exhausted { self.give_up(error) } else { Decision::RetryAfter(pause, error) }
            }
        }
    }

    fn give_up(&self, error: HandlerError) -> Decision {
        match self.on_exhausted {
            // Its successors would go on from another event than theirs.
            OnExhausted::DeadLetter if error.class() == ErrorClass::Forked => Decision::Park(error),
            OnExhausted::DeadLetter => Decision::DeadLetter(error),
            OnExhausted::ParkKey => Decision::Park(error),
            OnExhausted::Stop => Decision::Stop(error),
        }
    }
}

/// Evenly from zero to `bound`.
pub(crate) fn full_jitter(bound: Duration) -> Duration {
    use rand::RngExt as _;
    bound.mul_f64(rand::rng().random_range(0.0..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> FailurePolicy {
        FailurePolicy {
            retry: RetryPolicy::default(),
            on_exhausted: OnExhausted::DeadLetter,
            timeout: Duration::from_secs(1),
        }
    }

    fn failed() -> Outcome {
        Outcome::from(HandlerError::from("away"))
    }

    fn decide(policy: FailurePolicy, outcome: Outcome, attempts: u32, age: u64) -> Decision {
        policy.decide(outcome, Tried { attempts, failures: attempts, age: Duration::from_secs(age) }, |bound| bound)
    }

    #[test]
    fn a_failure_is_retried_with_a_growing_pause_until_attempts_run_out() {
        assert!(
            matches!(decide(policy(), failed(), 1, 0), Decision::RetryAfter(pause, _) if pause == Duration::from_millis(100))
        );
        assert!(
            matches!(decide(policy(), failed(), 9, 0), Decision::RetryAfter(pause, _) if pause == Duration::from_millis(25_600))
        );
        assert!(matches!(decide(policy(), failed(), 10, 0), Decision::DeadLetter(_)));
    }

    #[test]
    fn an_event_is_not_retried_past_its_age() {
        assert!(matches!(decide(policy(), failed(), 2, 600), Decision::DeadLetter(_)));
    }

    #[test]
    fn a_policy_may_stop_the_consumer_instead() {
        let policy = FailurePolicy { on_exhausted: OnExhausted::Stop, ..policy() };
        assert!(matches!(decide(policy, failed(), 10, 0), Decision::Stop(_)));
    }

    #[test]
    fn the_policy_is_for_terminal_failures_too_but_not_for_what_the_handler_decided() {
        let policy = FailurePolicy { on_exhausted: OnExhausted::Stop, ..policy() };
        assert!(matches!(decide(policy, HandlerError::from("never").terminal().into(), 1, 0), Decision::Stop(_)));
        assert!(matches!(decide(policy, Outcome::dead_letter("no use"), 1, 0), Decision::DeadLetter(_)));
    }

    #[test]
    fn a_fork_is_parked_where_other_events_would_be_dead_letters() {
        let fork = || HandlerError::new(ErrorClass::Forked, "another event has its place").into();
        assert!(matches!(decide(policy(), fork(), 1, 0), Decision::Park(_)));
        let parks = FailurePolicy { on_exhausted: OnExhausted::ParkKey, ..policy() };
        assert!(matches!(decide(parks, fork(), 1, 0), Decision::Park(_)));
        let stops = FailurePolicy { on_exhausted: OnExhausted::Stop, ..policy() };
        assert!(matches!(decide(stops, fork(), 1, 0), Decision::Stop(_)));
    }

    #[test]
    fn a_terminal_failure_is_not_retried() {
        let outcome = Outcome::Retry { error: HandlerError::from("never").terminal(), after: None };
        assert!(matches!(decide(policy(), outcome, 1, 0), Decision::DeadLetter(_)));
    }

    #[test]
    fn an_event_is_never_given_up_because_the_registry_is_away() {
        let outcome = Outcome::from(HandlerError::new(ErrorClass::Unavailable, "registry away"));
        assert!(matches!(decide(policy(), outcome, 10_000, 1_000_000), Decision::RetryAfter(..)));
    }

    #[test]
    fn a_handler_that_says_at_once_is_asked_no_faster_than_its_policy_would_begin_to() {
        let outcome = Outcome::retry_after(Duration::ZERO, HandlerError::new(ErrorClass::Unavailable, "away"));
        let decision = decide(policy(), outcome, 7, 0);
        assert!(
            matches!(decision, Decision::RetryAfter(pause, _) if pause == Duration::from_millis(100)),
            "{decision:?}"
        );
    }

    #[test]
    fn a_handler_that_says_when_is_asked_again_then_also_where_nothing_is_wrong_with_the_event() {
        let after = Duration::from_mins(5);
        let outcome = Outcome::retry_after(after, HandlerError::new(ErrorClass::Unavailable, "database away"));
        let decision = decide(policy(), outcome, 1, 1_000_000);
        assert!(matches!(decision, Decision::RetryAfter(pause, _) if pause == after), "{decision:?}");
    }

    #[test]
    fn jitter_stays_within_its_bound() {
        for _ in 0..1_000 {
            assert!(full_jitter(Duration::from_millis(7)) <= Duration::from_millis(7));
        }
    }
}
