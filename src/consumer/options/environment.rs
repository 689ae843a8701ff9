//! Options from the environment.

use std::ffi::OsString;
use std::num::NonZero;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as WordError;

use super::{ConsumerOptions, OptionsError};
use crate::transport::kafka::environment::{BROKERS_VARIABLE, KAFKA_VARIABLES};

/// Begins the names of variables that are options of a consumer.
const PREFIX: &str = "TIDINGS_CONSUMER_";

/// The variable that names the service, of consumers, publishers and the command alike.
pub(super) const SERVICE_VARIABLE: &str = "TIDINGS_SERVICE";

/// Puts a variable's value into an option.
pub(super) type Take = fn(&mut ConsumerOptions, &str) -> Result<(), String>;

macro_rules! options {
    ($($name:literal => $($field:ident).+, $read:ident;)*) => {
        &[$(($name, |options, text| {
            options.$($field).+ = $read(text)?;
            Ok(())
        })),*]
    };
}

/// The options a variable of [`PREFIX`] may be, by their names in a file.
pub(super) const OPTIONS: &[(&str, Take)] = options! {
    "max_in_flight" => max_in_flight, positive;
    "max_buffered_bytes" => max_buffered_bytes, positive;
    "commit_interval_ms" => commit_interval, milliseconds;
    "commit_count" => commit_count, positive;
    "commit_metadata_bytes" => commit_metadata_bytes, number;
    "start_from" => start_from, word;
    "drain_timeout_ms" => drain_timeout, milliseconds;
    "startup_timeout_ms" => startup_timeout, milliseconds;
    "timeout_ms" => timeout, milliseconds;
    "retry.max_attempts" => retry.max_attempts, positive;
    "retry.initial_ms" => retry.initial, milliseconds;
    "retry.max_ms" => retry.max, milliseconds;
    "retry.max_age_ms" => retry.max_age, milliseconds;
    "on_exhausted" => on_exhausted, word;
    "order" => order, word;
    "concurrency" => concurrency, limit;
    "rate" => rate, limit;
    "max_waiting" => max_waiting, some;
    "breaker.keys" => breaker.keys, number;
    "breaker.pause_ms" => breaker.pause, milliseconds;
    "breaker.max_pause_ms" => breaker.max_pause, milliseconds;
    "tenant_limits_file" => tenant_limits_file, some;
    "max_parked_per_key" => max_parked_per_key, positive;
    "parked_topic" => parked_topic, some;
    "create_parked_topic" => create_parked_topic, flag;
    "dead_letter_topic" => dead_letter_topic, some;
    "create_dead_letter_topic" => create_dead_letter_topic, flag;
    "max_restarts" => max_restarts, number;
    "restart_window_ms" => restart_window, milliseconds;
    "health.poll_timeout_ms" => health.poll_timeout, milliseconds;
    "health.progress_timeout_ms" => health.progress_timeout, milliseconds;
    "health.handler_grace_ms" => health.handler_grace, milliseconds;
    "health.hottest_keys" => health.hottest_keys, number;
    "health.irregular_streams" => health.irregular_streams, number;
    "health.show_keys" => health.show_keys, flag;
};

impl ConsumerOptions {
    /// These options, with what the environment says in their place: the variables above. An empty variable says nothing.
    ///
    /// # Errors
    /// A variable that begins with `TIDINGS_CONSUMER_` is no option, or a value cannot be its option's. What is shown of it:
    /// [`OptionsError`].
    pub fn with_environment(self) -> Result<Self, OptionsError> {
        self.with_variables(std::env::vars_os())
    }

    pub(super) fn with_variables(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, OptionsError> {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| is_ours(name) && !value.is_empty()) else { continue };
            let refused = |reason: String| OptionsError::Variable { name: name.to_owned(), reason };
            let value = value.to_str().ok_or_else(|| refused("it is not UTF-8".to_owned()))?;
            let Some(option) = name.strip_prefix(PREFIX) else {
                if name == SERVICE_VARIABLE {
                    value.clone_into(&mut self.service);
                } else {
                    self.kafka.take_variable(name, value);
                }
                continue;
            };
            let Some((_, take)) = OPTIONS.iter().find(|(known, _)| in_variables(known) == option) else {
                return Err(OptionsError::UnknownVariable { name: name.to_owned(), known: known() });
            };
            take(&mut self, value).map_err(refused)?;
        }
        Ok(self)
    }
}

fn is_ours(name: &str) -> bool {
    name == SERVICE_VARIABLE
        || name == BROKERS_VARIABLE
        || name.starts_with(PREFIX)
        || name.starts_with(KAFKA_VARIABLES)
}

/// How an option's name is written behind [`PREFIX`].
fn in_variables(option: &str) -> String {
    option.replace('.', "_").to_ascii_uppercase()
}

/// The variable of an option of [`OPTIONS`].
pub(super) fn variable(option: &str) -> String {
    format!("{PREFIX}{}", in_variables(option))
}

fn known() -> String {
    OPTIONS.iter().map(|(option, _)| variable(option)).collect::<Vec<_>>().join(", ")
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "it is a whole number, and no larger than any machine needs".to_owned())
}

/// At least 1.
fn positive<T: FromStr + PartialEq + Default>(text: &str) -> Result<T, String> {
    let value = number(text)?;
    if value == T::default() { Err("it is at least 1".to_owned()) } else { Ok(value) }
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let milliseconds = text.parse().map(Duration::from_millis);
    milliseconds.map_err(|_| "it is a whole number of milliseconds, without a unit".to_owned())
}

fn limit(text: &str) -> Result<Option<NonZero<u32>>, String> {
    text.parse().map(Some).map_err(|_| "it is a whole number of at least 1; leave it out for no limit".to_owned())
}

fn some<T: FromStr>(text: &str) -> Result<Option<T>, String> {
    number(text).map(Some)
}

fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "it is true or false".to_owned())
}

fn word<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|error: WordError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::kafka::KafkaOptions;

    fn read(options: ConsumerOptions, variables: &[(&str, &str)]) -> Result<ConsumerOptions, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        options.with_variables(variables).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_wins_and_what_it_does_not_say_stays() {
        let kafka = KafkaOptions::new("file:1").property("sasl.mechanism", "FILE").property("sasl.username", "file");
        let file = ConsumerOptions::new("file").max_in_flight(7).rate(9).kafka(kafka);
        let found = read(
            file,
            &[
                ("TIDINGS_SERVICE", "boards"),
                ("TIDINGS_BROKERS", "env:1"),
                ("TIDINGS_KAFKA_SASL_MECHANISMS", "ENV"),
                ("TIDINGS_CONSUMER_RATE", "11"),
                ("TIDINGS_CONSUMER_ORDER", ""),
                ("TIDINGS_CONSUMERS", "of somebody else"),
                ("TIDINGS_ROUTES", "routes.json"),
            ],
        );
        let kafka = KafkaOptions::new("env:1").property("sasl.mechanisms", "ENV").property("sasl.username", "file");
        assert_eq!(found.unwrap(), ConsumerOptions::new("boards").max_in_flight(7).rate(11).kafka(kafka));
    }

    #[test]
    fn what_is_no_option_or_cannot_be_its_value_is_refused_and_only_a_wrong_word_is_shown() {
        for (name, value, words, is_shown) in [
            ("TIDINGS_CONSUMER_MAX_IN_FLIGTH", "5318008", "TIDINGS_CONSUMER_MAX_IN_FLIGHT", false),
            ("TIDINGS_CONSUMER_RATE", "0", "at least 1", false),
            ("TIDINGS_CONSUMER_MAX_IN_FLIGHT", "0", "at least 1", false),
            ("TIDINGS_CONSUMER_RETRY_MAX_ATTEMPTS", "-5318008", "whole number", false),
            ("TIDINGS_CONSUMER_TIMEOUT_MS", "5318008s", "milliseconds", false),
            ("TIDINGS_CONSUMER_CREATE_PARKED_TOPIC", "5318008", "true or false", false),
            ("TIDINGS_CONSUMER_START_FROM", "yesterday", "`earliest`", true),
            ("TIDINGS_CONSUMER_ON_EXHAUSTED", "forget", "`park_key`", true),
            ("TIDINGS_CONSUMER_ORDER", "keys", "`unordered`", true),
        ] {
            let error = read(ConsumerOptions::default(), &[(name, value)]).unwrap_err();
            assert!(error.contains(name) && error.contains(words), "{error}");
            assert_eq!(error.contains(value), is_shown, "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_refused_if_it_is_an_option() {
        use std::os::unix::ffi::OsStringExt as _;
        let of = |name: &str| [(name.into(), OsString::from_vec(vec![0xff]))];
        assert!(ConsumerOptions::default().with_variables(of("PATH")).is_ok());
        let error = ConsumerOptions::default().with_variables(of("TIDINGS_CONSUMER_ORDER")).unwrap_err();
        assert!(error.to_string().contains("TIDINGS_CONSUMER_ORDER cannot be used: it is not UTF-8"), "{error}");
    }
}
