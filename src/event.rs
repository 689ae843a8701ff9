//! The payload of an event, the key that orders it and the stream it belongs to.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::upcast::Upcasts;

/// The longest key or stream name, in bytes. It fits an indexed `VARCHAR(255)` of the outbox.
pub const MAX_NAME_BYTES: usize = 255;

/// Something that happened, with a schema and a key.
///
/// Derive it: `#[derive(Event, Serialize, Deserialize)]`. The derive checks the name and the version,
/// reads the schema file at compile time and takes the key from the field marked `#[event(key)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event payload",
    label = "this type does not implement `Event`",
    note = "derive it: `#[derive(Event, Serialize, Deserialize)]` with `#[event(name = \"…\", version = \"…\", schema = \"…\")]`"
)]
pub trait Event: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The event's name, such as `accounts.UserUpdated`; the `ce_type` header.
    const NAME: &'static str;
    /// The payload's version, a semantic version such as `1.3.0`; the `ce_schemaversion` header.
    const VERSION: &'static str;
    /// The payload's Avro schema, as JSON.
    const SCHEMA: &'static str;
    /// The kind of entity whose stream carries this event. All events of one entity name the same one.
    /// Default: the event name up to its last dot.
    const ENTITY: &'static str;
    /// How events of older versions become this one. Default: not at all, the type reads what it can.
    const UPCASTS: Option<Upcasts<Self>> = None;

    /// The key that partitions: usually the user's id. Events of one key stay in order on their topic.
    fn key(&self) -> Cow<'_, str>;

    /// The entity's id within [`ENTITY`](Self::ENTITY). Default: the key.
    fn entity_id(&self) -> Cow<'_, str> {
        self.key()
    }

    /// The stream: `ENTITY/entity_id`; the `ce_subject` header.
    fn stream(&self) -> Stream {
        Stream::new(Self::ENTITY, &self.entity_id())
    }
}

/// One entity's events, such as `Account/42`. Sequences count within a stream.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream(Arc<str>);

impl Stream {
    /// The stream of the entity `entity/id`.
    pub fn new(entity: &str, id: &str) -> Self {
        Self(format!("{entity}/{id}").into())
    }

    /// A stream by its full name.
    pub fn from_name(name: &str) -> Self {
        Self(name.into())
    }

    /// The full name, `Account/42`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The entity's kind, `Account`; the whole name when it has no slash.
    pub fn entity(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(entity, _)| entity)
    }

    /// The entity's id, `42`; empty when the name has no slash.
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Stream({})", self.0)
    }
}

/// Whose stream it is, and its name: two services may have streams of one name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The publishing service's name.
    pub source: Arc<str>,
    /// The stream.
    pub stream: Stream,
}

impl StreamId {
    /// The stream `stream` of the service `source`.
    pub fn new(source: impl Into<Arc<str>>, stream: Stream) -> Self {
        Self { source: source.into(), stream }
    }

    /// From how rows have them: the source as a path, as in its header.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn of_row(source: &str, stream: &str) -> Self {
        Self::new(source_of_path(source), Stream::from_name(stream))
    }
}

/// A source from how headers and rows have it: as a path, `/accounts`.
pub(crate) fn source_of_path(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.stream, self.source)
    }
}

/// A value that can be a key: it has one text form, the same in every service.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "a key is an integer, a string or a `Uuid`; for your own type implement `tidings::Key`"
)]
pub trait Key: Send + Sync {
    /// The key's text: the record key and the `ce_partitionkey` header.
    fn to_key(&self) -> Cow<'_, str>;
}

macro_rules! key_by_display {
    ($($type:ty),+) => {$(
        impl Key for $type {
            fn to_key(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )+};
}

key_by_display!(i8, i16, i32, i64, u8, u16, u32, u64, Uuid);

impl Key for str {
    fn to_key(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl Key for String {
    fn to_key(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl<T: Key + ?Sized> Key for &T {
    fn to_key(&self) -> Cow<'_, str> {
        (**self).to_key()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_splits_at_its_first_slash() {
        let stream = Stream::new("Account", "4/2");
        assert_eq!((stream.as_str(), stream.entity(), stream.id()), ("Account/4/2", "Account", "4/2"));
    }

    #[test]
    fn a_stream_without_a_slash_has_no_id() {
        let stream = Stream::from_name("accounts");
        assert_eq!((stream.entity(), stream.id()), ("accounts", ""));
    }

    #[test]
    fn numbers_and_strings_of_one_user_are_one_key() {
        assert_eq!(42_i64.to_key(), "42".to_key());
    }
}
