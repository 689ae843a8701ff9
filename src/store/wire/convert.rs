//! Between the messages and what they mean. What comes from the wire is hostile: nothing here panics on it.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::refused::Reason;
use super::{append_reply, append_request, relay_result, subscribe_reply};
use crate::database::check_name;
use crate::envelope::{Envelope, rfc3339};
use crate::event::{MAX_NAME_BYTES, Stream};
use crate::store::{
    Append, Appended, Direction, ExpectedVersion, NewEvent, Notice, Place, Refusal, Relayed, StoreError, StoredEvent,
    StreamQuery, Subscription,
};
use crate::transport::kafka::topic_name;

/// Characters of a stranger's text that an answer repeats.
const SHOWN: usize = 64;

fn invalid(reason: impl Into<String>) -> StoreError {
    StoreError::Invalid { reason: reason.into() }
}

fn missing(what: &str) -> StoreError {
    invalid(format!("a message came without its {what}"))
}

/// As much of a stranger's text as an answer repeats.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

fn time(what: &str, text: &str) -> Result<DateTime<Utc>, StoreError> {
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|_| invalid(format!("the {what} '{}' is not RFC 3339", shown(text))))?;
    Ok(time.to_utc())
}

/// A service's name, to read its events by.
fn source(name: &str) -> Result<(), StoreError> {
    let fault = topic_name::fault(name);
    fault.map_or(Ok(()), |fault| Err(invalid(format!("'{}' cannot be a service's name: {fault}", shown(name)))))
}

pub(in crate::store) fn id(text: &str) -> Result<Uuid, StoreError> {
    Uuid::parse_str(text).map_err(|_| invalid(format!("the id '{}' is not a UUID", shown(text))))
}

impl From<NewEvent> for super::Event {
    fn from(NewEvent { envelope, payload }: NewEvent) -> Self {
        Self {
            id: envelope.id.hyphenated().to_string(),
            source: envelope.source.into_owned(),
            stream: envelope.stream.as_str().to_owned(),
            key: envelope.key,
            r#type: envelope.event.into_owned(),
            schema_version: envelope.schema_version.into_owned(),
            time: rfc3339(envelope.time),
            recorded_time: rfc3339(envelope.recorded_time),
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id,
            data_schema: envelope.data_schema,
            traceparent: envelope.traceparent,
            tracestate: envelope.tracestate,
            payload,
        }
    }
}

impl TryFrom<super::Event> for NewEvent {
    type Error = StoreError;

    fn try_from(event: super::Event) -> Result<Self, StoreError> {
        let envelope = Envelope {
            id: id(&event.id)?,
            source: event.source.into(),
            event: event.r#type.into(),
            schema_version: event.schema_version.into(),
            time: time("time", &event.time)?,
            recorded_time: time("recorded time", &event.recorded_time)?,
            stream: Stream::from_name(&event.stream),
            sequence: None,
            stream_epoch: 0,
            key: event.key,
            correlation_id: event.correlation_id,
            causation_id: event.causation_id,
            data_schema: event.data_schema,
            traceparent: event.traceparent,
            tracestate: event.tracestate,
        };
        Ok(Self { envelope, payload: event.payload })
    }
}

fn placed(event: super::Event, place: Option<super::Place>) -> Result<NewEvent, StoreError> {
    let place = place.ok_or_else(|| missing("place"))?;
    let mut event = NewEvent::try_from(event)?;
    event.envelope.sequence = Some(place.sequence);
    event.envelope.stream_epoch = place.epoch;
    Ok(event)
}

impl From<Place> for super::Place {
    fn from(Place { epoch, sequence }: Place) -> Self {
        Self { epoch, sequence }
    }
}

impl From<super::Place> for Place {
    fn from(super::Place { epoch, sequence }: super::Place) -> Self {
        Self { epoch, sequence }
    }
}

impl From<Append> for super::AppendRequest {
    fn from(append: Append) -> Self {
        let expected = match append.expected {
            ExpectedVersion::Any => None,
            ExpectedVersion::None => Some(append_request::Expected::NoStream(true)),
            ExpectedVersion::Exact(sequence) => Some(append_request::Expected::Exact(sequence)),
        };
        Self { events: append.events.into_iter().map(Into::into).collect(), expected }
    }
}

impl TryFrom<super::AppendRequest> for Append {
    type Error = StoreError;

    fn try_from(request: super::AppendRequest) -> Result<Self, StoreError> {
        let expected = match request.expected {
            None | Some(append_request::Expected::NoStream(false)) => ExpectedVersion::Any,
            Some(append_request::Expected::NoStream(true)) => ExpectedVersion::None,
            Some(append_request::Expected::Exact(sequence)) => ExpectedVersion::Exact(sequence),
        };
        let events = request.events.into_iter().map(NewEvent::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::new(events, expected))
    }
}

impl From<Result<Appended, Refusal>> for super::AppendReply {
    fn from(result: Result<Appended, Refusal>) -> Self {
        let result = match result {
            Ok(Appended { first, last, repeated }) => append_reply::Result::Appended(super::Appended {
                first: Some(first.into()),
                last: Some(last.into()),
                repeated,
            }),
            Err(refusal) => append_reply::Result::Refused(refusal.into()),
        };
        Self { result: Some(result) }
    }
}

impl TryFrom<super::AppendReply> for Appended {
    type Error = StoreError;

    fn try_from(reply: super::AppendReply) -> Result<Self, StoreError> {
        match reply.result.ok_or_else(|| missing("result"))? {
            append_reply::Result::Appended(super::Appended { first: Some(first), last: Some(last), repeated }) => {
                Ok(Self { first: first.into(), last: last.into(), repeated })
            }
            append_reply::Result::Appended(_) => Err(missing("place")),
            append_reply::Result::Refused(refused) => Err(Refusal::try_from(refused)?.into()),
        }
    }
}

impl From<NewEvent> for super::RelayedEvent {
    fn from(event: NewEvent) -> Self {
        let place = event.place().map(Into::into);
        Self { event: Some(event.into()), place }
    }
}

impl TryFrom<super::RelayedEvent> for NewEvent {
    type Error = StoreError;

    fn try_from(relayed: super::RelayedEvent) -> Result<Self, StoreError> {
        placed(relayed.event.ok_or_else(|| missing("event"))?, relayed.place)
    }
}

impl From<Relayed> for super::RelayResult {
    fn from(relayed: Relayed) -> Self {
        let result = match relayed {
            Relayed::Stored => relay_result::Result::Stored(true),
            Relayed::Repeated => relay_result::Result::Repeated(true),
            Relayed::Refused(refusal) => relay_result::Result::Refused(refusal.into()),
        };
        Self { result: Some(result) }
    }
}

impl TryFrom<super::RelayResult> for Relayed {
    type Error = StoreError;

    fn try_from(result: super::RelayResult) -> Result<Self, StoreError> {
        match result.result.ok_or_else(|| missing("result"))? {
            relay_result::Result::Stored(_) => Ok(Self::Stored),
            relay_result::Result::Repeated(_) => Ok(Self::Repeated),
            relay_result::Result::Refused(refused) => Ok(Self::Refused(refused.try_into()?)),
        }
    }
}

impl From<Refusal> for super::Refused {
    fn from(refusal: Refusal) -> Self {
        use super::refused as wire;
        let message = refusal.to_string();
        let text = |stream: &Stream| stream.as_str().to_owned();
        let reason = match &refusal {
            Refusal::WrongVersion { stream, expected, actual } => {
                Reason::WrongVersion(wire::WrongVersion { stream: text(stream), expected: *expected, actual: *actual })
            }
            Refusal::Gap { stream, epoch, sequence, last } => {
                let place = Place { epoch: *epoch, sequence: *sequence }.into();
                Reason::Gap(wire::Gap { stream: text(stream), place: Some(place), last: *last })
            }
            Refusal::OldEpoch { stream, epoch, current } => {
                Reason::OldEpoch(wire::OldEpoch { stream: text(stream), epoch: *epoch, current: *current })
            }
            Refusal::Fork { stream, place } => {
                Reason::Fork(wire::Fork { stream: text(stream), place: Some((*place).into()) })
            }
            Refusal::OtherContent { id } => Reason::OtherContent(wire::OtherContent { id: id.to_string() }),
            Refusal::PartlyStored { stream } => Reason::PartlyStored(wire::PartlyStored { stream: text(stream) }),
            Refusal::OtherKey { stream, recorded, wanted } => Reason::OtherKey(wire::OtherKey {
                stream: text(stream),
                recorded: recorded.clone(),
                wanted: wanted.clone(),
            }),
            Refusal::OtherWriter { stream, recorded, .. } => Reason::OtherWriter(wire::OtherWriter {
                stream: text(stream),
                recorded_is_outbox: *recorded == Refusal::OUTBOX,
            }),
            Refusal::Forbidden { name } => Reason::Forbidden(wire::Forbidden { source: name.clone() }),
        };
        Self { message, reason: Some(reason) }
    }
}

impl TryFrom<super::Refused> for Refusal {
    type Error = StoreError;

    fn try_from(refused: super::Refused) -> Result<Self, StoreError> {
        // A store of a later version may have reasons that this client does not know.
        let unknown = || invalid(format!("it is refused: {}", refused.message));
        let place = |place: Option<super::Place>| place.map(Place::from).ok_or_else(|| missing("place"));
        Ok(match refused.reason.clone().ok_or_else(unknown)? {
            Reason::WrongVersion(reason) => Self::WrongVersion {
                stream: Stream::from_name(&reason.stream),
                expected: reason.expected,
                actual: reason.actual,
            },
            Reason::Gap(reason) => {
                let Place { epoch, sequence } = place(reason.place)?;
                Self::Gap { stream: Stream::from_name(&reason.stream), epoch, sequence, last: reason.last }
            }
            Reason::OldEpoch(reason) => Self::OldEpoch {
                stream: Stream::from_name(&reason.stream),
                epoch: reason.epoch,
                current: reason.current,
            },
            Reason::Fork(reason) => {
                Self::Fork { stream: Stream::from_name(&reason.stream), place: place(reason.place)? }
            }
            Reason::OtherContent(reason) => Self::OtherContent { id: id(&reason.id)? },
            Reason::PartlyStored(reason) => Self::PartlyStored { stream: Stream::from_name(&reason.stream) },
            Reason::OtherKey(reason) => Self::OtherKey {
                stream: Stream::from_name(&reason.stream),
                recorded: reason.recorded,
                wanted: reason.wanted,
            },
            Reason::Forbidden(reason) => Self::Forbidden { name: reason.source },
            Reason::OtherWriter(reason) => {
                let (recorded, wanted) =
                    if reason.recorded_is_outbox { (Self::OUTBOX, Self::STORE) } else { (Self::STORE, Self::OUTBOX) };
                Self::OtherWriter { stream: Stream::from_name(&reason.stream), recorded, wanted }
            }
        })
    }
}

impl From<StreamQuery> for super::ReadStreamRequest {
    fn from(query: StreamQuery) -> Self {
        Self {
            source: query.stream.source.to_string(),
            stream: query.stream.stream.as_str().to_owned(),
            backwards: query.direction == Direction::Backwards,
            from: query.from.map(Into::into),
            until: query.until.map(rfc3339),
            limit: query.limit,
        }
    }
}

impl TryFrom<super::ReadStreamRequest> for StreamQuery {
    type Error = StoreError;

    fn try_from(request: super::ReadStreamRequest) -> Result<Self, StoreError> {
        source(&request.source)?;
        check_name("stream", &request.stream, MAX_NAME_BYTES).map_err(|error| invalid(error.to_string()))?;
        let mut query = Self::new(request.source, Stream::from_name(&request.stream));
        query.direction = if request.backwards { Direction::Backwards } else { Direction::Forwards };
        query.from = request.from.map(Into::into);
        query.until = request.until.map(|until| time("time", &until)).transpose()?;
        query.limit = request.limit;
        if query.from.is_some_and(|place| i64::try_from(place.sequence).is_err()) {
            return Err(invalid("a sequence is out of range"));
        }
        Ok(query)
    }
}

impl From<StoredEvent> for super::StoredEvent {
    fn from(StoredEvent { position, event }: StoredEvent) -> Self {
        let place = event.place().map(Into::into);
        Self { event: Some(event.into()), place, position }
    }
}

impl TryFrom<super::StoredEvent> for StoredEvent {
    type Error = StoreError;

    fn try_from(stored: super::StoredEvent) -> Result<Self, StoreError> {
        let event = placed(stored.event.ok_or_else(|| missing("event"))?, stored.place)?;
        Ok(Self { position: stored.position, event })
    }
}

impl From<Subscription> for super::SubscribeRequest {
    fn from(Subscription { after, sources }: Subscription) -> Self {
        Self { after, sources }
    }
}

impl TryFrom<super::SubscribeRequest> for Subscription {
    type Error = StoreError;

    fn try_from(request: super::SubscribeRequest) -> Result<Self, StoreError> {
        if i64::try_from(request.after).is_err() {
            return Err(invalid(format!("position {} is out of range", request.after)));
        }
        if request.sources.len() > 256 {
            return Err(invalid("a subscription names at most 256 sources"));
        }
        request.sources.iter().try_for_each(|name| source(name))?;
        Ok(Self { after: request.after, sources: request.sources })
    }
}

impl From<Notice> for super::SubscribeReply {
    fn from(notice: Notice) -> Self {
        let notice = match notice {
            Notice::Event(event) => subscribe_reply::Notice::Event(event.into()),
            Notice::CaughtUp { position } => subscribe_reply::Notice::CaughtUp(position),
        };
        Self { notice: Some(notice) }
    }
}

impl TryFrom<super::SubscribeReply> for Notice {
    type Error = StoreError;

    fn try_from(reply: super::SubscribeReply) -> Result<Self, StoreError> {
        match reply.notice.ok_or_else(|| missing("notice"))? {
            subscribe_reply::Notice::Event(event) => Ok(Self::Event(event.try_into()?)),
            subscribe_reply::Notice::CaughtUp(position) => Ok(Self::CaughtUp { position }),
        }
    }
}
