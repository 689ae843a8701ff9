//! Pauses a handler that fails whatever it is given.

use std::time::Duration;

use rustc_hash::FxHashSet;
use smallvec::SmallVec;

use crate::dispatch::BreakerPolicy;
use crate::outcome::ErrorClass;

/// The most keys that are known to fail. Beyond that they are all forgotten, and count once more.
const FAILING: usize = 10_000;

/// A handler's breaker; see [`BreakerPolicy`].
#[derive(Debug)]
pub(crate) struct Breaker {
    policy: BreakerPolicy,
    state: State,
    /// Keys whose latest attempt failed, by hash. Such a key counts once, not again with each attempt: poisoned keys are tried
    /// in company, as their retries and dead letters end, and would look like a handler that fails whatever it is given.
    failing: FxHashSet<u64>,
}

#[derive(Debug)]
enum State {
    /// Attempts run. These keys began to fail, alike, since the last success, by hash.
    Closed { class: ErrorClass, failed: SmallVec<[u64; 4]> },
    /// Nothing runs before `until`.
    Open { until: Duration, pause: Duration },
    /// One attempt runs, to see.
    Probing { pause: Duration },
}

/// Whether an attempt may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Go,
    /// Nobody knows how long.
    Wait,
    WaitUntil(Duration),
}

/// What a failure did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tripped {
    /// It is as it was.
    No,
    /// It has opened, for this long.
    Opened(Duration),
}

impl Breaker {
    pub(crate) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, state: State::closed(), failing: FxHashSet::default() }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    /// Whether an attempt may begin; the first one behind the pause is the probe.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Go,
            State::Open { until, .. } if now < until => Admission::WaitUntil(until),
            State::Open { pause, .. } => {
                self.state = State::Probing { pause };
                Admission::Go
            }
            State::Probing { .. } => Admission::Wait,
        }
    }

    /// Whether the next attempt to begin is the probe.
    pub(crate) fn probes_next(&self, now: Duration) -> bool {
        matches!(self.state, State::Open { until, .. } if now >= until)
    }

    /// Whether the latest attempt at an event of `key` failed, as far as is known.
    pub(crate) fn is_failing(&self, key: u64) -> bool {
        self.failing.contains(&key)
    }

    /// An attempt at an event of a key succeeded; its hash is asked for only where it matters. `true` when that closes the breaker.
    pub(crate) fn succeeded(&mut self, key: impl FnOnce() -> u64) -> bool {
        if !self.failing.is_empty() {
            self.failing.remove(&key());
        }
        match &mut self.state {
            State::Closed { failed, .. } => {
                failed.clear();
                false
            }
            _ => {
                self.state = State::closed();
                true
            }
        }
    }

    /// An attempt at an event of `key` failed.
    pub(crate) fn failed(&mut self, key: u64, class: ErrorClass, now: Duration) -> Tripped {
        if self.policy.keys == 0 {
            return Tripped::No;
        }
        if self.failing.len() >= FAILING {
            self.failing.clear();
        }
        let is_new = self.failing.insert(key);
        let pause = match &mut self.state {
            State::Closed { class: burst, failed } => {
                if !is_new {
                    return Tripped::No;
                }
                if *burst != class {
                    *burst = class;
                    failed.clear();
                }
                failed.push(key);
                if failed.len() < self.policy.keys as usize {
                    return Tripped::No;
                }
                self.policy.pause
            }
            // Begun before it opened: it says nothing new.
            State::Open { .. } => return Tripped::No,
            State::Probing { pause } => pause.saturating_mul(2).min(self.policy.max_pause.max(self.policy.pause)),
        };
        self.state = State::Open { until: now.saturating_add(pause), pause };
        Tripped::Opened(pause)
    }

    /// An attempt ended without saying how. If it was the probe, another takes its place.
    pub(crate) fn vanished(&mut self, now: Duration) {
        if let State::Probing { pause } = self.state {
            self.state = State::Open { until: now, pause };
        }
    }

    /// How long until something may run; `None` while it is closed or a probe is under way.
    pub(crate) fn opens_in(&self, now: Duration) -> Option<Duration> {
        match self.state {
            State::Open { until, .. } => Some(until.saturating_sub(now)),
            _ => None,
        }
    }
}

impl State {
    fn closed() -> Self {
        Self::Closed { class: ErrorClass::Retryable, failed: SmallVec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn breaker() -> Breaker {
        Breaker::new(BreakerPolicy::default().keys(3).pause(Duration::from_secs(5)).max_pause(Duration::from_secs(15)))
    }

    fn opened() -> Breaker {
        let mut breaker = breaker();
        for key in 0..3 {
            breaker.failed(key, ErrorClass::Retryable, NOW);
        }
        breaker
    }

    #[test]
    fn it_opens_when_enough_keys_fail_alike_in_a_row() {
        let mut breaker = breaker();
        assert_eq!(breaker.failed(1, ErrorClass::Timeout, NOW), Tripped::No);
        assert_eq!(breaker.failed(2, ErrorClass::Timeout, NOW), Tripped::No);
        assert_eq!(breaker.failed(3, ErrorClass::Timeout, NOW), Tripped::Opened(Duration::from_secs(5)));
        assert_eq!(breaker.admit(NOW), Admission::WaitUntil(NOW + Duration::from_secs(5)));
    }

    #[test]
    fn one_poisoned_key_does_not_open_it() {
        let mut breaker = breaker();
        for _ in 0..1_000 {
            assert_eq!(breaker.failed(1, ErrorClass::Retryable, NOW), Tripped::No);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_key_counts_once_until_it_succeeds() {
        let mut breaker = breaker();
        for key in 0..2 {
            breaker.failed(key, ErrorClass::Retryable, NOW);
            breaker.succeeded(|| 100);
        }
        // Poisoned keys in company, again and again.
        for _ in 0..10 {
            assert_eq!(breaker.failed(0, ErrorClass::Retryable, NOW), Tripped::No);
            assert_eq!(breaker.failed(1, ErrorClass::Retryable, NOW), Tripped::No);
        }
        assert_eq!(breaker.failed(2, ErrorClass::Retryable, NOW), Tripped::No);
        assert_eq!(breaker.failed(3, ErrorClass::Retryable, NOW), Tripped::No);
        // One that was well in between counts again.
        breaker.succeeded(|| 0);
        for key in [0, 4] {
            assert_eq!(breaker.failed(key, ErrorClass::Retryable, NOW), Tripped::No);
        }
        assert!(matches!(breaker.failed(5, ErrorClass::Retryable, NOW), Tripped::Opened(_)));
        assert!(breaker.is_failing(0) && !breaker.is_failing(100));
    }

    #[test]
    fn a_poisoned_key_between_them_does_not_break_a_burst() {
        let mut breaker = breaker();
        breaker.failed(7, ErrorClass::Panic, NOW);
        breaker.succeeded(|| 100);
        for key in 0..3 {
            assert_eq!(breaker.failed(7, ErrorClass::Panic, NOW), Tripped::No);
            let tripped = breaker.failed(key, ErrorClass::Retryable, NOW);
            assert_eq!(matches!(tripped, Tripped::Opened(_)), key == 2);
        }
    }

    #[test]
    fn what_is_known_of_failing_keys_is_bounded() {
        let mut breaker = breaker();
        for key in 0..100_000 {
            breaker.failed(key, ErrorClass::Retryable, NOW);
            breaker.succeeded(|| u64::MAX);
        }
        assert!(breaker.failing.len() <= FAILING);
    }

    #[test]
    fn a_success_or_another_error_begins_a_new_burst() {
        let mut breaker = breaker();
        breaker.failed(1, ErrorClass::Retryable, NOW);
        breaker.failed(2, ErrorClass::Retryable, NOW);
        breaker.succeeded(|| 1);
        breaker.failed(3, ErrorClass::Retryable, NOW);
        breaker.failed(4, ErrorClass::Panic, NOW);
        breaker.failed(5, ErrorClass::Panic, NOW);
        assert!(breaker.is_closed());
    }

    #[test]
    fn one_probe_decides() {
        let mut breaker = opened();
        let later = NOW + Duration::from_secs(5);
        assert_eq!((breaker.admit(later), breaker.admit(later)), (Admission::Go, Admission::Wait));
        // It fails: twice the pause, up to the longest.
        assert_eq!(breaker.failed(9, ErrorClass::Retryable, later), Tripped::Opened(Duration::from_secs(10)));
        let later = later + Duration::from_secs(10);
        assert_eq!(breaker.admit(later), Admission::Go);
        assert_eq!(breaker.failed(9, ErrorClass::Retryable, later), Tripped::Opened(Duration::from_secs(15)));
        let later = later + Duration::from_secs(15);
        assert_eq!(breaker.admit(later), Admission::Go);
        assert!(breaker.succeeded(|| 9) && breaker.is_closed());
    }

    #[test]
    fn a_probe_that_vanishes_is_followed_by_another() {
        let mut breaker = opened();
        let later = NOW + Duration::from_secs(5);
        assert_eq!(breaker.admit(later), Admission::Go);
        breaker.vanished(later);
        assert_eq!(breaker.admit(later), Admission::Go);
    }

    #[test]
    fn without_keys_there_is_no_breaker() {
        let mut breaker = Breaker::new(BreakerPolicy::default().keys(0));
        for key in 0..100 {
            assert_eq!(breaker.failed(key, ErrorClass::Retryable, NOW), Tripped::No);
        }
    }
}
