//! From a payload to a record: what all delivery modes have in common.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use rand::RngExt as _;
use uuid::{Builder, Uuid};

use crate::causality::Causality;
use crate::clock::Clock;
use crate::envelope::Envelope;
use crate::event::{Event, Stream};
use crate::schema::{Codec, EncodeError, EncodedDatum};
use crate::transport::OutgoingRecord;

/// An event taken for publishing: encoded, with its id and its cause, but not yet with a schema id or a sequence.
#[derive(Debug, Clone)]
pub struct PreparedEvent {
    id: Uuid,
    event: &'static str,
    version: &'static str,
    stream: Stream,
    key: String,
    occurred_at: DateTime<Utc>,
    causality: Causality,
    datum: EncodedDatum,
}

/// An event ready to be written, by whichever mode.
#[derive(Debug, Clone)]
pub struct ReadyEvent {
    /// The metadata; the sequence and the epoch are still to be set where the mode has them.
    pub envelope: Envelope,
    /// The payload, framed.
    pub payload: Bytes,
    /// The topic: the publishing service's name.
    pub topic: Arc<str>,
    /// The event's name.
    pub(crate) event: &'static str,
}

impl ReadyEvent {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        self.event
    }

    /// The record.
    pub(crate) fn to_record(&self) -> OutgoingRecord {
        Self::record_of(&self.envelope, &self.topic, self.payload.clone())
    }

    /// The record of an envelope and a payload: the same in every mode.
    pub(crate) fn record_of(envelope: &Envelope, topic: &Arc<str>, payload: Bytes) -> OutgoingRecord {
        OutgoingRecord {
            topic: Arc::clone(topic),
            partition: None,
            key: Some(Bytes::copy_from_slice(envelope.key.as_bytes())),
            payload: Some(payload),
            headers: envelope.to_headers(),
            timestamp_ms: Some(envelope.time.timestamp_millis()),
        }
    }
}

impl PreparedEvent {
    /// Take `event`. Its cause is the delivery being handled here, if there is one.
    ///
    /// # Errors
    /// The payload does not fit its schema.
    pub fn new<E: Event>(event: &E, codec: &Codec, clock: &dyn Clock) -> Result<Self, EncodeError> {
        let occurred_at = clock.now();
        Ok(Self {
            id: new_id(occurred_at),
            event: E::NAME,
            version: E::VERSION,
            stream: event.stream(),
            key: event.key().into_owned(),
            occurred_at,
            causality: Causality::current(),
            datum: codec.encode(event)?,
        })
    }

    /// The event's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The event's name.
    pub fn name(&self) -> &'static str {
        self.event
    }

    /// The event's stream.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The event's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Complete it with the id of its schema under `service`'s topic; asks the registry the first time.
    ///
    /// # Errors
    /// The registry does not know the schema, refuses it or is away.
    pub async fn ready(self, service: &Arc<str>, codec: &Codec, clock: &dyn Clock) -> Result<ReadyEvent, EncodeError> {
        let framed = codec.frame(service, self.datum).await?;
        let envelope = Envelope {
            id: self.id,
            source: service.to_string().into(),
            event: self.event.into(),
            schema_version: self.version.into(),
            time: self.occurred_at,
            recorded_time: clock.now(),
            stream: self.stream,
            sequence: None,
            stream_epoch: 0,
            key: self.key,
            correlation_id: self.causality.correlation_id_or(self.id),
            causation_id: self.causality.causation_id.clone(),
            data_schema: framed.data_schema.to_string(),
            traceparent: self.causality.next_traceparent(),
            tracestate: self.causality.tracestate,
        };
        Ok(ReadyEvent { envelope, payload: framed.bytes, topic: Arc::clone(service), event: self.event })
    }
}

/// A `UUIDv7` of the clock's time. The thread's own generator: asking the system for randomness would be a call an event.
fn new_id(now: DateTime<Utc>) -> Uuid {
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(milliseconds, &rand::rng().random()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_events_id_tells_the_clocks_time() {
        let now = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        let id = new_id(now);
        let (seconds, nanoseconds) = id.get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanoseconds / 1_000_000), (1_700_000_000, 123));
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        assert_ne!(id, new_id(now));
    }
}
