//! What holds a handler's events back: order, limits, breakers, batches.

use std::time::Duration;

use serde::Deserialize;

/// Which events wait for which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeliveryOrder {
    /// Events of one key, in their order; keys wait for nobody else. The default.
    #[default]
    Key,
    /// Events of one partition, in their order: as a plain consumer has it.
    Partition,
    /// None: every event runs as soon as there is a place.
    Unordered,
}

/// What a handler may use; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Attempts that run at once, in a group's process.
    pub concurrency: Option<u32>,
    /// Attempts that begin in a second, in a group's process.
    pub rate: Option<u32>,
    /// Keys that wait for the two above; an event beyond is rejected, and given up as the policy says.
    pub max_waiting: Option<u32>,
}

impl Limits {
    /// These limits; what they leave out is as `other` says.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            concurrency: self.concurrency.or(other.concurrency),
            rate: self.rate.or(other.rate),
            max_waiting: self.max_waiting.or(other.max_waiting),
        }
    }
}

/// When a handler is paused because it fails whatever it is given.
///
/// A breaker opens when attempts at events of `keys` different keys have failed, all with the same class of error, and none
/// succeeded in between. While it is open the handler's events wait, and none is given up. After `pause` one event is tried: if it
/// succeeds the breaker closes, if it fails the pause doubles, up to `max_pause`.
///
/// Only failures count that another attempt might mend. A terminal error and a payload that cannot be decoded are the event's own:
/// they neither open a breaker nor keep one open, and the event is given up, as the policy says, however many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerPolicy {
    /// Different keys that fail alike in a row. Default: 20; 0 means that there is no breaker.
    pub keys: u32,
    /// The first pause. Default: 5 s. In a file: `pause_ms`.
    #[serde(rename = "pause_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub pause: Duration,
    /// The longest pause. Default: 1 min. In a file: `max_pause_ms`.
    #[serde(rename = "max_pause_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub max_pause: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { keys: 20, pause: Duration::from_secs(5), max_pause: Duration::from_mins(1) }
    }
}

impl BreakerPolicy {
    /// Different keys that fail alike in a row; 0 means that there is no breaker.
    #[must_use]
    pub fn keys(mut self, keys: u32) -> Self {
        self.keys = keys;
        self
    }

    /// The first pause.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// The longest pause.
    #[must_use]
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// The same policy with what `overrides` names replaced.
    #[must_use]
    pub fn with(self, overrides: BreakerOverrides) -> Self {
        Self {
            keys: overrides.keys.unwrap_or(self.keys),
            pause: overrides.pause.unwrap_or(self.pause),
            max_pause: overrides.max_pause.unwrap_or(self.max_pause),
        }
    }
}

/// The parts of a [`BreakerPolicy`] that a block or a handler replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BreakerOverrides {
    /// Different keys that fail alike in a row.
    pub keys: Option<u32>,
    /// The first pause.
    pub pause: Option<Duration>,
    /// The longest pause.
    pub max_pause: Option<Duration>,
}

impl BreakerOverrides {
    /// Replaces nothing.
    pub const fn new() -> Self {
        Self { keys: None, pause: None, max_pause: None }
    }

    /// Different keys that fail alike in a row; 0 means that there is no breaker.
    #[must_use]
    pub const fn keys(mut self, keys: u32) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The first pause.
    #[must_use]
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// The longest pause.
    #[must_use]
    pub const fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = Some(pause);
        self
    }
}

/// How a handler of batches is given its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchPolicy {
    /// Events of a batch at most; at least 1.
    pub max: u32,
    /// How long the first event of a batch waits for others.
    pub wait: Duration,
}

impl BatchPolicy {
    /// At most `max` events, the first of which waits for others no longer than `wait`.
    pub const fn new(max: u32, wait: Duration) -> Self {
        Self { max: if max == 0 { 1 } else { max }, wait }
    }
}
