//! Payloads that were read from a topic, and what says which schema wrote them.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use super::codec::DecodePlan;
use super::contract::Contract;
use super::error::DecodeError;
use super::frame;
use super::marked_failures::hide_failure;
use super::plan::{DatumError, Plan};
use super::registry::SchemaId;
use crate::event::Event;
use crate::transport::Record;

/// A datum, and the id of the schema it was written with.
#[derive(Clone, Copy)]
pub(super) struct Written<'p> {
    pub(super) id: SchemaId,
    pub(super) datum: &'p [u8],
}

impl<'p> Written<'p> {
    /// A payload that begins with the id.
    pub(super) fn framed(payload: Option<&'p [u8]>) -> Result<Self, DecodeError> {
        let payload = payload.ok_or(DecodeError::NoPayload)?;
        let (id, datum) = frame::split(payload).map_err(|reason| DecodeError::Frame { reason })?;
        Ok(Self { id: SchemaId::Number(id), datum })
    }

    /// A record's payload: the id is in the headers, else the payload begins with it.
    pub(super) fn of(record: &'p Record) -> Result<Self, DecodeError> {
        match record.headers.get(frame::SCHEMA_ID_HEADER) {
            None => Self::framed(record.payload.as_deref()),
            Some(header) => {
                let datum = record.payload.as_deref().ok_or(DecodeError::NoPayload)?;
                let id = frame::id_in_header(header).map_err(|reason| DecodeError::Header { reason })?;
                Ok(Self { id, datum })
            }
        }
    }
}

/// A payload about to be read into a type that borrows from it, so that its strings and bytes are not copied.
///
/// Handlers get events of their own, which borrow nothing: they may outlive the record. A view is for where payloads are only
/// looked at: in an extractor of your own, or in a loop that counts. It reads what the schema of an event `E` says into
/// any type, also one with fewer fields; what that does not have is passed over.
///
/// ```
/// # use std::borrow::Cow;
/// # use serde::{Deserialize, Serialize};
/// # use tidings::{Event, schema::Codec};
/// # #[derive(Serialize, Deserialize)]
/// # struct UserUpdated { user_id: i64, nickname: String }
/// # impl Event for UserUpdated {
/// #     const NAME: &'static str = "accounts.UserUpdated";
/// #     const VERSION: &'static str = "1.0.0";
/// #     const SCHEMA: &'static str = r#"{"type":"record","name":"UserUpdated","namespace":"accounts","fields":[
/// #         {"name":"user_id","type":"long"},{"name":"nickname","type":"string"}]}"#;
/// #     const ENTITY: &'static str = "Account";
/// #     fn key(&self) -> Cow<'_, str> { self.user_id.to_string().into() }
/// # }
/// #[derive(Deserialize)]
/// struct Nickname<'p> {
///     nickname: &'p str,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let codec = Codec::local();
/// # let event = UserUpdated { user_id: 42, nickname: "Zoë".into() };
/// # let payload = codec.frame("accounts", codec.encode(&event)?).await?.bytes;
/// let view = codec.view::<UserUpdated>(Some(&payload)).await?;
/// let Nickname { nickname } = view.read()?;
/// assert_eq!(nickname, "Zoë");
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PayloadView<'p> {
    event: &'static str,
    /// The reader's.
    schema: &'static str,
    written: Written<'p>,
    plan: Arc<Plan>,
}

impl<'p> PayloadView<'p> {
    pub(super) fn new<E: Event>(written: Written<'p>, plan: Arc<Plan>) -> Self {
        Self { event: E::NAME, schema: E::SCHEMA, written, plan }
    }

    /// The schema it was written with.
    pub fn schema_id(&self) -> SchemaId {
        self.written.id
    }

    /// Read it. What `T` borrows is the payload's; for defaults and symbols, which the payload does not hold, it is the view's.
    ///
    /// # Errors
    /// The bytes are not what their schema says, or `T` does not take them. A value that is not there as it is read borrows
    /// nothing: then `T` wants `Cow` with `#[serde(borrow)]`, or to own it.
    pub fn read<'v, T: Deserialize<'v>>(&'v self) -> Result<T, DecodeError> {
        self.plan.read(self.written.datum).map_err(|error| unreadable(self.event, self.schema, self.written.id, error))
    }
}

impl fmt::Debug for PayloadView<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the payload itself: it is not for logs.
        write!(formatter, "PayloadView({}, schema {})", self.event, self.written.id)
    }
}

/// A payload as JSON.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct JsonPayload {
    /// The id of the schema it was written with.
    pub schema_id: SchemaId,
    /// The full name of its record.
    pub record: String,
    /// The payload. Unions of null and one other type are the bare value, other unions `{"type": value}`.
    pub value: serde_json::Value,
}

impl fmt::Debug for JsonPayload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // How long it is as text, and not what it says: it is not for logs.
        let mut shown = formatter.debug_struct("JsonPayload");
        shown.field("schema_id", &self.schema_id).field("record", &self.record);
        shown.field("value_bytes", &self.value.to_string().len()).finish()
    }
}

impl JsonPayload {
    /// As `reader` reads it.
    pub(super) fn read(reader: &Contract, written: Written<'_>, plan: &DecodePlan) -> Result<Self, DecodeError> {
        let (record, schema_id) = (reader.name().to_string(), written.id);
        let plan = match plan {
            Ok(plan) => plan,
            Err(reason) => {
                return Err(DecodeError::Incompatible { event: record, id: schema_id, reason: Arc::clone(reason) });
            }
        };
        match plan.read_json(written.datum) {
            Ok(value) => Ok(Self { schema_id, record, value }),
            Err(error) => Err(failure(&record, schema_id, &hide_failure(reader, error))),
        }
    }
}

/// Why a payload cannot be read as the type of `event`, whose schema this is.
pub(super) fn unreadable(event: &str, schema: &str, id: SchemaId, error: DatumError) -> DecodeError {
    // Errors are rare enough to read the schema again.
    let error = match Contract::parse(schema) {
        Ok(reader) => hide_failure(&reader, error),
        Err(_) => error.hidden_below(0),
    };
    failure(event, id, &error)
}

fn failure(event: &str, id: SchemaId, error: &DatumError) -> DecodeError {
    DecodeError::Payload { event: event.into(), id, reason: error.to_string() }
}
