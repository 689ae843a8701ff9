//! A row of the outbox, and the record it becomes.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use uuid::Uuid;

use super::held::Destination;
use crate::database::pool::Row;
use crate::envelope::{Envelope, stored_bytes};
use crate::event::StreamId;
use crate::publisher::ReadyEvent;
use crate::transport::{OutgoingRecord, Target};

/// Which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RowId {
    pub(crate) bucket: u8,
    pub(crate) id: u64,
}

impl RowId {
    /// From the first two columns of a row.
    pub(crate) fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self { bucket: narrow(row.integer(0)?)?, id: narrow(row.integer(1)?)? })
    }
}

/// A place in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) epoch: u32,
    pub(crate) sequence: u64,
}

impl Position {
    /// Whether nothing can stand between `self` and `next`.
    pub(crate) const fn is_followed_by(self, next: Self) -> bool {
        self.epoch == next.epoch && self.sequence.wrapping_add(1) == next.sequence
    }

    /// Whether nothing can stand before it in its stream.
    pub(crate) const fn is_first(self) -> bool {
        self.epoch == 0 && self.sequence <= 1
    }
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub(crate) struct OutboxRow {
    pub(crate) id: RowId,
    pub(crate) stream: StreamId,
    pub(crate) position: Position,
    pub(crate) topic: Arc<str>,
    pub(crate) target: Target,
    pub(crate) event_id: String,
    key: String,
    pub(crate) event: String,
    schema_version: String,
    occurred_at: String,
    recorded_at: String,
    correlation_id: String,
    causation_id: Option<String>,
    data_schema: String,
    pub(crate) traceparent: String,
    tracestate: Option<String>,
    payload: Bytes,
    /// Whether an earlier event of its stream is parked.
    pub(crate) held: bool,
}

/// Of a row of the outbox: whether an earlier event of its stream is parked.
pub(crate) const BEHIND_A_PARKED_EVENT: &str = "EXISTS (SELECT 1 FROM tidings_outbox_parked p WHERE p.stream = tidings_outbox.stream \
     AND p.source = tidings_outbox.source AND (p.epoch < tidings_outbox.epoch OR p.epoch = tidings_outbox.epoch \
     AND p.sequence < tidings_outbox.sequence))";

/// A row that somebody else wrote, or changed, and that makes no record.
#[derive(Debug, thiserror::Error)]
#[error("the row cannot be read: its {column} is '{value}'")]
pub(crate) struct Unreadable {
    column: &'static str,
    value: String,
}

impl OutboxRow {
    /// The columns that [`read`](Self::read) wants, in order; behind them comes [`BEHIND_A_PARKED_EVENT`].
    pub(crate) const COLUMNS: &'static str = "bucket, id, event_id, topic, stream, epoch, sequence, partition_key, source, \
         event_type, schema_version, occurred_at, recorded_at, correlation_id, causation_id, data_schema, traceparent, \
         tracestate, payload, target";

    pub(crate) fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: RowId::read(row)?,
            event_id: row.text(2)?,
            topic: row.text(3)?.into(),
            stream: StreamId::of_row(&row.text(8)?, &row.text(4)?),
            position: Position {
                epoch: narrow(row.integer(5)?)?,
                // Where it is no number the row is found unreadable when its turn comes.
                sequence: row.text(6)?.parse().unwrap_or_default(),
            },
            key: row.text(7)?,
            event: row.text(9)?,
            schema_version: row.text(10)?,
            occurred_at: row.text(11)?,
            recorded_at: row.text(12)?,
            correlation_id: row.text(13)?,
            causation_id: row.optional_text(14)?,
            data_schema: row.text(15)?,
            traceparent: row.text(16)?,
            tracestate: row.optional_text(17)?,
            payload: row.bytes(18)?.into(),
            target: Target::of_text(&row.text(19)?),
            held: row.integer(20)? != 0,
        })
    }

    pub(crate) fn destination(&self) -> Destination {
        Destination { target: self.target, topic: Arc::clone(&self.topic) }
    }

    /// About how many bytes it takes, here and in the producer's queue.
    pub(crate) fn bytes(&self) -> usize {
        let optional = [&self.causation_id, &self.tracestate];
        stored_bytes(&self.payload, [&self.key, &self.data_schema, &self.correlation_id], optional)
    }

    /// The record: the same as that of the direct mode, with a sequence.
    pub(crate) fn to_record(&self) -> Result<OutgoingRecord, Unreadable> {
        let unreadable = |column, value: &str| Unreadable { column, value: value.to_owned() };
        let time = |column, value: &str| {
            DateTime::parse_from_rfc3339(value).map(|time| time.to_utc()).map_err(|_| unreadable(column, value))
        };
        if self.position.sequence == 0 {
            return Err(unreadable("sequence", "not a number above 0"));
        }
        let envelope = Envelope {
            id: Uuid::parse_str(&self.event_id).map_err(|_| unreadable("event_id", &self.event_id))?,
            source: self.stream.source.to_string().into(),
            event: self.event.clone().into(),
            schema_version: self.schema_version.clone().into(),
            time: time("occurred_at", &self.occurred_at)?,
            recorded_time: time("recorded_at", &self.recorded_at)?,
            stream: self.stream.stream.clone(),
            sequence: Some(self.position.sequence),
            stream_epoch: self.position.epoch,
            key: self.key.clone(),
            correlation_id: self.correlation_id.clone(),
            causation_id: self.causation_id.clone(),
            data_schema: self.data_schema.clone(),
            traceparent: self.traceparent.clone(),
            tracestate: self.tracestate.clone(),
        };
        Ok(ReadyEvent::record_of(&envelope, &self.topic, self.payload.clone()))
    }

    #[cfg(test)]
    pub(super) fn example(id: u64, stream: &str, sequence: u64) -> Self {
        Self {
            id: RowId { bucket: 0, id },
            stream: StreamId::of_row("/accounts", stream),
            position: Position { epoch: 0, sequence },
            topic: "accounts".into(),
            target: Target::Kafka,
            event_id: Uuid::from_u128(id.into()).to_string(),
            key: "42".to_owned(),
            event: "accounts.UserUpdated".to_owned(),
            schema_version: "1.0.0".to_owned(),
            occurred_at: "2025-01-02T03:04:05.000006Z".to_owned(),
            recorded_at: "2025-01-02T03:04:06.000007Z".to_owned(),
            correlation_id: "cause".to_owned(),
            causation_id: None,
            data_schema: "urn:avro:1".to_owned(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            tracestate: None,
            payload: Bytes::from_static(b"payload"),
            held: false,
        }
    }
}

fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, sqlx::Error> {
    T::try_from(value).map_err(|_| sqlx::Error::Decode(format!("{value} is out of range").into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::header;

    #[test]
    fn a_row_becomes_a_record_with_its_sequence() {
        let record = OutboxRow::example(1, "Account/42", 7).to_record().unwrap();
        assert_eq!(record.headers.get_str(header::SEQUENCE), Some("00000000000000000007"));
        assert_eq!(record.headers.get_str(header::SOURCE), Some("/accounts"));
        assert_eq!(record.headers.get_str(header::TIME), Some("2025-01-02T03:04:05.000006Z"));
        assert_eq!(record.key.as_deref(), Some(&b"42"[..]));
    }

    #[test]
    fn a_row_that_somebody_spoilt_is_named() {
        let mut row = OutboxRow::example(1, "Account/42", 7);
        row.occurred_at = "yesterday".to_owned();
        assert!(row.to_record().unwrap_err().to_string().contains("occurred_at is 'yesterday'"));
    }
}
