//! How failures are treated: a consumer's defaults, and what a dispatcher or a handler says instead.

use std::time::Duration;

use serde::Deserialize;

use super::{BreakerOverrides, DeliveryOrder, Limits};

/// When and how often a failed delivery is tried again.
///
/// The pause before attempt *n + 1* is drawn evenly from zero to `initial × 2^(n-1)`, capped at `max`
/// ("full jitter": Brooker, *Exponential Backoff and Jitter*, AWS Architecture Blog, 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts in all, the first included. Default: 10.
    #[serde(deserialize_with = "crate::positive::deserialize")]
    pub max_attempts: u32,
    /// The bound of the first pause. Default: 100 ms. In a file: `initial_ms`.
    #[serde(rename = "initial_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub initial: Duration,
    /// The bound of every pause. Default: 30 s. In a file: `max_ms`.
    #[serde(rename = "max_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub max: Duration,
    /// No attempt begins later than this after the first. Default: 10 min. In a file: `max_age_ms`.
    #[serde(rename = "max_age_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub max_age: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 10,
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            max_age: Duration::from_mins(10),
        }
    }
}

impl RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The bound of the first pause.
    pub fn initial(mut self, pause: Duration) -> Self {
        self.initial = pause;
        self
    }

    /// The bound of every pause.
    pub fn max(mut self, pause: Duration) -> Self {
        self.max = pause;
        self
    }

    /// No attempt begins later than this after the first.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// The same policy with what `overrides` names replaced.
    pub fn with(self, overrides: RetryOverrides) -> Self {
        Self {
            max_attempts: overrides.max_attempts.unwrap_or(self.max_attempts),
            initial: overrides.initial.unwrap_or(self.initial),
            max: overrides.max.unwrap_or(self.max),
            max_age: overrides.max_age.unwrap_or(self.max_age),
        }
    }

    /// The longest pause after `attempts` failed ones.
    pub fn backoff_bound(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }
}

/// What becomes of an event that failed for good: with its attempts used up, or with a terminal error. An event whose handler
/// returned [`Outcome::DeadLetter`](crate::Outcome::DeadLetter), or that fits no single handler, goes to the dead letters
/// whatever is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnExhausted {
    /// It goes to the dead-letter topic, and its key goes on. The default.
    DeadLetter,
    /// It is parked: it and what follows of its key wait, in order and durably, until an operator releases the key.
    ParkKey,
    /// The consumer stops and says why.
    Stop,
}

/// The parts of a [`RetryPolicy`] that a block or a handler replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RetryOverrides {
    /// Attempts in all.
    pub max_attempts: Option<u32>,
    /// The bound of the first pause.
    pub initial: Option<Duration>,
    /// The bound of every pause.
    pub max: Option<Duration>,
    /// No attempt begins later than this after the first.
    pub max_age: Option<Duration>,
}

impl RetryOverrides {
    /// Replaces nothing.
    pub const fn new() -> Self {
        Policy::INHERIT.retry
    }

    /// Attempts in all, the first included; at least 1.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(if attempts == 0 { 1 } else { attempts });
        self
    }

    /// The bound of the first pause.
    pub const fn initial(mut self, pause: Duration) -> Self {
        self.initial = Some(pause);
        self
    }

    /// The bound of every pause.
    pub const fn max(mut self, pause: Duration) -> Self {
        self.max = Some(pause);
        self
    }

    /// No attempt begins later than this after the first.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }
}

/// What a block or a handler says about failures, order and limits; what it leaves out it inherits: the handler from its block, the block from
/// the consumer's options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Policy {
    /// Retries.
    pub retry: RetryOverrides,
    /// What happens after the last one.
    pub on_exhausted: Option<OnExhausted>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Which events wait for which.
    pub order: Option<DeliveryOrder>,
    /// What the handler may use.
    pub limits: Limits,
    /// When it is paused.
    pub breaker: BreakerOverrides,
}

impl Policy {
    /// Says nothing: everything is inherited.
    pub const INHERIT: Self = Self {
        retry: RetryOverrides { max_attempts: None, initial: None, max: None, max_age: None },
        on_exhausted: None,
        timeout: None,
        order: None,
        limits: Limits { concurrency: None, rate: None, max_waiting: None },
        breaker: BreakerOverrides { keys: None, pause: None, max_pause: None },
    };

    /// This policy; what it leaves out is as `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            retry: RetryOverrides {
                max_attempts: self.retry.max_attempts.or(other.retry.max_attempts),
                initial: self.retry.initial.or(other.retry.initial),
                max: self.retry.max.or(other.retry.max),
                max_age: self.retry.max_age.or(other.retry.max_age),
            },
            on_exhausted: self.on_exhausted.or(other.on_exhausted),
            timeout: self.timeout.or(other.timeout),
            order: self.order.or(other.order),
            limits: self.limits.or(other.limits),
            breaker: BreakerOverrides {
                keys: self.breaker.keys.or(other.breaker.keys),
                pause: self.breaker.pause.or(other.breaker.pause),
                max_pause: self.breaker.max_pause.or(other.breaker.max_pause),
            },
        }
    }

    /// Attempts in all, the first included.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.retry.max_attempts = Some(attempts);
        self
    }

    /// The bound of the first pause.
    pub const fn initial(mut self, pause: Duration) -> Self {
        self.retry.initial = Some(pause);
        self
    }

    /// The bound of every pause.
    pub const fn max(mut self, pause: Duration) -> Self {
        self.retry.max = Some(pause);
        self
    }

    /// No attempt begins later than this after the first.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.retry.max_age = Some(age);
        self
    }

    /// What becomes of an event that failed for good.
    pub const fn on_exhausted(mut self, action: OnExhausted) -> Self {
        self.on_exhausted = Some(action);
        self
    }

    /// How long one attempt may take.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Which events wait for which.
    pub const fn order(mut self, order: DeliveryOrder) -> Self {
        self.order = Some(order);
        self
    }

    /// Attempts that run at once; at least 1.
    pub const fn concurrency(mut self, attempts: u32) -> Self {
        self.limits.concurrency = Some(if attempts == 0 { 1 } else { attempts });
        self
    }

    /// Attempts that begin in a second; at least 1.
    pub const fn rate(mut self, attempts_per_second: u32) -> Self {
        self.limits.rate = Some(if attempts_per_second == 0 { 1 } else { attempts_per_second });
        self
    }

    /// Keys that wait for the handler's limits; an event beyond is rejected.
    pub const fn max_waiting(mut self, keys: u32) -> Self {
        self.limits.max_waiting = Some(keys);
        self
    }

    /// Different keys that fail alike in a row before the handler is paused; 0 means never.
    pub const fn breaker_keys(mut self, keys: u32) -> Self {
        self.breaker.keys = Some(keys);
        self
    }

    /// The first pause of a handler whose breaker opens.
    pub const fn breaker_pause(mut self, pause: Duration) -> Self {
        self.breaker.pause = Some(pause);
        self
    }

    /// The longest pause of a handler whose breaker opens.
    pub const fn breaker_max_pause(mut self, pause: Duration) -> Self {
        self.breaker.max_pause = Some(pause);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_maximum() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.backoff_bound(1), Duration::from_millis(100));
        assert_eq!(policy.backoff_bound(3), Duration::from_millis(400));
        assert_eq!(policy.backoff_bound(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn a_handler_replaces_only_what_it_names() {
        let policy = RetryPolicy::default().with(Policy::INHERIT.max_attempts(3).retry);
        assert_eq!(policy, RetryPolicy { max_attempts: 3, ..RetryPolicy::default() });
    }

    #[test]
    fn a_policy_is_completed_by_another_one_part_by_part() {
        let second = Duration::from_secs(1);
        let full = Policy::INHERIT
            .max_attempts(1)
            .initial(second)
            .max(second)
            .max_age(second)
            .on_exhausted(OnExhausted::Stop)
            .timeout(second)
            .order(DeliveryOrder::Partition)
            .concurrency(1)
            .rate(1)
            .max_waiting(1)
            .breaker_keys(1)
            .breaker_pause(second)
            .breaker_max_pause(second);
        assert_eq!(Policy::INHERIT.or(full), full);
        assert_eq!(full.or(Policy::INHERIT.max_attempts(9).rate(9).breaker_keys(9)), full);
        assert_eq!(Policy::INHERIT.rate(9).or(full), full.rate(9));
    }
}
