//! How a test names an event.

use std::sync::Arc;

use uuid::Uuid;

use super::journal::Place;
use crate::event::Event;
use crate::publisher::Receipt;
use crate::schema::Codec;

/// An event that a kit published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    id: Uuid,
    source: Arc<str>,
    partition: Option<i32>,
    offset: Option<i64>,
}

impl Published {
    pub(super) fn new(receipt: &Receipt, source: Arc<str>) -> Self {
        Self { id: receipt.id(), source, partition: receipt.partition(), offset: receipt.offset() }
    }

    pub(super) fn at(id: Uuid, (place, offset): Place) -> Self {
        Self { id, source: place.topic, partition: Some(place.partition), offset: Some(offset) }
    }

    /// The event's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The publishing service, and its topic.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The partition it was written to.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// Its offset there.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }
}

/// What names an event: what [`publish`](super::TestKit::publish) returned, an id, or the event itself, where it was published
/// once.
pub trait EventRef: Send + Sync {
    /// What is looked for.
    #[doc(hidden)]
    fn target(&self, codec: &Codec) -> Target;
}

/// What is looked for.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub enum Target {
    Id(String),
    Payload { event: &'static str, datum: Result<Vec<u8>, String> },
}

impl EventRef for Published {
    fn target(&self, _: &Codec) -> Target {
        Target::Id(self.id.to_string())
    }
}

impl EventRef for Uuid {
    fn target(&self, _: &Codec) -> Target {
        Target::Id(self.to_string())
    }
}

impl EventRef for str {
    fn target(&self, _: &Codec) -> Target {
        Target::Id(self.to_owned())
    }
}

impl EventRef for String {
    fn target(&self, _: &Codec) -> Target {
        Target::Id(self.clone())
    }
}

impl<E: Event> EventRef for E {
    fn target(&self, codec: &Codec) -> Target {
        let datum = codec.encode(self).map(|encoded| encoded.datum().to_vec());
        Target::Payload { event: E::NAME, datum: datum.map_err(|error| super::panics::chain(&error)) }
    }
}
