//! Schemas: how payloads become bytes and bytes become payloads.

mod answers;
mod codec;
pub mod compatibility;
pub(crate) mod contract;
mod error;
mod event_schema;
mod frame;
mod json_datum;
#[cfg(feature = "cli")]
pub(crate) mod masking;
mod plan;
mod registry;

pub use codec::{Codec, EncodedDatum, FramedPayload, JsonPayload};
pub use contract::SchemaError;
pub use error::{DecodeError, EncodeError};
#[cfg(feature = "registry")]
pub use registry::{ConfluentRegistry, RegistryAuthorization, RegistryOptions, RegistryOptionsError};
pub use registry::{LocalRegistry, RegisteredSchema, Registration, RegistryError, SchemaRegistry};

#[cfg(test)]
mod tests;
