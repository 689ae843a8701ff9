//! Schemas: how payloads become bytes and bytes become payloads.

mod answers;
mod codec;
pub mod compatibility;
pub(crate) mod contract;
mod encoded;
mod error;
mod event_schema;
mod frame;
mod json_datum;
mod marked_failures;
mod marks;
#[cfg(feature = "cli")]
pub(crate) mod masking;
mod parsing;
mod payload;
mod plan;
mod registry;
mod unwritable;

pub use codec::Codec;
pub use contract::SchemaError;
pub use encoded::{EncodedDatum, FramedPayload};
pub use error::{DecodeError, EncodeError};
pub use payload::{JsonPayload, PayloadView};
#[cfg(any(feature = "parquet", feature = "cli"))]
pub(crate) use plan::branch_name;
#[cfg(feature = "parquet")]
pub(crate) use plan::{Cursor, DatumError};
#[cfg(feature = "registry")]
pub use registry::{ConfluentRegistry, RegistryAuthorization, RegistryOptions, RegistryOptionsError};
pub use registry::{LocalRegistry, RegisteredSchema, Registration, RegistryError, SchemaId, SchemaRegistry};

#[cfg(test)]
mod tests;
