//! How to reach the brokers.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

/// How to reach the brokers: the addresses and librdkafka's own properties, TLS and SASL among them.
///
/// | property | default |
/// | --- | --- |
/// | `brokers` | `localhost:9092` |
/// | `client_id` | `tidings` |
/// | `properties` | none; see librdkafka's `CONFIGURATION.md` |
///
/// ```
/// use tidings::transport::kafka::KafkaOptions;
///
/// let options = KafkaOptions::new("broker-1:9093,broker-2:9093")
///     .property("security.protocol", "SASL_SSL")
///     .property("sasl.mechanism", "SCRAM-SHA-512")
///     .property("sasl.username", "accounts")
///     .property("sasl.password", "correct horse");
/// assert!(!format!("{options:?}").contains("correct horse"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    brokers: String,
    client_id: String,
    properties: BTreeMap<String, String>,
}

impl KafkaOptions {
    /// The brokers at `brokers`: `host:port`, separated by commas.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self { brokers: brokers.into(), client_id: "tidings".to_owned(), properties: BTreeMap::new() }
    }

    /// The name brokers log for this client. Default: `tidings`.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// A property of librdkafka, passed through. It wins over what tidings sets.
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// The brokers' addresses.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// A configuration of `defaults`, these addresses and, last, the user's own properties.
    pub(crate) fn to_client_config(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", &self.client_id);
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self::new("localhost:9092")
    }
}

impl fmt::Debug for KafkaOptions {
    // Values may be passwords, keys or paths to them: names only.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaOptions")
            .field("brokers", &self.brokers)
            .field("client_id", &self.client_id)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}
