//! The Kafka client's part of the environment, for services and for the command.

use super::options::KafkaOptions;

/// Begins the names of variables that are properties of the Kafka client.
pub(crate) const KAFKA_VARIABLES: &str = "TIDINGS_KAFKA_";
/// The variable that names the brokers.
pub(crate) const BROKERS_VARIABLE: &str = "TIDINGS_BROKERS";

/// The property that the rest of a variable's name means: `SASL_USERNAME` is `sasl.username`.
pub(crate) fn property_name(variable: &str) -> String {
    match variable.to_ascii_lowercase().as_str() {
        // The one property with an underscore of its own.
        "log_level" => "log_level".to_owned(),
        name => name.replace('_', "."),
    }
}

impl KafkaOptions {
    /// Take what the variable `name` says, if it is one of the client's.
    pub(crate) fn take_variable(&mut self, name: &str, value: &str) {
        if name == BROKERS_VARIABLE {
            self.replace_brokers(value);
        } else if let Some(rest) = name.strip_prefix(KAFKA_VARIABLES).filter(|rest| !rest.is_empty()) {
            self.replace_property(&property_name(rest), value);
        }
    }
}
