//! Why a document became no record.

use crate::cli::header_map::UnwritableHeader;
use crate::schema::{EncodeError, RegistryError};

/// Why a document became no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum OutgoingError {
    /// Nobody says which event it is.
    #[error("it does not say which event it is; give --event, such as --event accounts.UserUpdated")]
    NoEvent,
    /// Nobody says the key.
    #[error(
        "event {event} has no key, which decides its order; give --key, or --key-field with a field of the payload"
    )]
    NoKey { event: String },
    /// The field that is to be the key is missing or is none.
    #[error("field `{field}`, which is to be the key, {reason}")]
    KeyField { field: String, reason: &'static str },
    /// A line of `tail` is not what it should be.
    #[error("this is no line that `tidings tail` writes: {0}")]
    Line(String),
    /// The payload does not fit, or its schema got no id.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// There is no schema.
    #[error("there is no schema of {event}: {advice}")]
    NoSchema { event: String, advice: String },
    /// The registry could not say.
    #[error("the schema of {event} is not to be had")]
    Registry {
        event: String,
        #[source]
        source: RegistryError,
    },
    /// The client could not write a header.
    #[error(transparent)]
    Header(#[from] UnwritableHeader),
}
