//! How to reach the brokers.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use serde::Deserialize;

use super::client_context;

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
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaOptions {
    brokers: String,
    client_id: String,
    properties: BTreeMap<String, String>,
}

/// librdkafka's second names: whichever a user writes must replace the default set under the other.
const ALIASES: &[(&str, &str)] = &[
    ("bootstrap.servers", "metadata.broker.list"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("retries", "message.send.max.retries"),
    ("compression.type", "compression.codec"),
    ("acks", "request.required.acks"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("enable.auto.commit", "auto.commit.enable"),
];

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

    /// Other brokers.
    #[cfg(feature = "consumer")]
    pub(super) fn replace_brokers(&mut self, brokers: &str) {
        brokers.clone_into(&mut self.brokers);
    }

    /// Another value of a property, whichever of its names it was set by.
    #[cfg(feature = "consumer")]
    pub(super) fn replace_property(&mut self, name: &str, value: &str) {
        self.properties.retain(|written, _| canonical(written) != canonical(name));
        self.properties.insert(name.to_owned(), value.to_owned());
    }

    /// The brokers' addresses.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// What the user set for `name`, under any of its names.
    pub(crate) fn user_property(&self, name: &str) -> Option<(&str, &str)> {
        self.properties
            .iter()
            .find(|(written, _)| canonical(written) == canonical(name))
            .map(|(written, value)| (written.as_str(), value.as_str()))
    }

    /// Whether the brokers coordinate groups by the newer protocol (KIP-848), in which they assign partitions and set timeouts.
    #[cfg(feature = "consumer")]
    pub(crate) fn brokers_coordinate_groups(&self) -> bool {
        self.user_property("group.protocol").is_some_and(|(_, protocol)| protocol.eq_ignore_ascii_case("consumer"))
    }

    /// A configuration of `defaults`, these addresses and, last, the user's own properties.
    pub(crate) fn to_client_config(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        let mut set = |name: &str, value: &str| {
            // The client applies its properties in no order: two names of one property must not meet.
            if self.user_property(name).is_none() {
                config.set(name, value);
            }
        };
        set("bootstrap.servers", &self.brokers);
        set("client.id", &self.client_id);
        for (name, value) in defaults {
            set(name, value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set_log_level(client_context::log_level());
        config
    }
}

fn canonical(name: &str) -> &str {
    ALIASES.iter().find(|(_, alias)| *alias == name).map_or(name, |(canonical, _)| canonical)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_property_replaces_a_default_under_either_name() {
        for name in ["linger.ms", "queue.buffering.max.ms"] {
            let options = KafkaOptions::default().property(name, "7");
            let config = options.to_client_config(&[("linger.ms", "0"), ("acks", "all")]);
            let map = config.config_map();
            assert_eq!(map.get(name), Some(&"7"));
            let others = map.keys().filter(|key| canonical(key) == "linger.ms").count();
            assert_eq!((others, map.get("acks")), (1, Some(&"all")), "{name}");
        }
    }

    #[test]
    fn options_are_read_from_a_file_and_a_misspelt_name_is_refused() {
        let options: KafkaOptions =
            serde_json::from_str(r#"{"brokers": "a:1", "properties": {"security.protocol": "ssl"}}"#).unwrap();
        assert_eq!(options, KafkaOptions::new("a:1").property("security.protocol", "ssl"));
        assert!(serde_json::from_str::<KafkaOptions>(r#"{"broker": "a:1"}"#).is_err());
    }
}
