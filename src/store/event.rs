//! What the store takes and what it gives back.

use bytes::Bytes;
use chrono::Datelike as _;
use uuid::Uuid;

use super::StoreError;
use crate::database::check_name;
use crate::envelope::{Envelope, EnvelopeView, header};
use crate::event::{MAX_NAME_BYTES, StreamId};
use crate::publisher::ReadyEvent;
use crate::transport::OutgoingRecord;
use crate::transport::kafka::topic_name;

/// An event for the store: its metadata and its payload, framed as on the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The metadata. A relayed event has its sequence and epoch here; a direct one gets them from the store.
    pub envelope: Envelope,
    /// The payload, with its schema's id in front.
    pub payload: Bytes,
}

/// An event the store keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredEvent {
    /// Its place in the order that subscriptions follow, from 1; `None` for the moment between its commit and the sequencer's.
    pub position: Option<u64>,
    /// The event, with its sequence and epoch.
    pub event: NewEvent,
}

/// A place in a stream. Places compare by epoch first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The stream's epoch.
    pub epoch: u32,
    /// The sequence in it, from 1.
    pub sequence: u64,
}

impl From<ReadyEvent> for NewEvent {
    fn from(event: ReadyEvent) -> Self {
        Self { envelope: event.envelope, payload: event.payload }
    }
}

impl NewEvent {
    /// The event of a record, with its sequence where it has one.
    ///
    /// # Errors
    /// What the record lacks, in words.
    pub(crate) fn of_record(record: &OutgoingRecord) -> Result<Self, String> {
        let view = EnvelopeView::new(&record.headers);
        let missing = |name: &'static str| move || format!("its header {name} is missing, or cannot be read");
        let text = |name: &'static str| view.header(name).ok_or_else(missing(name));
        let envelope = Envelope {
            id: view.id().and_then(|id| Uuid::parse_str(id).ok()).ok_or_else(missing(header::ID))?,
            source: view.source().ok_or_else(missing(header::SOURCE))?.to_owned().into(),
            event: text(header::TYPE)?.to_owned().into(),
            schema_version: text(header::SCHEMA_VERSION)?.to_owned().into(),
            time: view.time().ok_or_else(missing(header::TIME))?,
            recorded_time: view.recorded_time().ok_or_else(missing(header::RECORDED_TIME))?,
            stream: view.stream().ok_or_else(missing(header::SUBJECT))?,
            sequence: view.sequence(),
            stream_epoch: view.stream_epoch(),
            key: text(header::PARTITION_KEY)?.to_owned(),
            correlation_id: text(header::CORRELATION_ID)?.to_owned(),
            causation_id: view.causation_id().map(ToOwned::to_owned),
            data_schema: text(header::DATA_SCHEMA)?.to_owned(),
            traceparent: text(header::TRACEPARENT)?.to_owned(),
            tracestate: view.tracestate().map(ToOwned::to_owned),
        };
        if *envelope.source != *record.topic {
            return Err(format!("it is for the topic {}, and its source is {}", record.topic, envelope.source));
        }
        Ok(Self { envelope, payload: record.payload.clone().ok_or("it has no payload")? })
    }

    /// The event's id, which the store remembers for ever.
    pub fn id(&self) -> Uuid {
        self.envelope.id
    }

    /// The stream it belongs to.
    pub fn stream_id(&self) -> StreamId {
        StreamId { source: (&*self.envelope.source).into(), stream: self.envelope.stream.clone() }
    }

    /// Its place; `None` while the store has yet to give it one.
    pub fn place(&self) -> Option<Place> {
        let sequence = self.envelope.sequence.filter(|sequence| *sequence > 0)?;
        Some(Place { epoch: self.envelope.stream_epoch, sequence })
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.envelope.stored_bytes(&self.payload)
    }

    /// Whether both say the same of what happened. When each was recorded, and on which trace, is no part of that: an event
    /// that is prepared anew has other ones.
    pub(crate) fn is_same_event(&self, other: &Self) -> bool {
        let (one, two) = (&self.envelope, &other.envelope);
        one.id == two.id
            && one.source == two.source
            && one.stream == two.stream
            && one.key == two.key
            && one.event == two.event
            && one.schema_version == two.schema_version
            // As much of the time as is kept.
            && one.time.timestamp_micros() == two.time.timestamp_micros()
            && one.correlation_id == two.correlation_id
            && one.causation_id == two.causation_id
            && one.data_schema == two.data_schema
            && self.payload == other.payload
    }

    /// Refuse what cannot be stored as it is.
    pub(crate) fn check(&self, max_bytes: usize) -> Result<(), StoreError> {
        let Envelope { source, event, schema_version, stream, key, correlation_id, causation_id, .. } = &self.envelope;
        let Envelope { data_schema, traceparent, tracestate, id, stream_epoch, sequence, .. } = &self.envelope;
        let Envelope { time, recorded_time, .. } = &self.envelope;
        let invalid = |reason: String| StoreError::Invalid { reason: format!("event {id}: {reason}") };
        if let Some(fault) = topic_name::fault(source) {
            return Err(invalid(format!("its source cannot be a service's name: {fault}")));
        }
        let named = [
            ("stream", stream.as_str(), MAX_NAME_BYTES),
            ("key", key.as_str(), MAX_NAME_BYTES),
            ("event name", &**event, MAX_NAME_BYTES),
            ("schema version", &**schema_version, 64),
            ("correlation id", correlation_id.as_str(), 1_024),
            ("causation id", causation_id.as_deref().unwrap_or_default(), 1_024),
            ("data schema", data_schema.as_str(), 65_535),
            ("traceparent", traceparent.as_str(), 64),
            ("tracestate", tracestate.as_deref().unwrap_or_default(), 65_535),
        ];
        for (what, name, limit) in named {
            check_name(what, name, limit).map_err(|error| invalid(error.to_string()))?;
        }
        if stream.as_str().is_empty() || event.is_empty() {
            return Err(invalid("it names no stream, or no event".to_owned()));
        }
        for (what, time) in [("time", time), ("recorded time", recorded_time)] {
            // RFC 3339 has years of four digits. In UTC another one may come out than was written.
            if !(0..=9_999).contains(&time.year()) {
                return Err(invalid(format!("its {what} is in the year {}", time.year())));
            }
        }
        if i64::try_from(sequence.unwrap_or_default()).is_err() {
            return Err(invalid(format!("its sequence in epoch {stream_epoch} is out of range")));
        }
        let bytes = self.bytes();
        if bytes > max_bytes {
            return Err(invalid(format!("it needs {bytes} bytes and {max_bytes} are allowed")));
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::{DateTime, Utc};

    use super::*;
    use crate::event::Stream;

    /// The first event of a stream, of this time.
    pub(in crate::store) fn event(time: DateTime<Utc>) -> NewEvent {
        let envelope = Envelope {
            id: Uuid::now_v7(),
            source: "accounts".into(),
            event: "accounts.AccountRenamed".into(),
            schema_version: "1.0.0".into(),
            time,
            recorded_time: time,
            stream: Stream::new("Account", "1"),
            sequence: Some(1),
            stream_epoch: 0,
            key: "1".to_owned(),
            correlation_id: String::new(),
            causation_id: None,
            data_schema: String::new(),
            traceparent: String::new(),
            tracestate: None,
        };
        NewEvent { envelope, payload: Bytes::new() }
    }

    #[test]
    fn a_time_that_nobody_could_read_again_is_refused() {
        let check = |time: &str| event(DateTime::parse_from_rfc3339(time).unwrap().to_utc()).check(usize::MAX);
        assert!(check("9999-12-31T23:59:59Z").is_ok() && check("0000-01-01T00:00:00Z").is_ok());
        for time in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"] {
            let error = check(time).unwrap_err().to_string();
            assert!(error.contains("is in the year"), "{error}");
        }
    }
}
