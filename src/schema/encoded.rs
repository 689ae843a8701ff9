//! Payloads on their way out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::contract::Contract;
use super::frame::FRAME_BYTES;

/// An encoded payload whose schema has no id yet.
#[derive(Clone)]
pub struct EncodedDatum {
    /// Five bytes of room for the frame, then the Avro datum.
    pub(super) bytes: Vec<u8>,
    pub(super) contract: Arc<Contract>,
}

/// A payload as it travels: `0x00`, the schema's id, the Avro datum.
#[derive(Clone)]
pub struct FramedPayload {
    /// The bytes.
    pub bytes: Bytes,
    /// The schema's id.
    pub schema_id: u32,
    /// The schema's URI, for the `ce_dataschema` header.
    pub data_schema: Arc<str>,
}

impl EncodedDatum {
    /// The full name of its record.
    pub fn record(&self) -> &str {
        self.contract.name()
    }

    /// Its schema, as JSON.
    pub fn schema(&self) -> &str {
        self.contract.text()
    }

    /// The Avro datum, without a frame.
    pub fn datum(&self) -> &[u8] {
        self.bytes.get(FRAME_BYTES..).unwrap_or_default()
    }
}

// Payloads are people's data: they do not belong in logs.
impl fmt::Debug for EncodedDatum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let datum_bytes = self.bytes.len().saturating_sub(FRAME_BYTES);
        let mut shown = formatter.debug_struct("EncodedDatum");
        shown.field("contract", &self.contract).field("datum_bytes", &datum_bytes).finish()
    }
}

impl fmt::Debug for FramedPayload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("FramedPayload");
        shown.field("payload_bytes", &self.bytes.len());
        shown.field("schema_id", &self.schema_id).field("data_schema", &self.data_schema).finish()
    }
}
