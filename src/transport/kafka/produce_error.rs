//! What librdkafka's error codes mean for a record.

use std::sync::Arc;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::client_context::ClientEvents;
use crate::transport::ProduceError;

/// Why the record of `bytes` bytes for `topic` was not written.
pub(super) fn produce_error(error: &KafkaError, topic: &Arc<str>, bytes: usize, events: &ClientEvents) -> ProduceError {
    let topic = Arc::clone(topic);
    let Some(code) = error.rdkafka_error_code() else {
        // A topic name with a zero byte is the one way here.
        return ProduceError::Refused { topic, reason: error.to_string(), retryable: false };
    };
    match code {
        Code::QueueFull => ProduceError::QueueFull { topic },
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            ProduceError::TooLarge { topic, bytes }
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition => ProduceError::UnknownTopic { topic },
        // Also where it is what the client failed for: the others fail with it, and must not be taken for the cause.
        Code::TopicAuthorizationFailed => ProduceError::TopicRefused { topic, reason: describe(code) },
        Code::UnknownPartition => ProduceError::UnknownPartition { topic },
        Code::Fatal | Code::GaplessGuarantee | Code::Fenced | Code::ProducerFenced => {
            ProduceError::Fatal { reason: events.fatal().unwrap_or_else(|| describe(code)) }
        }
        // A broker's answer about this very record, also where the client failed for it: who takes it for the failure of the client
        // tries it again for ever.
        Code::InvalidRecord | Code::InvalidTimestamp | Code::PolicyViolation => {
            ProduceError::Refused { topic, reason: describe(code), retryable: false }
        }
        _ => match events.fatal() {
            // After a fatal error the rest of the queue fails, under many names, for the same reason.
            Some(reason) => ProduceError::Fatal { reason },
            None if matches!(code, Code::PurgeQueue | Code::PurgeInflight | Code::BrokerDestroy) => {
                ProduceError::Purged { topic }
            }
            None => ProduceError::Refused { topic, reason: reason(code, events), retryable: retryable(code) },
        },
    }
}

fn reason(code: Code, events: &ClientEvents) -> String {
    let what = match code {
        Code::MessageTimedOut => "no acknowledgement within the delivery timeout".to_owned(),
        _ => describe(code),
    };
    match code {
        Code::MessageTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown | Code::OperationTimedOut => {
            events.last_reason().map_or(what.clone(), |why| format!("{what}; {why}"))
        }
        _ => what,
    }
}

fn describe(code: Code) -> String {
    // The code's name in words, then the number the protocol gives it.
    code.to_string()
}

/// Whether the same record may be written later. Only what is wrong with the record itself is final: permissions,
/// replicas and leaders come back.
const fn retryable(code: Code) -> bool {
    !matches!(
        code,
        Code::BadMessage
            | Code::InvalidArgument
            | Code::InvalidTopic
            | Code::InvalidRequiredAcks
            | Code::UnsupportedForMessageFormat
            | Code::UnsupportedCompressionType
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(code: Code) -> ProduceError {
        produce_error(&KafkaError::MessageProduction(code), &"accounts".into(), 70, &ClientEvents::default())
    }

    #[test]
    fn every_code_that_callers_act_on_has_its_own_error() {
        assert!(matches!(mapped(Code::QueueFull), ProduceError::QueueFull { .. }));
        assert!(matches!(mapped(Code::MessageSizeTooLarge), ProduceError::TooLarge { bytes: 70, .. }));
        assert!(matches!(mapped(Code::UnknownTopic), ProduceError::UnknownTopic { .. }));
        assert!(matches!(mapped(Code::UnknownTopicOrPartition), ProduceError::UnknownTopic { .. }));
        assert!(matches!(mapped(Code::UnknownPartition), ProduceError::UnknownPartition { .. }));
        assert!(matches!(mapped(Code::PurgeQueue), ProduceError::Purged { .. }));
        assert!(matches!(mapped(Code::PurgeInflight), ProduceError::Purged { .. }));
        assert!(matches!(mapped(Code::GaplessGuarantee), ProduceError::Fatal { .. }));
        assert!(matches!(mapped(Code::NotEnoughReplicas), ProduceError::Refused { retryable: true, .. }));
        assert!(matches!(mapped(Code::TopicAuthorizationFailed), ProduceError::TopicRefused { .. }));
        assert!(matches!(mapped(Code::InvalidRecord), ProduceError::Refused { retryable: false, .. }));
    }

    #[test]
    fn a_time_out_tells_why_the_broker_could_not_be_reached() {
        let events = ClientEvents::default();
        events.record(Code::BrokerTransportFailure, "connection refused");
        events.record(Code::AllBrokersDown, "1/1 brokers are down");
        let error = produce_error(&KafkaError::MessageProduction(Code::MessageTimedOut), &"a".into(), 1, &events);
        assert!(error.to_string().contains("connection refused"), "{error}");
    }

    #[test]
    fn once_the_client_failed_for_good_every_record_says_so() {
        let events = ClientEvents::default();
        events.record(Code::Fatal, "sequence out of order");
        let error = produce_error(&KafkaError::MessageProduction(Code::PurgeQueue), &"a".into(), 1, &events);
        assert!(matches!(&error, ProduceError::Fatal { reason } if reason == "sequence out of order"));
        let denied = KafkaError::MessageProduction(Code::TopicAuthorizationFailed);
        let denied = produce_error(&denied, &"a".into(), 1, &events);
        assert!(matches!(&denied, ProduceError::TopicRefused { .. }), "{denied}");
    }

    #[test]
    fn a_record_that_is_invalid_is_told_from_its_company_also_where_the_client_failed_for_it() {
        let events = ClientEvents::default();
        events.record(Code::Fatal, "a record failed");
        let told = |code| produce_error(&KafkaError::MessageProduction(code), &"a".into(), 1, &events);
        assert!(matches!(told(Code::InvalidRecord), ProduceError::Refused { retryable: false, .. }));
        assert!(matches!(told(Code::InvalidDifferentRecord), ProduceError::Fatal { .. }));
    }
}
