//! What is asked of the store, and what it answers.

use super::event::{NewEvent, Place};
use super::{Refusal, StoreError};

/// Where a writer expects a stream to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpectedVersion {
    /// Anywhere.
    #[default]
    Any,
    /// Nowhere: it has no events.
    None,
    /// At this sequence: that of its last event.
    Exact(u64),
}

/// Events of one stream, to be appended together or not at all.
#[derive(Debug, Clone)]
pub struct Append {
    pub(crate) events: Vec<NewEvent>,
    pub(crate) expected: ExpectedVersion,
}

impl Append {
    /// Append `events`, all of one stream, in their order, if the stream is where `expected` says.
    pub fn new(events: impl IntoIterator<Item = impl Into<NewEvent>>, expected: ExpectedVersion) -> Self {
        Self { events: events.into_iter().map(Into::into).collect(), expected }
    }

    pub(crate) fn check(&self, max_event_bytes: usize, max_events: usize) -> Result<(), StoreError> {
        let invalid = |reason: &str| Err(StoreError::Invalid { reason: reason.to_owned() });
        let Some(first) = self.events.first() else { return invalid("an append without events") };
        if self.events.len() > max_events {
            let reason = format!("an append of {} events, and {max_events} are allowed", self.events.len());
            return Err(StoreError::Invalid { reason });
        }
        let mut ids = std::collections::HashSet::new();
        for event in &self.events {
            event.check(max_event_bytes)?;
            if event.stream_id() != first.stream_id() || event.envelope.key != first.envelope.key {
                return invalid("the events of an append belong to one stream, with one key");
            }
            if !ids.insert(event.id()) {
                return invalid("two events of an append have the same id");
            }
            if event.envelope.sequence.is_some() {
                return invalid("an append's events get their sequences from the store; relay those that have one");
            }
        }
        Ok(())
    }
}

/// Events were appended and are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Appended {
    /// The first one's place.
    pub first: Place,
    /// The last one's place: what the next writer expects.
    pub last: Place,
    /// Whether they were there already: this append came again.
    pub repeated: bool,
}

/// What became of a relayed event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relayed {
    /// It is durable.
    Stored,
    /// It was there already.
    Repeated,
    /// It is against the rules of its stream.
    Refused(Refusal),
}
