//! Why an event was not published.

use crate::error_report::debug_as_report;
use std::sync::Arc;

use uuid::Uuid;

use super::DeliveryMode;
use crate::schema::EncodeError;
use crate::transport::ProduceError;
use crate::transport::kafka::{KafkaError, TopicError};

/// A publisher could not be made.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The service has no name, or one that cannot be a topic.
    #[error("`{service}` cannot be a service's name, for its topic carries it: {reason}")]
    Service {
        /// The name.
        service: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The service's topic is missing or differs from its declaration, or no broker could be asked.
    #[error("the service's topic is not as it should be")]
    Topic(#[from] TopicError),
    /// The Kafka client could not be made.
    #[error("the publisher has no Kafka client")]
    Kafka(#[from] KafkaError),
}

/// An event was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The payload does not fit its schema, or the registry does not take it.
    #[error("the event could not be encoded")]
    Encode(#[from] EncodeError),
    /// The event is larger than its topic allows.
    #[error(
        "{event} {id} needs {bytes} bytes, but {topic} takes {limit}: publish less, or raise the topic's max.message.bytes"
    )]
    TooLarge {
        /// The event's name.
        event: &'static str,
        /// The event's id.
        id: Uuid,
        /// The topic.
        topic: Arc<str>,
        /// What it needs, before compression.
        bytes: usize,
        /// The topic's `max.message.bytes`.
        limit: usize,
    },
    /// The event is larger than the event store takes.
    #[error(
        "{event} {id} needs {bytes} bytes, but the event store takes {limit}: publish less, or raise the store's \
         max_event_bytes and the publisher's store_event_bytes"
    )]
    TooLargeForStore {
        /// The event's name.
        event: &'static str,
        /// The event's id.
        id: Uuid,
        /// What it needs.
        bytes: usize,
        /// The publisher's `store_event_bytes`.
        limit: usize,
    },
    /// Kafka did not take it; the source says why.
    #[error("{event} {id} was not written")]
    NotWritten {
        /// The event's name.
        event: &'static str,
        /// The event's id.
        id: Uuid,
        /// Why.
        source: ProduceError,
    },
    /// What was called does not go the way this publisher's mode says.
    #[error("the publisher's mode is {mode}: {advice}")]
    Mode {
        /// The mode.
        mode: DeliveryMode,
        /// What to do.
        advice: &'static str,
    },
    /// The outbox did not take it.
    #[error("the event was not recorded")]
    NotRecorded(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Whether the event store has the event cannot be found out.
    #[error("the event is recorded, and the event store does not say whether it has it")]
    NotStored(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody can say whether the event store has the event.
    #[error("this publisher knows no event store; give its builder one with `event_store`")]
    NoStore,
    /// The Kafka client could not be made.
    #[error("the publisher has no Kafka client")]
    Kafka(#[from] KafkaError),
    /// The publisher was closed.
    #[error("the publisher is closed; the event was not taken")]
    Closed,
}

impl PublishError {
    /// A word for metrics: the same kind of failure has the same word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Encode(_) => "encode",
            Self::TooLarge { .. } | Self::TooLargeForStore { .. } => "too_large",
            Self::NotWritten { source, .. } => source.kind(),
            Self::Mode { .. } => "mode",
            Self::NotRecorded(_) => "not_recorded",
            Self::NotStored(_) => "not_stored",
            Self::NoStore => "no_store",
            Self::Kafka(_) => "client",
            Self::Closed => "closed",
        }
    }
}

debug_as_report!(PublisherError);
