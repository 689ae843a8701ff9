//! What can be wrong with a client as a whole.

use rdkafka::error::KafkaError as RdKafkaError;

/// A client could not be made, or could not reach or enter the cluster.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// A property is unknown, has a value that is not allowed, or contradicts what was asked for.
    #[error("Kafka property {property}: {reason}")]
    Property {
        /// The property.
        property: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The client could not be made from its properties.
    #[error("the Kafka client could not be made: {reason}")]
    Client {
        /// What librdkafka says.
        reason: String,
    },
    /// No broker answered.
    #[error("no Kafka broker at {brokers} answers ({reason}); check the addresses, the port and security.protocol")]
    Unreachable {
        /// The addresses.
        brokers: String,
        /// The last error seen.
        reason: String,
    },
    /// The brokers do not let this client in.
    #[error("authentication failed at {brokers} ({reason}); check sasl.mechanism, sasl.username and sasl.password")]
    Authentication {
        /// The addresses.
        brokers: String,
        /// What the broker says.
        reason: String,
    },
}

impl KafkaError {
    /// Of librdkafka's complaint about a configuration, without the values: they may be secret.
    pub(crate) fn from_configuration(error: &RdKafkaError) -> Self {
        match error {
            RdKafkaError::ClientConfig(_, reason, property, _) if !is_secret(property) => {
                Self::Property { property: property.clone(), reason: reason.clone() }
            }
            RdKafkaError::ClientConfig(_, _, property, _) => {
                Self::Property { property: property.clone(), reason: "its value is not allowed".to_owned() }
            }
            RdKafkaError::Nul(_) => {
                Self::Client { reason: "a property's name or value contains a zero byte".to_owned() }
            }
            RdKafkaError::ClientCreation(reason) => Self::Client { reason: reason.clone() },
            other => Self::Client { reason: other.to_string() },
        }
    }
}

fn is_secret(property: &str) -> bool {
    ["password", "secret", "pem", "oauthbearer.config"].iter().any(|part| property.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::kafka::KafkaOptions;

    #[test]
    fn a_refused_property_is_named_and_a_secret_is_not_shown() {
        let refused = |name: &str, value: &str| {
            let config = KafkaOptions::default().property(name, value).to_client_config(&[]);
            KafkaError::from_configuration(&config.create_native_config().err().unwrap()).to_string()
        };
        assert!(refused("no.such.property", "1").contains("no.such.property"));
        assert!(!refused("ssl.key.password.typo", "correct horse").contains("correct horse"));
        assert!(!refused("sasl.password", "correct\0horse").contains("horse"));
    }
}
