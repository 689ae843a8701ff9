//! Encodes and decodes payloads.

use std::any::TypeId;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::answers::Answers;
use super::contract::{Contract, SchemaError};
use super::encoded::{EncodedDatum, FramedPayload};
use super::error::{DecodeError, EncodeError};
use super::event_schema::EventSchema;
use super::frame::{self, FRAME_BYTES};
use super::json_datum;
use super::payload::{JsonPayload, PayloadView, Written, unreadable};
use super::plan::{Mismatch, Plan};
use super::registry::{LocalRegistry, Registration, RegistryError, SchemaId, SchemaRegistry};
use super::unwritable::unwritable;
use crate::event::Event;
use crate::transport::Record;

/// Encodes and decodes payloads: Avro in the Confluent wire format. A cheap handle: clones share what they have learnt.
///
/// Types are encoded and decoded as for a human reader (serde's `is_human_readable`): a `Uuid` is text in the payload, as
/// the wire contract wants it. A struct's name need not be its record's, and a newtype is read as what it holds; to be
/// *written* so it needs `#[serde(transparent)]`.
#[derive(Debug, Clone)]
pub struct Codec {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Arc<dyn SchemaRegistry>,
    /// What others write with, by id.
    writers: Answers<SchemaId, Writer>,
    /// What is published, by subject and schema.
    registrations: Answers<Published, Registration>,
    /// The same once more, by the contract's address, to be found without making a key.
    published: RwLock<FxHashMap<usize, Vec<(Published, Registration)>>>,
    plans: RwLock<FxHashMap<(TypeId, SchemaId), DecodePlan>>,
    /// Held while a plan is built.
    building: Mutex<()>,
    /// Schemas given as text.
    contracts: RwLock<FxHashMap<Box<str>, Arc<Contract>>>,
}

/// A schema that others write with: what its payloads are as written.
type Writer = Arc<Result<WriterSchema, Arc<SchemaError>>>;

#[derive(Debug)]
struct WriterSchema {
    contract: Contract,
    as_written: DecodePlan,
}

/// How a type reads what a schema writes, or why it cannot.
pub(super) type DecodePlan = Result<Arc<Plan>, Arc<str>>;

/// A schema on a topic. Compared by identity: one contract is made for each type or text.
#[derive(Debug, Clone)]
struct Published {
    topic: Arc<str>,
    contract: Arc<Contract>,
}

impl PartialEq for Published {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.contract, &other.contract) && self.topic == other.topic
    }
}

impl Eq for Published {}

/// Names a contract for as long as it lives.
fn address(contract: &Arc<Contract>) -> usize {
    Arc::as_ptr(contract).addr()
}

impl std::hash::Hash for Published {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        address(&self.contract).hash(state);
        self.topic.hash(state);
    }
}

impl Default for Codec {
    /// As [`local`](Self::local).
    fn default() -> Self {
        Self::local()
    }
}

impl Codec {
    /// A codec that gets ids and schemas from `registry`.
    pub fn new(registry: Arc<dyn SchemaRegistry>) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                writers: Answers::default(),
                registrations: Answers::default(),
                published: RwLock::default(),
                plans: RwLock::default(),
                building: Mutex::default(),
                contracts: RwLock::default(),
            }),
        }
    }

    /// A codec without a registry: ids come from the schemas this process knows.
    pub fn local() -> Self {
        Self::new(LocalRegistry::shared())
    }

    /// Where schemas get their ids.
    pub fn registry(&self) -> &dyn SchemaRegistry {
        &*self.shared.registry
    }

    /// Check a schema that may be met, such as that of a handler's payload, and take note of it. Without a registry, payloads
    /// written with it can be read from now on.
    ///
    /// # Errors
    /// The text is not an Avro schema of a record.
    pub fn learn(&self, schema: &str) -> Result<(), RegistryError> {
        self.contract(schema).map_err(|source| RegistryError::NotASchema { source: Arc::new(source) })?;
        self.shared.registry.learn(schema)
    }

    /// The subject under which a topic's records of this name are registered: `{topic}-{record}`, `TopicRecordNameStrategy`.
    pub fn subject(topic: &str, record: &str) -> String {
        format!("{topic}-{record}")
    }

    /// Encode a payload; asks nobody.
    ///
    /// # Errors
    /// The value does not fit its schema, or the schema is no schema.
    pub fn encode<E: Event>(&self, event: &E) -> Result<EncodedDatum, EncodeError> {
        let schema = EventSchema::of::<E>().map_err(|source| EncodeError::Schema { event: E::NAME.into(), source })?;
        let bytes = schema.write(event).map_err(|error| EncodeError::Payload {
            event: E::NAME.into(),
            reason: unwritable(schema.contract(), error.into_details()),
        })?;
        Ok(EncodedDatum { bytes, contract: Arc::clone(schema.contract()) })
    }

    /// Encode JSON with a schema given as JSON; asks nobody. Fields that are absent take their defaults; fields the schema
    /// does not have are an error.
    ///
    /// # Errors
    /// The value does not fit, and at which field; or the schema is no schema.
    pub fn encode_json(&self, schema: &str, value: &serde_json::Value) -> Result<EncodedDatum, EncodeError> {
        let contract =
            self.contract(schema).map_err(|source| EncodeError::Schema { event: "the payload".into(), source })?;
        let mut bytes = vec![0; FRAME_BYTES];
        json_datum::write_payload(contract.schema(), value, &mut bytes)
            .map_err(|error| EncodeError::Payload { event: contract.name().to_string(), reason: error.to_string() })?;
        Ok(EncodedDatum { bytes, contract })
    }

    fn contract(&self, schema: &str) -> Result<Arc<Contract>, SchemaError> {
        if let Some(known) = self.shared.contracts.read().get(schema) {
            return Ok(Arc::clone(known));
        }
        let contract = Arc::new(Contract::parse(schema)?);
        let mut contracts = self.shared.contracts.write();
        Ok(Arc::clone(contracts.entry(schema.into()).or_insert(contract)))
    }

    /// Give an encoded payload the id its schema has under `topic`; asks the registry the first time.
    ///
    /// # Errors
    /// The registry does not know the schema and may not register it, refuses it, or is away.
    pub async fn frame(&self, topic: &str, datum: EncodedDatum) -> Result<FramedPayload, EncodeError> {
        let EncodedDatum { mut bytes, contract } = datum;
        let known = self.shared.published.read().get(&address(&contract)).and_then(|topics| {
            topics.iter().find(|(published, _)| *published.topic == *topic).map(|(_, known)| known.clone())
        });
        let registration = match known {
            Some(known) => known,
            None => self.register(Published { topic: topic.into(), contract }).await?,
        };
        frame::fill(&mut bytes, registration.id);
        Ok(FramedPayload { bytes: bytes.into(), schema_id: registration.id, data_schema: registration.uri })
    }

    async fn register(&self, published: Published) -> Result<Registration, EncodeError> {
        let subject = Self::subject(&published.topic, published.contract.name());
        let ask = || self.shared.registry.registration(&subject, published.contract.text());
        let registration = match self.shared.registrations.get(&published, ask).await {
            Ok(registration) => registration,
            Err(source) => return Err(EncodeError::Registry { subject, source }),
        };
        let mut known = self.shared.published.write();
        let topics = known.entry(address(&published.contract)).or_default();
        if topics.iter().all(|(other, _)| *other != published) {
            topics.push((published, registration.clone()));
        }
        Ok(registration)
    }

    /// Decode a payload. Ready at once where the writer's schema is known; asks the registry the first time.
    ///
    /// # Errors
    /// The payload is in another format, its schema is unknown or cannot be read as `E`, its bytes are not what its schema
    /// says (bytes left over count), or the registry is away.
    pub async fn decode<E: Event>(&self, payload: Option<&[u8]>) -> Result<E, DecodeError> {
        self.decode_written(Written::framed(payload)?).await
    }

    /// Decode a record's payload, as [`decode`](Self::decode); a schema id in the record's headers (Confluent's
    /// `__value_schema_id`) goes before one in the payload.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub async fn decode_record<E: Event>(&self, record: &Record) -> Result<E, DecodeError> {
        self.decode_written(Written::of(record)?).await
    }

    async fn decode_written<E: Event>(&self, written: Written<'_>) -> Result<E, DecodeError> {
        let plan = self.plan::<E>(written.id).await?;
        plan.read(written.datum).map_err(|error| unreadable(E::NAME, E::SCHEMA, written.id, error))
    }

    /// A payload of `E`, about to be read into a type that borrows from it; see [`PayloadView`]. Ready at once where the writer's
    /// schema is known; asks the registry the first time.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), but for the bytes, which are not read yet.
    pub async fn view<'p, E: Event>(&self, payload: Option<&'p [u8]>) -> Result<PayloadView<'p>, DecodeError> {
        self.view_written::<E>(Written::framed(payload)?).await
    }

    /// A record's payload, as [`view`](Self::view); a schema id in the record's headers goes before one in the payload.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    pub async fn view_record<'p, E: Event>(&self, record: &'p Record) -> Result<PayloadView<'p>, DecodeError> {
        self.view_written::<E>(Written::of(record)?).await
    }

    async fn view_written<'p, E: Event>(&self, written: Written<'p>) -> Result<PayloadView<'p>, DecodeError> {
        let plan = self.plan::<E>(written.id).await?;
        Ok(PayloadView::new::<E>(written, plan))
    }

    /// The plan by which `E` reads what a schema writes: built once, whoever asks, and shared.
    async fn plan<E: Event>(&self, id: SchemaId) -> Result<Arc<Plan>, DecodeError> {
        let known = self.shared.plans.read().get(&(TypeId::of::<E>(), id)).cloned();
        let plan = match known {
            Some(plan) => plan,
            None => self.build_plan::<E>(id).await?,
        };
        plan.map_err(|reason| DecodeError::Incompatible { event: E::NAME.into(), id, reason })
    }

    async fn build_plan<E: Event>(&self, id: SchemaId) -> Result<DecodePlan, DecodeError> {
        let reader = EventSchema::of::<E>().map_err(|source| DecodeError::Reader { event: E::NAME.into(), source })?;
        let writer = self.writer(id).await?;
        let writer = usable(id, &writer)?;
        // Whoever waits here finds it built; those who have their plans do not wait.
        let _building = self.shared.building.lock();
        let key = (TypeId::of::<E>(), id);
        if let Some(known) = self.shared.plans.read().get(&key) {
            return Ok(known.clone());
        }
        let plan = shared(Plan::resolve(&writer.contract, reader.contract()));
        self.shared.plans.write().insert(key, plan.clone());
        Ok(plan)
    }

    /// Decode a payload of any schema as JSON, for people to read.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub async fn decode_json(&self, payload: Option<&[u8]>) -> Result<JsonPayload, DecodeError> {
        self.decode_written_json(Written::framed(payload)?).await
    }

    /// Decode a record's payload as JSON, as [`decode_json`](Self::decode_json); a schema id in the record's headers goes
    /// before one in the payload.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub async fn decode_record_json(&self, record: &Record) -> Result<JsonPayload, DecodeError> {
        self.decode_written_json(Written::of(record)?).await
    }

    async fn decode_written_json(&self, written: Written<'_>) -> Result<JsonPayload, DecodeError> {
        let writer = self.writer(written.id).await?;
        let writer = usable(written.id, &writer)?;
        JsonPayload::read(&writer.contract, written, &writer.as_written)
    }

    /// Decode a payload as a reader with `schema` sees it, as JSON: by the same rules as [`decode`](Self::decode). The plan is
    /// built anew each time.
    ///
    /// # Errors
    /// As [`decode`](Self::decode); or `schema` is no schema.
    pub async fn decode_json_as(&self, schema: &str, payload: Option<&[u8]>) -> Result<JsonPayload, DecodeError> {
        let reader =
            self.contract(schema).map_err(|source| DecodeError::Reader { event: "the reader".into(), source })?;
        let written = Written::framed(payload)?;
        let writer = self.writer(written.id).await?;
        let writer = usable(written.id, &writer)?;
        JsonPayload::read(&reader, written, &shared(Plan::resolve(&writer.contract, &reader)))
    }

    /// The full name of the record a payload holds, for records that do not say what event they are. Ready at once where the
    /// writer's schema is known.
    ///
    /// # Errors
    /// The payload is in another format, its schema is unknown, or the registry is away.
    pub async fn record_name(&self, record: &Record) -> Result<Arc<str>, DecodeError> {
        let id = Written::of(record)?.id;
        let writer = self.writer(id).await?;
        Ok(Arc::clone(usable(id, &writer)?.contract.name()))
    }

    async fn writer(&self, id: SchemaId) -> Result<Writer, DecodeError> {
        let ask = async || {
            let registry = &self.shared.registry;
            let registered = match id {
                SchemaId::Number(number) => registry.schema(number).await?,
                SchemaId::Guid(guid) => registry.schema_by_guid(guid).await?,
            };
            let writer = Contract::parse_with_references(&registered.schema, &registered.references)
                .map(|contract| WriterSchema { as_written: shared(Plan::as_written(&contract)), contract })
                .map_err(Arc::new);
            Ok(Arc::new(writer))
        };
        match self.shared.writers.known(&id) {
            Some(known) => Ok(known),
            None => self.shared.writers.get(&id, ask).await.map_err(|source| DecodeError::Registry { id, source }),
        }
    }
}

fn shared(plan: Result<Plan, Mismatch>) -> DecodePlan {
    plan.map(Arc::new).map_err(|mismatch| mismatch.to_string().into())
}

fn usable(id: SchemaId, writer: &Writer) -> Result<&WriterSchema, DecodeError> {
    writer.as_ref().as_ref().map_err(|source| DecodeError::Writer { id, source: Arc::clone(source) })
}
