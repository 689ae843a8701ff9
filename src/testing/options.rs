//! Where a test kit runs, and how long it waits.

use std::time::Duration;

use crate::schema::Codec;
use crate::transport::kafka::KafkaOptions;

/// The variable that names real brokers: `host:port`, separated by commas.
pub const BROKERS_VARIABLE: &str = "TIDINGS_TEST_BROKERS";

/// The variable that names a schema registry, by its URL; it counts only beside [`BROKERS_VARIABLE`].
pub const REGISTRY_VARIABLE: &str = "TIDINGS_TEST_REGISTRY";

/// Where a [`TestKit`](super::TestKit) runs, and how long it waits.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `kafka` | none: in memory | |
/// | `codec` | one without a registry, shared by all services of the kit | |
/// | `partitions` | 4 | partitions of each topic |
/// | `patience` | 10 s in memory, 60 s on Kafka | real time |
/// | `settle` | 50 ms | real time |
#[derive(Debug, Clone)]
#[must_use]
pub struct TestOptions {
    pub(super) kafka: Option<KafkaOptions>,
    pub(super) codec: Codec,
    pub(super) partitions: u32,
    pub(super) patience: Option<Duration>,
    pub(super) settle: Duration,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self { kafka: None, codec: Codec::default(), partitions: 4, patience: None, settle: Duration::from_millis(50) }
    }
}

impl TestOptions {
    /// The defaults: in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// In memory; with [`BROKERS_VARIABLE`] set, on those brokers, and with [`REGISTRY_VARIABLE`] and the feature `registry`
    /// as well, with a codec of that registry.
    ///
    /// # Panics
    /// The registry's URL is none.
    pub fn from_environment() -> Self {
        match std::env::var(BROKERS_VARIABLE) {
            Ok(brokers) if !brokers.is_empty() => Self::registry_of_environment().kafka(KafkaOptions::new(brokers)),
            _ => Self::default(),
        }
    }

    #[cfg(feature = "registry")]
    fn registry_of_environment() -> Self {
        use crate::schema::{ConfluentRegistry, RegistryOptions};
        let options = Self::default();
        match std::env::var(REGISTRY_VARIABLE) {
            Ok(url) if !url.is_empty() => match ConfluentRegistry::new(&RegistryOptions::new(url)) {
                Ok(registry) => options.codec(Codec::new(std::sync::Arc::new(registry))),
                Err(error) => panic!("{REGISTRY_VARIABLE} names no schema registry: {}", super::panics::chain(&error)),
            },
            _ => options,
        }
    }

    #[cfg(not(feature = "registry"))]
    fn registry_of_environment() -> Self {
        Self::default()
    }

    /// Run on these brokers. Topics and groups get names that nobody else has, and are deleted with the kit.
    pub fn kafka(mut self, kafka: KafkaOptions) -> Self {
        self.kafka = Some(kafka);
        self
    }

    /// What encodes and decodes payloads where a consumer is not given a codec of its own. Default: one without a registry.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How many partitions each topic has. Default: 4.
    pub fn partitions(mut self, partitions: u32) -> Self {
        self.partitions = partitions.max(1);
        self
    }

    /// How long, in real time, something under way may show no progress before the test fails. Default: 10 s in memory, 60 s on
    /// Kafka, where a rebalance may take that long.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// How long, in real time, handlers that wait for something (a database, the test itself) are waited for before the kit
    /// takes things as they are. Default: 50 ms. Raise it where handlers do slow work that a test looks at.
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    pub(super) fn patience_or_default(&self) -> Duration {
        let default = if self.kafka.is_some() { Duration::from_mins(1) } else { Duration::from_secs(10) };
        self.patience.unwrap_or(default)
    }
}
