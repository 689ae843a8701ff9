//! What a client tells beside its results: why it cannot reach or enter the cluster, and its log.

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::KafkaError as ClientError;

/// Remembers the errors that concern the client as a whole. librdkafka reports them as events only: the operation that
/// suffers just times out.
#[derive(Debug, Default)]
pub(crate) struct ClientEvents {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    authentication: Option<String>,
    transport: Option<String>,
    fatal: Option<String>,
}

impl ClientEvents {
    /// Why the cluster does not let this client in, if it said so.
    pub(crate) fn authentication_failure(&self) -> Option<String> {
        self.state.lock().authentication.clone()
    }

    /// Why the client failed for good, if it did.
    pub(crate) fn fatal(&self) -> Option<String> {
        self.state.lock().fatal.clone()
    }

    /// The most telling of the errors seen.
    pub(crate) fn last_reason(&self) -> Option<String> {
        let state = self.state.lock();
        state.authentication.clone().or_else(|| state.transport.clone())
    }

    /// The error of an operation that got no answer from `brokers`.
    pub(crate) fn unanswered(&self, brokers: &str) -> ClientError {
        let state = self.state.lock();
        let brokers = brokers.to_owned();
        if let Some(reason) = &state.authentication {
            return ClientError::Authentication { brokers, reason: reason.clone() };
        }
        let reason = state.transport.clone().unwrap_or_else(|| "no answer in time".to_owned());
        ClientError::Unreachable { brokers, reason }
    }

    /// Take note of an error event.
    pub(crate) fn record(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut state = self.state.lock();
        match code {
            RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism => state.authentication = Some(reason.to_owned()),
            RDKafkaErrorCode::Fatal => state.fatal = Some(reason.to_owned()),
            // "All brokers are down" follows the reason and says less than it.
            RDKafkaErrorCode::AllBrokersDown if state.transport.is_some() => {}
            RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::OperationTimedOut => state.transport = Some(reason.to_owned()),
            _ => {}
        }
    }

    /// Forget what is no longer so: the cluster answered.
    pub(crate) fn recovered(&self) {
        let mut state = self.state.lock();
        state.authentication = None;
        state.transport = None;
    }
}

impl ClientContext for ClientEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.record(code, reason);
        }
        tracing::debug!(target: "librdkafka", error = %error, reason, "client error");
    }
}

/// librdkafka's log, through `tracing`.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// The most that librdkafka need log: what the subscriber would show.
pub(crate) fn log_level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else if tracing::enabled!(target: "librdkafka", tracing::Level::INFO) {
        RDKafkaLogLevel::Info
    } else {
        RDKafkaLogLevel::Warning
    }
}
