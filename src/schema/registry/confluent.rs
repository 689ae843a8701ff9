//! A schema registry that speaks Confluent's API.

mod configuration;
mod options;
mod subjects;

use std::error::Error as StdError;
use std::sync::Arc;

use async_trait::async_trait;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_guid, get_schema_by_id, get_schema_by_subject_and_version, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredReference, RegisteredSchema as Answer, SchemaType, SrCall, SuppliedSchema,
};
use uuid::Uuid;

use self::configuration::Http;
use self::options::clean;
pub use self::options::{RegistryAuthorization, RegistryOptions, RegistryOptionsError};
use super::{RegisteredSchema, Registration, RegistryError, SchemaRegistry};

/// How many schemas one may refer to, directly or through others. More is taken for a circle.
const MAX_REFERENCES: usize = 64;

/// A schema registry that speaks Confluent's API: Confluent's own, Apicurio's `/apis/ccompat/v7`, Karapace, Redpanda's.
///
/// Asks every time; [`Codec`](crate::schema::Codec) remembers.
#[derive(Debug)]
pub struct ConfluentRegistry {
    settings: SrSettings,
    /// For what the client above has no call for.
    http: Http,
    /// The first of its addresses.
    address: Arc<str>,
    auto_register: bool,
}

impl ConfluentRegistry {
    /// A client for a registry. Connects when it is first asked.
    ///
    /// # Errors
    /// The options name no registry that can be asked.
    pub fn new(options: &RegistryOptions) -> Result<Self, RegistryOptionsError> {
        let mut authorization = options.authorization.clone();
        let mut addresses = Vec::with_capacity(options.urls.len());
        for url in &options.urls {
            let (address, found) = clean(url)?;
            if authorization == RegistryAuthorization::None {
                authorization = found;
            }
            addresses.push(address);
        }
        let http = Http::new(&addresses, authorization.clone(), options.timeout)?;
        let mut addresses = addresses.into_iter();
        let address = addresses.next().ok_or(RegistryOptionsError::NoAddress)?;
        let mut builder = SrSettings::new_builder(address.clone());
        for further in addresses {
            builder.add_url(further);
        }
        builder.set_timeout(options.timeout);
        match &authorization {
            RegistryAuthorization::None => {}
            RegistryAuthorization::Basic { user, password } => {
                builder.set_basic_authorization(user, Some(password));
            }
            RegistryAuthorization::Bearer(token) => {
                builder.set_token_authorization(token);
            }
        }
        let settings = builder.build().map_err(|error| RegistryOptionsError::Client(error.into()))?;
        Ok(Self { settings, http, address: address.into(), auto_register: options.auto_register })
    }

    fn failure(&self, error: SRCError) -> Failure {
        let (code, reason) = match error.source().and_then(|source| source.downcast_ref::<RawError>()) {
            Some(answer) => (answer.error_code, answer.message.clone()),
            None => (0, error.error.clone()),
        };
        // The client keeps the HTTP status in its message only.
        let status = error.error.rsplit("status ").next().and_then(|text| text.get(..3)?.parse::<u16>().ok());
        Failure { registry: Arc::clone(&self.address), code, status, reason, error }
    }

    /// A schema of payloads, with all it refers to; `name` is how it was asked for.
    async fn payload_schema(&self, answer: Answer, name: &str) -> Result<RegisteredSchema, RegistryError> {
        if answer.schema_type != SchemaType::Avro {
            let reason = format!("it is {:?}, and payloads are Avro", answer.schema_type);
            return Err(RegistryError::Refused { subject: name.to_owned(), reason });
        }
        let mut schema = self.complete(answer).await?;
        // A schema can have many subjects; the version the registry names here is of any one of them.
        schema.version = None;
        Ok(schema)
    }

    /// A schema with all it refers to.
    async fn complete(&self, answer: Answer) -> Result<RegisteredSchema, RegistryError> {
        let mut references: Vec<(RegisteredReference, String)> = Vec::new();
        let mut wanted = answer.references.clone();
        while let Some(reference) = wanted.pop() {
            if references
                .iter()
                .any(|(known, _)| (&known.subject, known.version) == (&reference.subject, reference.version))
            {
                continue;
            }
            if references.len() == MAX_REFERENCES {
                let reason = format!("it refers to more than {MAX_REFERENCES} other schemas");
                return Err(RegistryError::Refused { subject: reference.subject, reason });
            }
            let found = get_schema_by_subject_and_version(&self.settings, &reference.subject, Some(reference.version))
                .await
                .map_err(|error| self.failure(error).about_subject(&reference.subject))?;
            wanted.extend(found.references.clone());
            references.push((reference, found.schema));
        }
        let references = references.into_iter().rev().map(|(_, schema)| schema).collect();
        Ok(RegisteredSchema { id: answer.id, schema: answer.schema, references, version: answer.version })
    }
}

#[async_trait]
impl SchemaRegistry for ConfluentRegistry {
    async fn schema(&self, id: u32) -> Result<RegisteredSchema, RegistryError> {
        let answer = get_schema_by_id(id, &self.settings).await.map_err(|error| self.failure(error).about_id(id))?;
        self.payload_schema(answer, &format!("id {id}")).await
    }

    async fn schema_by_guid(&self, guid: Uuid) -> Result<RegisteredSchema, RegistryError> {
        let failure = match get_schema_by_guid(&guid.to_string(), &self.settings).await {
            Ok(answer) => return self.payload_schema(answer, &format!("GUID {guid}")).await,
            Err(error) => self.failure(error),
        };
        match (failure.code, failure.status) {
            (40401..=40403, _) => Err(RegistryError::UnknownGuid { guid }),
            // A 404 that is none of the registry's own: a wrong path, or a registry without this one.
            (_, Some(404)) if self.ping().await.is_ok() => Err(RegistryError::NoGuids { guid }),
            _ => Err(failure.about_subject(&format!("GUID {guid}"))),
        }
    }

    async fn registration(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        match self.find(subject, schema).await {
            Err(RegistryError::NotRegistered { .. }) if self.auto_register => self.register(subject, schema).await,
            answer => answer,
        }
    }

    async fn register(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let answer = post_schema(&self.settings, subject.to_owned(), supplied)
            .await
            .map_err(|error| self.failure(error).about_subject(subject))?;
        // The answer to registering has no version everywhere, and what was registered may be an older, equal schema.
        let found = self.find(subject, schema).await?;
        Ok(Registration { id: answer.id, ..found })
    }

    async fn find(&self, subject: &str, schema: &str) -> Result<Registration, RegistryError> {
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" }).to_string();
        let answer = perform_sr_call(&self.settings, SrCall::PostForVersion(subject, &body)).await.map_err(
            |error| match self.failure(error).about_subject(subject) {
                RegistryError::UnknownSubject { subject } => RegistryError::NotRegistered { subject },
                error => error,
            },
        )?;
        let (Some(id), Some(version)) = (answer.id, answer.version) else {
            let reason = "its answer has no id or no version".to_owned();
            return Err(RegistryError::NotARegistry { registry: Arc::clone(&self.address), reason });
        };
        let subject_in_path = subject.replace('/', "%2F");
        Ok(Registration::new(id, version, format!("{}/subjects/{subject_in_path}/versions/{version}", self.address)))
    }

    async fn latest(&self, subject: &str) -> Result<RegisteredSchema, RegistryError> {
        let answer = get_schema_by_subject_and_version(&self.settings, subject, None)
            .await
            .map_err(|error| self.failure(error).about_subject(subject))?;
        self.complete(answer).await
    }

    async fn ping(&self) -> Result<(), RegistryError> {
        // Asks for an id that no registry gives out: the answer shows that it is one, and stays small.
        let id = i32::MAX.unsigned_abs();
        match get_schema_by_id(id, &self.settings).await.map_err(|error| self.failure(error).about_id(id)) {
            Ok(_) | Err(RegistryError::UnknownId { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An answer that is not the one wanted.
struct Failure {
    registry: Arc<str>,
    /// The registry's own error code; 0 where the answer was none of its own.
    code: u32,
    status: Option<u16>,
    reason: String,
    error: SRCError,
}

impl Failure {
    fn about_id(self, id: u32) -> RegistryError {
        match self.code {
            40401..=40403 => RegistryError::UnknownId { id },
            _ => self.about_subject(&format!("id {id}")),
        }
    }

    fn about_subject(self, subject: &str) -> RegistryError {
        let (registry, reason, subject) = (self.registry, self.reason, subject.to_owned());
        match (self.code, self.status) {
            (40401 | 40402, _) => RegistryError::UnknownSubject { subject },
            (40403, _) => RegistryError::NotRegistered { subject },
            (409 | 40901..=40999, _) => RegistryError::Incompatible { subject, reason },
            (422 | 42200..=42299, _) => RegistryError::Refused { subject, reason },
            (_, Some(status @ (401 | 403))) => RegistryError::Denied { registry, status },
            // 404 without a registry's code is a wrong path, and so is an answer that is no JSON of a registry.
            (_, Some(status @ 300..=499)) if !matches!(status, 408 | 425 | 429) => {
                RegistryError::NotARegistry { registry, reason: format!("HTTP {status}") }
            }
            _ => RegistryError::Unavailable { registry, source: cause(&self.error) },
        }
    }
}

/// The innermost error that says more than the client's wrapping.
fn cause(error: &SRCError) -> Arc<dyn StdError + Send + Sync> {
    let mut text = error.error.clone();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    Arc::from(Box::<dyn StdError + Send + Sync>::from(text))
}
