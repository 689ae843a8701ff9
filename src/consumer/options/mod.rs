//! A consumer's options.

#[cfg(test)]
mod documented;
mod environment;
mod error;
mod file;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use self::error::OptionsError;
use super::health::HealthOptions;
use crate::dispatch::{BreakerPolicy, DeliveryOrder, Limits, OnExhausted, RetryPolicy};
use crate::positive::at_least_one;
use crate::transport::kafka::{KafkaOptions, StartFrom};

/// How a consumer reads, handles and gives up.
#[doc = include_str!("../../../docs/options.md")]
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use]
pub struct ConsumerOptions {
    pub(crate) service: String,
    pub(crate) kafka: KafkaOptions,
    #[serde(deserialize_with = "crate::positive::deserialize")]
    pub(crate) max_in_flight: usize,
    #[serde(deserialize_with = "crate::positive::deserialize")]
    pub(crate) max_buffered_bytes: usize,
    #[serde(rename = "commit_interval_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) commit_interval: Duration,
    #[serde(deserialize_with = "crate::positive::deserialize")]
    pub(crate) commit_count: usize,
    pub(crate) commit_metadata_bytes: usize,
    pub(crate) start_from: StartFrom,
    #[serde(rename = "drain_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) drain_timeout: Duration,
    #[serde(rename = "timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) timeout: Duration,
    #[serde(rename = "startup_timeout_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) startup_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) on_exhausted: OnExhausted,
    pub(crate) order: DeliveryOrder,
    pub(crate) concurrency: Option<NonZeroU32>,
    pub(crate) rate: Option<NonZeroU32>,
    pub(crate) max_waiting: Option<u32>,
    pub(crate) breaker: BreakerPolicy,
    pub(crate) tenant_limits_file: Option<PathBuf>,
    #[serde(deserialize_with = "crate::positive::deserialize")]
    pub(crate) max_parked_per_key: u64,
    pub(crate) max_restarts: u32,
    #[serde(rename = "restart_window_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(crate) restart_window: Duration,
    pub(crate) dead_letter_topic: Option<String>,
    pub(crate) create_dead_letter_topic: bool,
    pub(crate) health: HealthOptions,
    pub(crate) parked_topic: Option<String>,
    pub(crate) create_parked_topic: bool,
}

/// librdkafka's default of `session.timeout.ms`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(45);

/// What an absence is held against where the brokers coordinate groups: there they set the session's length and tell nobody. It is
/// 45 s by default, but may be as short as the pause between two heartbeats, which is this long by default.
const SHORTEST_SESSION: Duration = Duration::from_secs(5);

impl ConsumerOptions {
    /// The options of the service called `service`; its name begins the names of its groups.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), ..Self::default() }
    }

    /// How to reach the brokers. Default: `localhost:9092`.
    pub fn kafka(mut self, kafka: KafkaOptions) -> Self {
        self.kafka = kafka;
        self
    }

    /// Handlers that run at once in a group. Default: 256.
    pub fn max_in_flight(mut self, handlers: usize) -> Self {
        self.max_in_flight = handlers.max(1);
        self
    }

    /// Bytes of records a group holds at most, waiting ones included; a single record may pass it. Default: 64 MiB.
    /// When it is reached nothing more is fetched, and nothing that was fetched is thrown away.
    pub fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes.max(1);
        self
    }

    /// The longest time between two commits while there is something to commit. Default: 1 s. A crash delivers again what
    /// was completed since the last one.
    pub fn commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = interval;
        self
    }

    /// Completed records that make a commit due before the interval has passed. Default: 50,000.
    pub fn commit_count(mut self, records: usize) -> Self {
        self.commit_count = records.max(1);
        self
    }

    /// What may travel with a committed offset, in bytes: which events above it are complete, so that a restart does not do them
    /// again. Default: 4,096, as brokers have it (`offset.metadata.max.bytes`); 0 sends nothing.
    pub fn commit_metadata_bytes(mut self, bytes: usize) -> Self {
        self.commit_metadata_bytes = bytes;
        self
    }

    /// Where a group begins that has committed nothing. Default: [`StartFrom::Earliest`]. A group that has committed goes on
    /// there, and stops with an error when retention has deleted what is next: skipping it must be somebody's decision.
    pub fn start_from(mut self, start: StartFrom) -> Self {
        self.start_from = start;
        self
    }

    /// How long running handlers may go on when their partition is revoked, or when the consumer shuts down; then they are
    /// cancelled and their events delivered again. Until then the partitions that stay wait too. Default: 20 s.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// How long one attempt of a handler may take; then it is cancelled and counts as failed. Default: 60 s. A dispatcher's or a
    /// handler's own wins, as with every policy here.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long the checks at startup may take, such as reaching a broker. Default: 15 s.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// When and how often failed events are tried again. A dispatcher's or a handler's own policy wins.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// What becomes of an event that failed for good. Default: [`OnExhausted::DeadLetter`].
    pub fn on_exhausted(mut self, action: OnExhausted) -> Self {
        self.on_exhausted = action;
        self
    }

    /// Which events wait for which. Default: [`DeliveryOrder::Key`].
    pub fn order(mut self, order: DeliveryOrder) -> Self {
        self.order = order;
        self
    }

    /// Attempts of each handler that run at once. Default: not limited, but by [`max_in_flight`](Self::max_in_flight). 0 counts as 1.
    pub fn concurrency(mut self, attempts: u32) -> Self {
        self.concurrency = Some(at_least_one(attempts));
        self
    }

    /// Attempts of each handler that begin in a second. Default: not limited. 0 counts as 1.
    pub fn rate(mut self, attempts_per_second: u32) -> Self {
        self.rate = Some(at_least_one(attempts_per_second));
        self
    }

    /// Keys that wait for each handler's limits or its breaker; an event of one more is rejected. Default: not limited.
    pub fn max_waiting(mut self, keys: u32) -> Self {
        self.max_waiting = Some(keys);
        self
    }

    /// When a handler that fails whatever it is given is paused. A dispatcher's or a handler's own policy wins.
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self {
        self.breaker = policy;
        self
    }

    /// The file of tenants' limits; see [`ConsumerBuilder::tenant_limits_file`](super::ConsumerBuilder::tenant_limits_file), which wins.
    /// Default: none.
    pub fn tenant_limits_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.tenant_limits_file = Some(path.into());
        self
    }

    /// Events of one key that may be parked; one more stops the consumer. Default: 10,000.
    pub fn max_parked_per_key(mut self, events: u64) -> Self {
        self.max_parked_per_key = events.max(1);
        self
    }

    /// How often a group that fails (its client, or a bug) is started again within [`restart_window`](Self::restart_window); once
    /// more, and the consumer stops and says why. Default: 5.
    pub fn max_restarts(mut self, restarts: u32) -> Self {
        self.max_restarts = restarts;
        self
    }

    /// The window of [`max_restarts`](Self::max_restarts). Default: 5 min.
    pub fn restart_window(mut self, window: Duration) -> Self {
        self.restart_window = window;
        self
    }

    /// The topic of dead letters. Default: the group's name and `.dead-letters`.
    pub fn dead_letter_topic(mut self, topic: impl Into<String>) -> Self {
        self.dead_letter_topic = Some(topic.into());
        self
    }

    /// Whether the dead-letter topic is created at startup when it is missing. Default: `true`; when `false`, a missing one is
    /// an error at startup.
    pub fn create_dead_letter_topic(mut self, create: bool) -> Self {
        self.create_dead_letter_topic = create;
        self
    }

    /// When the consumer counts as live and ready, and what is told of it. Default: [`HealthOptions::default`].
    pub fn health(mut self, health: HealthOptions) -> Self {
        self.health = health;
        self
    }

    /// The topic of parked events, where no database keeps them. Default: the group's name and `.parked`. It has one partition and is
    /// compacted.
    pub fn parked_topic(mut self, topic: impl Into<String>) -> Self {
        self.parked_topic = Some(topic.into());
        self
    }

    /// Whether the topic of parked events is created at startup when a policy parks keys and it is missing. Default: `true`; when
    /// `false`, a missing one is an error at startup.
    pub fn create_parked_topic(mut self, create: bool) -> Self {
        self.create_parked_topic = create;
        self
    }
}

impl ConsumerOptions {
    /// How long a member may be silent without the group taking it for gone: the client's `session.timeout.ms`, or what brokers
    /// that set it themselves grant at least.
    pub(crate) fn session_timeout(&self) -> Duration {
        if self.kafka.brokers_coordinate_groups() {
            return SHORTEST_SESSION;
        }
        let given = self.kafka.user_property("session.timeout.ms").and_then(|(_, value)| value.parse().ok());
        given.map_or(SESSION_TIMEOUT, Duration::from_millis)
    }

    /// What each handler may use that says nothing.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            concurrency: self.concurrency.map(NonZeroU32::get),
            rate: self.rate.map(NonZeroU32::get),
            max_waiting: self.max_waiting,
        }
    }

    /// As the setters would have it: a policy's fields are open, so code may say 0.
    pub(crate) fn bounded(mut self) -> Self {
        self.retry.max_attempts = self.retry.max_attempts.max(1);
        self
    }
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            service: String::new(),
            kafka: KafkaOptions::default(),
            max_in_flight: 256,
            max_buffered_bytes: 64 * 1024 * 1024,
            commit_interval: Duration::from_secs(1),
            commit_count: 50_000,
            commit_metadata_bytes: 4_096,
            start_from: StartFrom::Earliest,
            drain_timeout: Duration::from_secs(20),
            timeout: Duration::from_mins(1),
            startup_timeout: Duration::from_secs(15),
            retry: RetryPolicy::default(),
            on_exhausted: OnExhausted::DeadLetter,
            order: DeliveryOrder::Key,
            concurrency: None,
            rate: None,
            max_waiting: None,
            breaker: BreakerPolicy::default(),
            tenant_limits_file: None,
            max_parked_per_key: 10_000,
            max_restarts: 5,
            restart_window: Duration::from_mins(5),
            dead_letter_topic: None,
            create_dead_letter_topic: true,
            health: HealthOptions::default(),
            parked_topic: None,
            create_parked_topic: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_held_against_the_shortest_session_the_group_may_have() {
        let timeout = |properties: &[(&str, &str)]| {
            let given = |kafka: KafkaOptions, (name, value): &(&str, &str)| kafka.property(*name, *value);
            let kafka = properties.iter().fold(KafkaOptions::default(), given);
            ConsumerOptions::new("leaderboards").kafka(kafka).session_timeout().as_secs()
        };
        assert_eq!(timeout(&[]), 45);
        assert_eq!(timeout(&[("session.timeout.ms", "6000")]), 6);
        // What a member of this protocol says of its session is not heard.
        assert_eq!(timeout(&[("session.timeout.ms", "60000"), ("group.protocol", "consumer")]), 5);
    }
}
