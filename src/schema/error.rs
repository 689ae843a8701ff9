//! What can go wrong between a payload and its bytes.

use std::borrow::Cow;
use std::sync::Arc;

use super::contract::SchemaError;
use super::registry::{RegistryError, SchemaId};
use crate::outcome::{ErrorClass, HandlerError};

/// A payload that could not be encoded, or whose schema got no id.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The event type's own schema is unusable.
    #[error("the schema of {event} cannot be used")]
    Schema {
        /// The event's name, or the record's.
        event: String,
        /// Why.
        #[source]
        source: SchemaError,
    },
    /// The value does not fit its schema.
    #[error("the payload does not fit the schema of {event}: {reason}")]
    Payload {
        /// The event's name, or the record's.
        event: String,
        /// Which field, and why.
        reason: String,
    },
    /// The schema has no id under the topic.
    #[error("no schema id for {subject}")]
    Registry {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: RegistryError,
    },
}

impl EncodeError {
    /// Whether trying later may help: the registry is away.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Registry { source, .. } if source.is_unavailable())
    }

    /// How the engine treats it, where a handler publishes.
    pub fn into_handler_error(self) -> HandlerError {
        let class = if self.is_unavailable() { ErrorClass::Unavailable } else { ErrorClass::Retryable };
        HandlerError::new(class, self)
    }
}

/// A payload that could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The record has no payload: a tombstone.
    #[error("the record has no payload")]
    NoPayload,
    /// The bytes are in another format.
    #[error("the payload {reason}")]
    Frame {
        /// What is wrong, to follow "the payload".
        reason: String,
    },
    /// The header with the schema's id holds none.
    #[error("the header `__value_schema_id` {reason}")]
    Header {
        /// What is wrong, to follow "the header".
        reason: String,
    },
    /// The registry could not say what the schema is.
    #[error("the payload's schema {id} is not to be had")]
    Registry {
        /// The schema's id.
        id: SchemaId,
        /// Why.
        #[source]
        source: RegistryError,
    },
    /// The registry has something under the id that is no schema of a payload.
    #[error("the payload's schema {id} cannot be used")]
    Writer {
        /// The schema's id.
        id: SchemaId,
        /// Why.
        #[source]
        source: Arc<SchemaError>,
    },
    /// The event type's own schema is unusable.
    #[error("the schema of {event} cannot be used")]
    Reader {
        /// The event's name.
        event: Cow<'static, str>,
        /// Why.
        #[source]
        source: SchemaError,
    },
    /// The writer's schema and the type's cannot be brought together.
    #[error("what schema {id} writes cannot be read as {event}: {reason}")]
    Incompatible {
        /// The event's name, or the record's.
        event: String,
        /// The writer's schema's id.
        id: SchemaId,
        /// Which field, and why.
        reason: Arc<str>,
    },
    /// The bytes are not what their schema says, or the type does not take them.
    #[error("the payload written with schema {id} cannot be read as {event}: {reason}")]
    Payload {
        /// The event's name, or the record's.
        event: String,
        /// The writer's schema's id.
        id: SchemaId,
        /// Which field, and why.
        reason: String,
    },
}

impl DecodeError {
    /// Whether trying later may help: the registry is away, or set up wrongly. It says nothing of the payload then.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Registry { source, .. } if source.is_unavailable())
    }

    /// How the engine treats it: `Unavailable` while the registry is away, else `Undecodable`.
    pub fn into_handler_error(self) -> HandlerError {
        let class = if self.is_unavailable() { ErrorClass::Unavailable } else { ErrorClass::Undecodable };
        HandlerError::new(class, self)
    }
}
