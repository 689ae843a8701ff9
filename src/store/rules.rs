//! Which events a stream takes. No input or output: a batch is judged on what the database says, and then written.
//!
//! Two kinds of writers: an outbox numbers its events itself, and the store takes *n* only after *n* − 1 of the same epoch;
//! for direct appends the store numbers them. A stream has one of the two for ever.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Refusal;
use super::append::{Append, Appended, ExpectedVersion, Relayed};
use super::event::{NewEvent, Place};
use crate::event::StreamId;

/// Who numbers a stream's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writer {
    Outbox,
    Store,
}

impl Writer {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Store => "store",
        }
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        match text {
            "outbox" => Some(Self::Outbox),
            "store" => Some(Self::Store),
            _ => None,
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::Outbox => Refusal::OUTBOX,
            Self::Store => Refusal::STORE,
        }
    }
}

/// A stream, as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamState {
    pub(super) writer: Writer,
    pub(super) key: String,
    pub(super) last: Place,
}

/// What is known of an event that has an id of the batch.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// All that decides whether another is the same.
    Event(Box<NewEvent>),
    /// It is of another size than what came with its id: that it is not the same is all there is to know, however large it is.
    OfAnotherSize,
}

impl Known {
    /// The event, if it says the same as `event`.
    fn same_as(&self, event: &NewEvent) -> Option<&NewEvent> {
        match self {
            Self::Event(known) if known.is_same_event(event) => Some(known),
            Self::Event(_) | Self::OfAnotherSize => None,
        }
    }
}

/// What is known of the streams and events that a batch is about, and what the batch adds to it.
#[derive(Debug, Default)]
pub(super) struct Judge {
    streams: BTreeMap<StreamId, StreamState>,
    events: HashMap<Uuid, Known>,
    /// Streams that the batch begins (true) or goes on with.
    changed: BTreeMap<StreamId, bool>,
    accepted: Vec<NewEvent>,
    /// The epoch of streams that the store begins.
    first_epoch: u32,
}

/// What a batch is to write.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) events: Vec<NewEvent>,
    /// With each whether it is new.
    pub(super) streams: Vec<(StreamId, StreamState, bool)>,
}

impl Judge {
    /// A judge who knows these streams and these events.
    pub(super) fn new(
        streams: BTreeMap<StreamId, StreamState>,
        events: HashMap<Uuid, Known>,
        first_epoch: u32,
    ) -> Self {
        Self { streams, events, first_epoch, ..Self::default() }
    }

    /// Judge an event that has its place from an outbox.
    pub(super) fn relay(&mut self, event: &NewEvent) -> Relayed {
        match self.judge_relayed(event) {
            Ok(None) => Relayed::Repeated,
            Ok(Some(state)) => {
                self.accept(event.clone(), state);
                Relayed::Stored
            }
            Err(refusal) => Relayed::Refused(refusal),
        }
    }

    /// The stream's new state, or `None` where the event is there already.
    fn judge_relayed(&self, event: &NewEvent) -> Result<Option<StreamState>, Refusal> {
        let envelope = &event.envelope;
        let stream = || envelope.stream.clone();
        let (epoch, sequence) = (envelope.stream_epoch, envelope.sequence.unwrap_or_default());
        if let Some(known) = self.events.get(&event.id()) {
            let same = known.same_as(event).is_some_and(|known| known.place() == event.place());
            return if same { Ok(None) } else { Err(Refusal::OtherContent { id: event.id() }) };
        }
        let gap = |last| Refusal::Gap { stream: stream(), epoch, sequence, last };
        let place = event.place().ok_or_else(|| gap(0))?;
        let state = StreamState { writer: Writer::Outbox, key: envelope.key.clone(), last: place };
        let Some(known) = self.streams.get(&event.stream_id()) else {
            return if place.sequence == 1 { Ok(Some(state)) } else { Err(gap(0)) };
        };
        self.check_owner(known, Writer::Outbox, event)?;
        match place.epoch.cmp(&known.last.epoch) {
            std::cmp::Ordering::Less => {
                Err(Refusal::OldEpoch { stream: stream(), epoch: place.epoch, current: known.last.epoch })
            }
            std::cmp::Ordering::Greater if place.sequence == 1 => Ok(Some(state)),
            std::cmp::Ordering::Greater => Err(gap(0)),
            std::cmp::Ordering::Equal if place.sequence <= known.last.sequence => {
                Err(Refusal::Fork { stream: stream(), place })
            }
            std::cmp::Ordering::Equal if place.sequence - 1 == known.last.sequence => Ok(Some(state)),
            std::cmp::Ordering::Equal => Err(gap(known.last.sequence)),
        }
    }

    /// Judge events that are to get their places here; all of one stream, and checked.
    pub(super) fn append(&mut self, append: &Append) -> Result<Appended, Refusal> {
        let Some(first) = append.events.first() else {
            let nowhere = Place { epoch: 0, sequence: 0 };
            return Ok(Appended { first: nowhere, last: nowhere, repeated: true });
        };
        let id = first.stream_id();
        let stream = || id.stream.clone();
        if let Some(repeated) = self.repeated(append, &id)? {
            return Ok(repeated);
        }
        let state = self.streams.get(&id);
        if let Some(state) = state {
            self.check_owner(state, Writer::Store, first)?;
        }
        let at = state.map_or(Place { epoch: self.first_epoch, sequence: 0 }, |state| state.last);
        let wrong = |expected| Refusal::WrongVersion { stream: stream(), expected, actual: at.sequence };
        match append.expected {
            ExpectedVersion::None if state.is_some() => return Err(wrong(0)),
            ExpectedVersion::Exact(expected) if expected != at.sequence => return Err(wrong(expected)),
            _ => {}
        }
        let mut place = at;
        for event in &append.events {
            place.sequence += 1;
            let mut event = event.clone();
            event.envelope.sequence = Some(place.sequence);
            event.envelope.stream_epoch = place.epoch;
            let key = event.envelope.key.clone();
            self.accept(event, StreamState { writer: Writer::Store, key, last: place });
        }
        Ok(Appended { first: Place { sequence: at.sequence + 1, ..at }, last: place, repeated: false })
    }

    /// The answer of before, if this append was made before.
    fn repeated(&self, append: &Append, stream: &StreamId) -> Result<Option<Appended>, Refusal> {
        let known: Vec<_> =
            append.events.iter().filter_map(|event| Some((event, self.events.get(&event.id())?))).collect();
        if known.is_empty() {
            return Ok(None);
        }
        let same = known
            .iter()
            .map(|(event, known)| known.same_as(event).ok_or_else(|| Refusal::OtherContent { id: event.id() }));
        let same = same.collect::<Result<Vec<&NewEvent>, _>>()?;
        let places: Option<Vec<Place>> = same.into_iter().map(NewEvent::place).collect();
        let places = places.filter(|places| places.len() == append.events.len()).unwrap_or_default();
        let follows = |pair: &[Place]| pair[0].epoch == pair[1].epoch && pair[0].sequence + 1 == pair[1].sequence;
        match (places.first(), places.last()) {
            (Some(first), Some(last)) if places.windows(2).all(follows) => {
                Ok(Some(Appended { first: *first, last: *last, repeated: true }))
            }
            _ => Err(Refusal::PartlyStored { stream: stream.stream.clone() }),
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its siblings")]
    fn check_owner(&self, state: &StreamState, writer: Writer, event: &NewEvent) -> Result<(), Refusal> {
        let stream = || event.envelope.stream.clone();
        if state.writer != writer {
            let (recorded, wanted) = (state.writer.in_words(), writer.in_words());
            return Err(Refusal::OtherWriter { stream: stream(), recorded, wanted });
        }
        if state.key != event.envelope.key {
            let (recorded, wanted) = (state.key.clone(), event.envelope.key.clone());
            return Err(Refusal::OtherKey { stream: stream(), recorded, wanted });
        }
        Ok(())
    }

    fn accept(&mut self, event: NewEvent, state: StreamState) {
        let id = event.stream_id();
        let is_new = self.streams.insert(id.clone(), state).is_none();
        self.changed.entry(id).or_insert(is_new);
        self.events.insert(event.id(), Known::Event(Box::new(event.clone())));
        self.accepted.push(event);
    }

    /// What the batch is to write.
    pub(super) fn changes(self) -> Changes {
        let Self { mut streams, changed, accepted, .. } = self;
        let streams = changed.into_iter().filter_map(|(id, is_new)| {
            let state = streams.remove(&id)?;
            Some((id, state, is_new))
        });
        Changes { streams: streams.collect(), events: accepted }
    }
}

#[cfg(test)]
mod tests;
