//! Why events were not written.

use std::io;
use std::sync::Arc;

use crate::outcome::{ErrorClass, HandlerError};
use crate::schema::{DatumError, EncodeError};
use crate::warehouse::table::TableError;

/// Why events were not written. None of them counts as handled: they are delivered again, and what is there by then is left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// A handler passed messages that are not those of its events.
    #[error("the sink was given {events} events and {messages} messages; pass both as the handler was given them")]
    Mismatched {
        /// The events.
        events: usize,
        /// The messages.
        messages: usize,
    },
    /// The event has no table. Waits for a build that has another schema.
    #[error(transparent)]
    Table(#[from] Arc<TableError>),
    /// The event does not fit its own schema. Given up at once.
    #[error("{event} at {record} does not fit its schema")]
    Encode {
        /// The event's name.
        event: &'static str,
        /// Where the record is.
        record: String,
        /// Why.
        #[source]
        source: Box<EncodeError>,
    },
    /// A value of the event does not fit its column, as a decimal with too many digits does not. Given up at once.
    #[error("{event} at {record} cannot be a row: {reason}")]
    Value {
        /// The event's name.
        event: &'static str,
        /// Where the record is.
        record: String,
        /// Which value, and why.
        reason: String,
    },
    /// The files cannot be reached: a disk that is full, a folder that may not be written to, a file system without hard links,
    /// which answers that they are not permitted. Waits until they can, whatever the reason: the place is at fault, and would be
    /// for every event.
    #[error("{path} cannot be {doing}")]
    Files {
        /// What was being done to it.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that should tell which offsets are there already cannot be read as one of this sink's. Waits until it is moved away.
    #[error(
        "{path} is no file of this sink ({reason}): which events are there already cannot be known; move it out of the folder"
    )]
    Foreign {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Others wrote the files of the same partition at the same time, again and again. Waits.
    #[error(
        "the files of {topic} [{partition}] in {folder} were written by others {times} times while this batch was to be added"
    )]
    Contended {
        /// The folder.
        folder: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How often it was tried.
        times: u32,
    },
    /// Rows could not be put together or written as Parquet.
    #[error("rows of {event} cannot be written as Parquet")]
    Parquet {
        /// The event's name.
        event: &'static str,
        /// Why.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// The thread that wrote them panicked, or the runtime is going down.
    #[error("the files were not written to their end")]
    Interrupted(#[source] tokio::task::JoinError),
}

impl SinkError {
    /// What a handler returns for it.
    pub(super) fn into_handler_error(self) -> HandlerError {
        let class = match &self {
            Self::Encode { .. } | Self::Value { .. } => ErrorClass::Terminal,
            Self::Parquet { .. } | Self::Interrupted(_) => ErrorClass::Retryable,
            _ => ErrorClass::Unavailable,
        };
        HandlerError::new(class, self)
    }
}

/// A value that has no place in its column.
#[derive(Debug)]
pub(super) struct Misfit(pub(super) String);

impl From<DatumError> for Misfit {
    fn from(error: DatumError) -> Self {
        Self(error.to_string())
    }
}
