//! Where schemas get their ids.

#[cfg(feature = "registry")]
mod confluent;
mod local;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::contract::SchemaError;

#[cfg(feature = "registry")]
pub use self::confluent::{ConfluentRegistry, RegistryAuthorization, RegistryOptions, RegistryOptionsError};
pub use self::local::LocalRegistry;

/// What names a schema in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaId {
    /// The number a registry gave it: what we write.
    Number(u32),
    /// Confluent's GUID, which some producers put into a header.
    Guid(Uuid),
}

impl SchemaId {
    /// The number, where it is one.
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(number),
            Self::Guid(_) => None,
        }
    }
}

impl fmt::Display for SchemaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Guid(guid) => guid.fmt(formatter),
        }
    }
}

/// Where schemas get their ids. [`Codec`](super::Codec) asks it once about each schema, and keeps the answer.
#[async_trait]
pub trait SchemaRegistry: fmt::Debug + Send + Sync {
    /// The schema with this id.
    ///
    /// # Errors
    /// [`RegistryError::UnknownId`] only where a working registry says so; anything that may pass is another error.
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError>;

    /// The schema with this GUID, for payloads whose header names one. Only Confluent's registry has GUIDs, from version 8.0 on.
    ///
    /// # Errors
    /// [`RegistryError::UnknownGuid`] where a working registry does not know it, and [`RegistryError::NoGuids`] where it knows
    /// none; anything that may pass is another error. Unless said otherwise, a registry knows none.
    async fn schema_by_guid(&self, guid: Uuid) -> Result<RegisteredSchema, RegistryError> {
        Err(RegistryError::NoGuids { guid })
    }

    /// The registration under which a schema is published: the one it has, else a new one where that is allowed.
    ///
    /// # Errors
    /// The schema is not registered and may not be, it breaks the subject's compatibility, or the registry is away.
    async fn registration(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError>;

    /// Register a schema under a subject. Registering it again changes nothing.
    ///
    /// # Errors
    /// The schema breaks the subject's compatibility or is not valid, or the registry is away.
    async fn register(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError>;

    /// The registration a schema has under a subject.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`] where it has none, or the registry is away.
    async fn find(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError>;

    /// The newest schema of a subject.
    ///
    /// # Errors
    /// [`RegistryError::UnknownSubject`] where there is none, or the registry is away.
    async fn latest(&self, subject: &str) -> Result<RegisteredSchema, RegistryError>;

    /// Whether it answers, and as a schema registry.
    ///
    /// # Errors
    /// Why not.
    async fn ping(&self) -> Result<(), RegistryError>;

    /// Take note of a schema this process knows. Only a registry without a server has use for it.
    ///
    /// # Errors
    /// The text is not an Avro schema of a record.
    fn learn(&self, schema: &str) -> Result<(), RegistryError> {
        let _ = schema;
        Ok(())
    }
}

/// A schema as a registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisteredSchema {
    /// Its id; 0 where it was asked for by GUID, and the registry does not say.
    pub id: u32,
    /// The schema, as JSON.
    pub schema: String,
    /// Schemas whose types it names, each behind those it names itself.
    pub references: Vec<String>,
    /// Its version under the subject it was asked for; `None` where it was asked for by id.
    pub version: Option<u32>,
}

impl RegisteredSchema {
    /// A schema that stands alone.
    pub fn new(id: u32, schema: impl Into<String>) -> Self {
        Self { id, schema: schema.into(), references: Vec::new(), version: None }
    }
}

/// What a schema is under a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// Its id, the same under every subject.
    pub id: u32,
    /// Its version under the subject.
    pub version: u32,
    /// Its address, for the `ce_dataschema` header. Carries no credentials.
    pub uri: Arc<str>,
}

impl Registration {
    /// A schema's registration.
    pub fn new(id: u32, version: u32, uri: impl Into<Arc<str>>) -> Self {
        Self { id, version, uri: uri.into() }
    }
}

/// What a registry could not do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No answer, or one that says the registry is in trouble. It may pass.
    #[error("the schema registry at {registry} is away")]
    Unavailable {
        /// Its address, without credentials.
        registry: Arc<str>,
        /// What happened.
        #[source]
        source: Arc<dyn StdError + Send + Sync>,
    },
    /// The registry wants other credentials.
    #[error(
        "the schema registry at {registry} refuses these credentials ({status}): check the user and the password, or the token"
    )]
    Denied {
        /// Its address, without credentials.
        registry: Arc<str>,
        /// The HTTP status.
        status: u16,
    },
    /// Something answers that is not a schema registry.
    #[error("{registry} does not answer as a schema registry does ({reason}): check the address, with its path")]
    NotARegistry {
        /// The address, without credentials.
        registry: Arc<str>,
        /// What it answered.
        reason: String,
    },
    /// No schema has this id.
    #[error("no schema has the id {id}")]
    UnknownId {
        /// The id.
        id: u32,
    },
    /// No schema has this GUID.
    #[error("no schema has the GUID {guid}")]
    UnknownGuid {
        /// The GUID.
        guid: Uuid,
    },
    /// The registry has no GUIDs.
    #[error(
        "the schema registry cannot look up the GUID {guid}: Confluent's can, from version 8.0 on; let the producer write the \
         schema's id before the payload, as it does by default"
    )]
    NoGuids {
        /// The GUID.
        guid: Uuid,
    },
    /// There is no registry to ask, and nobody in this process has told of such a schema.
    #[error(
        "no schema registry is configured, and no schema of this process has the id {id}: if the payload was written with a \
         registry, use that one"
    )]
    NoRegistry {
        /// The id.
        id: u32,
    },
    /// The subject does not exist.
    #[error("the schema registry has no subject {subject}")]
    UnknownSubject {
        /// The subject.
        subject: String,
    },
    /// The schema is not registered under the subject.
    #[error("the schema is not registered under {subject}: register it first, or allow registering on publish")]
    NotRegistered {
        /// The subject.
        subject: String,
    },
    /// The text is no schema of a payload.
    #[error("the schema cannot be used")]
    NotASchema {
        /// Why.
        #[source]
        source: Arc<SchemaError>,
    },
    /// Readers of the subject could not read what this schema writes, or the other way round.
    #[error("the schema breaks the compatibility of {subject}: {reason}")]
    Incompatible {
        /// The subject.
        subject: String,
        /// The registry's own words.
        reason: String,
    },
    /// The registry does not take the schema.
    #[error("the schema for {subject} is refused: {reason}")]
    Refused {
        /// The subject.
        subject: String,
        /// The registry's own words.
        reason: String,
    },
    /// Two schemas of this process would share an id.
    #[error("the local schemas {first} and {second} have the same id {id}: rename a field of one, or use a registry")]
    SameId {
        /// The id.
        id: u32,
        /// The record known first.
        first: String,
        /// The record that came later.
        second: String,
    },
}

impl RegistryError {
    /// Whether trying later may help: the registry is away, or set up wrongly, which says nothing of the schema.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Denied { .. } | Self::NotARegistry { .. })
    }
}
