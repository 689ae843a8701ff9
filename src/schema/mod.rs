//! Schemas: how payloads become bytes and bytes become payloads.

mod codec;

pub use codec::{Codec, DecodeError, EncodeError, EncodedDatum, FramedPayload};
