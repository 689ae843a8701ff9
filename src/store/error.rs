//! Why the store did not do what it was asked for.

use uuid::Uuid;

use super::Place;
use crate::database;
use crate::event::Stream;

/// The store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Against the rules of the stream. The same request will be refused again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request itself cannot be understood or stored.
    #[error("the store cannot take this: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The store has more to do than it may put off. Nothing was stored: ask again, later and later.
    #[error("the store has too much to do; nothing was stored, try again later")]
    Overloaded,
    /// The time was up. What was asked for may have been done, or may yet be: ask again, with the same event ids.
    #[error(
        "the store did not answer in time; whether the events are stored shows when they are sent again, with the same ids"
    )]
    Deadline,
    /// The store, or its database, does not answer. As for [`Deadline`](Self::Deadline).
    #[error("the store cannot be used now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store does not know the token, or there is none.
    #[error("the store refuses the token: {reason}")]
    Unauthenticated {
        /// What the store says.
        reason: String,
    },
    /// The database could not be opened, or read.
    #[error("the store cannot use its database")]
    Database(#[from] database::Error),
    /// The store's tables are missing or old.
    #[error("the event store's tables are not there, or old; run `tidings store migrate`")]
    NotMigrated(#[source] database::Error),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The store could not be reached as it was told.
    #[error("the store cannot be used like this: {reason}")]
    Client {
        /// What is wrong.
        reason: String,
    },
}

impl StoreError {
    /// Whether the same request, with the same event ids, may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Overloaded | Self::Deadline | Self::Unavailable(_))
    }

    /// A word for metrics: the same kind of failure has the same word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.kind(),
            Self::Invalid { .. } => "invalid",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline",
            Self::Unavailable(_) => "unavailable",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::Database(_) => "database",
            Self::NotMigrated(_) => "not_migrated",
            Self::Closed => "closed",
            Self::Client { .. } => "client",
        }
    }
}

/// An append against the rules of its stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The stream is not where the writer expects it.
    #[error("stream {stream} is at {actual}, not at {expected}: somebody else has written; read it again")]
    WrongVersion {
        /// The stream.
        stream: Stream,
        /// What the writer expects; 0 is a stream without events.
        expected: u64,
        /// The sequence of its last event; 0 where it has none.
        actual: u64,
    },
    /// The event's predecessor is missing.
    #[error(
        "event {sequence} of stream {stream}, epoch {epoch}, came and its predecessor is not stored: the last one is {last}"
    )]
    Gap {
        /// The stream.
        stream: Stream,
        /// The epoch.
        epoch: u32,
        /// The event's sequence.
        sequence: u64,
        /// The last one stored in that epoch.
        last: u64,
    },
    /// The stream has gone on to a later epoch.
    #[error("an event of epoch {epoch} came and stream {stream} is in epoch {current}; it is late for good")]
    OldEpoch {
        /// The stream.
        stream: Stream,
        /// The event's epoch.
        epoch: u32,
        /// The stream's.
        current: u32,
    },
    /// Another event has its place.
    #[error("another event is stored as {}/{} of stream {stream}: its history has forked; begin a new epoch", .place.epoch, .place.sequence)]
    Fork {
        /// The stream.
        stream: Stream,
        /// The place.
        place: Place,
    },
    /// Another event has its id.
    #[error(
        "event {id} is stored already, and says something else, or stands elsewhere; an id is for one event for ever"
    )]
    OtherContent {
        /// The id.
        id: Uuid,
    },
    /// Some events of the append are stored already, and others are not.
    #[error(
        "some events of this append to stream {stream} are stored already; send again what was sent before, as it was"
    )]
    PartlyStored {
        /// The stream.
        stream: Stream,
    },
    /// The stream belongs to another key.
    #[error("stream {stream} has key '{recorded}', and this event says '{wanted}'; a stream keeps its key")]
    OtherKey {
        /// The stream.
        stream: Stream,
        /// The key of its events.
        recorded: String,
        /// The key of this one.
        wanted: String,
    },
    /// The stream is numbered by somebody else.
    #[error("stream {stream} is numbered by {recorded}, and this append is of {wanted}; a stream has one writer")]
    OtherWriter {
        /// The stream.
        stream: Stream,
        /// Who numbers it: `an outbox` or `the store`.
        recorded: &'static str,
        /// Who wanted to.
        wanted: &'static str,
    },
    /// The token is not for the event's source. Nothing is wrong with the event: it may be sent again once the token is.
    #[error("the token is not for the source {}; let it append that source's events, or give another one", .name.escape_debug())]
    Forbidden {
        /// The source.
        name: String,
    },
}

impl Refusal {
    /// How [`OtherWriter`](Self::OtherWriter) names the writers.
    pub(crate) const OUTBOX: &'static str = "an outbox";
    pub(crate) const STORE: &'static str = "the store";

    /// A word for metrics and the wire: the same kind of refusal has the same word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::WrongVersion { .. } => "wrong_version",
            Self::Gap { .. } => "gap",
            Self::OldEpoch { .. } => "old_epoch",
            Self::Fork { .. } => "fork",
            Self::OtherContent { .. } => "other_content",
            Self::PartlyStored { .. } => "partly_stored",
            Self::OtherKey { .. } => "other_key",
            Self::OtherWriter { .. } => "other_writer",
            Self::Forbidden { .. } => "forbidden",
        }
    }
}
