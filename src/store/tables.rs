//! The store's tables: what an append reads and writes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use uuid::Uuid;

use super::event::{NewEvent, Place, StoredEvent};
use super::lane::SILENCE;
use super::rules::{Changes, Judge, Known, StreamState, Writer};
use crate::database::columns::{ENVELOPE_COLUMNS, push_envelope};
use crate::database::open::{CommitFailure, OpenTransaction};
use crate::database::pool::{Pool, Row};
use crate::database::sql::{Dialect, push_list};
use crate::envelope::Envelope;
use crate::event::{Stream, StreamId, source_of_path};
use crate::outbox::bucket_of;

/// The most rows of one insert: SQLite takes at most 32,766 terms, and long statements are parsed slowly.
const ROWS_A_STATEMENT: usize = 256;
/// About the most bytes of one insert.
const BYTES_A_STATEMENT: usize = 1_024 * 1_024;

/// The columns that [`read_event`] wants, in order.
pub(super) const EVENT_COLUMNS: &str = "p.position, e.event_id, e.source, e.stream, e.epoch, e.sequence, e.partition_key, \
     e.event_type, e.schema_version, e.occurred_at, e.recorded_at, e.correlation_id, e.causation_id, e.data_schema, \
     e.traceparent, e.tracestate, e.payload";

/// As [`EVENT_COLUMNS`], of `tidings_store_event e` alone, without what no event is recognised by.
const KNOWN_COLUMNS: &str = "NULL, e.event_id, e.source, e.stream, e.epoch, e.sequence, e.partition_key, e.event_type, \
     e.schema_version, e.occurred_at, e.recorded_at, e.correlation_id, e.causation_id, e.data_schema, e.traceparent, NULL, \
     e.payload";

/// What [`EVENT_COLUMNS`] are columns of.
pub(super) const EVENT_TABLES: &str = "tidings_store_event e LEFT JOIN tidings_store_position p ON p.event = e.id";

/// An open transaction that appends.
pub(super) struct AppendTransaction {
    open: OpenTransaction,
    dialect: Dialect,
}

impl AppendTransaction {
    pub(super) async fn begin(pool: &Pool) -> Result<Self, sqlx::Error> {
        Ok(Self { open: OpenTransaction::begin(pool).await?, dialect: pool.dialect() })
    }

    /// Lock the streams of `events`, and read what is known of them.
    pub(super) async fn judge(&mut self, events: &[&NewEvent]) -> Result<Judge, sqlx::Error> {
        let dialect = self.dialect;
        let mut wanted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for event in events {
            let streams = wanted.entry(&event.envelope.source).or_default();
            streams.push(dialect.text(event.envelope.stream.as_str()));
        }
        // In the order of the primary key, as every append locks them.
        let mut sql = format!(
            "SELECT 0, source, stream, writer, partition_key, epoch, sequence FROM tidings_store_stream {} WHERE ",
            dialect.by_primary_key()
        );
        for (index, (source, streams)) in wanted.iter_mut().enumerate() {
            streams.sort_unstable();
            streams.dedup();
            let or = if index == 0 { "" } else { " OR " };
            // Writing to a `String` cannot fail.
            let _ = write!(sql, "{or}source = {} AND stream IN (", dialect.text(&format!("/{source}")));
            push_list(&mut sql, &*streams);
            sql.push(')');
        }
        let _ = write!(
            sql,
            " ORDER BY source, stream {};SELECT 1, e.event_id, OCTET_LENGTH(e.payload), OCTET_LENGTH(e.data_schema) \
             FROM tidings_store_event e WHERE e.event_id IN (",
            dialect.for_update()
        );
        // Read behind the locks: whatever was appended to these streams is seen.
        push_ids(&mut sql, events.iter().map(|event| event.id()));
        sql.push_str(");SELECT 2, first_epoch FROM tidings_store_sequencer WHERE id = 1");

        let (mut streams, mut known, mut first_epoch) = (BTreeMap::new(), HashMap::new(), 0);
        let sent: HashSet<_> = events.iter().map(|event| (event.id(), size_of(event))).collect();
        let mut alike = Vec::new();
        for row in self.open.query(sql).await? {
            match row.integer(0)? {
                0 => {
                    let (stream, state) = read_stream(&row)?;
                    streams.insert(stream, state);
                }
                1 => {
                    let (id, size) = (read_id(&row, 1)?, (narrow(row.integer(2)?)?, narrow(row.integer(3)?)?));
                    known.insert(id, Known::OfAnotherSize);
                    if sent.contains(&(id, size)) {
                        alike.push(id);
                    }
                }
                _ => first_epoch = narrow(row.integer(1)?)?,
            }
        }
        // Only these: whoever sends little has no more than that read, however much is stored.
        if !alike.is_empty() {
            let mut sql = format!("SELECT {KNOWN_COLUMNS} FROM tidings_store_event e WHERE e.event_id IN (");
            push_ids(&mut sql, alike.into_iter());
            sql.push(')');
            for row in self.open.query(sql).await? {
                let event = read_event(&row, 0)?.event;
                known.insert(event.id(), Known::Event(Box::new(event)));
            }
        }
        Ok(Judge::new(streams, known, first_epoch))
    }

    /// Write `changes` and commit.
    pub(super) async fn commit(self, changes: &Changes, forward: bool) -> Result<(), CommitFailure> {
        let statements = statements(self.dialect, changes, forward);
        self.open.commit(statements).await
    }

    pub(super) async fn roll_back(self) {
        if let Err(error) = self.open.roll_back().await {
            // The connection is not used again, and the server rolls back when it goes.
            tracing::debug!(%error, "an append could not be rolled back");
        }
    }
}

fn statements(dialect: Dialect, changes: &Changes, forward: bool) -> Vec<String> {
    const STREAM_COLUMNS: &str = "source, stream, writer, partition_key, epoch, sequence";
    // Before anything has an id: the sequencer and the outbox's relay pass by what no gate is held for.
    let gate = dialect.gate().filter(|_| !changes.events.is_empty());
    let mut statements: Vec<_> = gate.map(|gate| format!("SELECT slot {gate}")).into_iter().collect();
    let stream_row = |sql: &mut String, (stream, state, _): &(StreamId, StreamState, bool)| {
        let (source, name) = (dialect.text(&format!("/{}", stream.source)), dialect.text(stream.stream.as_str()));
        let (writer, key) = (state.writer.as_str(), dialect.text(&state.key));
        let Place { epoch, sequence } = state.last;
        let _ = write!(sql, "({source}, {name}, '{writer}', {key}, {epoch}, {sequence})");
    };
    // New ones fail where another replica began them meanwhile; the others are locked.
    let (new, old): (Vec<_>, Vec<_>) = changes.streams.iter().partition(|(.., is_new)| *is_new);
    push_inserts(&mut statements, "tidings_store_stream", STREAM_COLUMNS, "", new.into_iter(), stream_row);
    let (epoch, sequence) = (dialect.inserted("epoch"), dialect.inserted("sequence"));
    let update = format!(" {} epoch = {epoch}, sequence = {sequence}", dialect.on_duplicate());
    push_inserts(&mut statements, "tidings_store_stream", STREAM_COLUMNS, &update, old.into_iter(), stream_row);

    let event_row = |sql: &mut String, event: &NewEvent| push_event(dialect, sql, event);
    // The outbox has these columns under the same names, but for the sequence, which is text there.
    let shared = format!("event_id, bucket, topic, stream, epoch, {ENVELOPE_COLUMNS}, payload");
    let columns = format!("{shared}, sequence");
    push_inserts(&mut statements, "tidings_store_event", &columns, "", changes.events.iter(), event_row);
    for events in changes.events.chunks(ROWS_A_STATEMENT) {
        let mut ids = String::new();
        push_ids(&mut ids, events.iter().map(NewEvent::id));
        statements.push(format!(
            "INSERT INTO tidings_store_pending (event) SELECT id FROM tidings_store_event WHERE event_id IN ({ids})"
        ));
        if forward {
            // The rows' ids rise with the sequences of a stream, as where services write them.
            let sequence = dialect.padded("sequence");
            statements.push(format!(
                "INSERT INTO tidings_outbox ({shared}, sequence) SELECT {shared}, {sequence} \
                 FROM tidings_store_event WHERE event_id IN ({ids}) ORDER BY id"
            ));
        }
    }
    statements
}

/// Insert statements of `table`, of a bounded size each.
fn push_inserts<T>(
    statements: &mut Vec<String>,
    table: &str,
    columns: &str,
    end: &str,
    items: impl Iterator<Item = T>,
    mut push_row: impl FnMut(&mut String, T),
) {
    let (mut sql, mut rows) = (String::new(), 0);
    let mut items = items.peekable();
    while let Some(item) = items.next() {
        if rows == 0 {
            sql = format!("INSERT INTO {table} ({columns}) VALUES ");
        } else {
            sql.push_str(", ");
        }
        push_row(&mut sql, item);
        rows += 1;
        if rows >= ROWS_A_STATEMENT || sql.len() >= BYTES_A_STATEMENT || items.peek().is_none() {
            sql.push_str(end);
            statements.push(std::mem::take(&mut sql));
            rows = 0;
        }
    }
}

fn push_event(dialect: Dialect, sql: &mut String, event: &NewEvent) {
    let NewEvent { envelope, payload } = event;
    let _ = write!(sql, "('{}', {}, ", envelope.id.hyphenated(), bucket_of(&envelope.key));
    dialect.push_text(sql, &envelope.source);
    sql.push_str(", ");
    dialect.push_text(sql, envelope.stream.as_str());
    let _ = write!(sql, ", {}, ", envelope.stream_epoch);
    push_envelope(dialect, sql, envelope);
    sql.push_str(", ");
    dialect.push_bytes(sql, payload);
    let _ = write!(sql, ", {})", envelope.sequence.unwrap_or_default());
}

fn push_ids(sql: &mut String, ids: impl Iterator<Item = Uuid>) {
    push_list(sql, ids.map(|id| format!("'{}'", id.hyphenated())));
}

fn read_stream(row: &Row) -> Result<(StreamId, StreamState), sqlx::Error> {
    let stream = StreamId::of_row(&row.text(1)?, &row.text(2)?);
    let writer = row.text(3)?;
    let writer = Writer::from_text(&writer).ok_or_else(|| unreadable("writer", &writer))?;
    let last = Place { epoch: narrow(row.integer(5)?)?, sequence: narrow(row.integer(6)?)? };
    Ok((stream, StreamState { writer, key: row.text(4)?, last }))
}

/// How large the parts of an event are that may be large, and by which it is recognised.
fn size_of(event: &NewEvent) -> (usize, usize) {
    (event.payload.len(), event.envelope.data_schema.len())
}

fn read_id(row: &Row, column: usize) -> Result<Uuid, sqlx::Error> {
    let id = row.text(column)?;
    Uuid::parse_str(&id).map_err(|_| unreadable("event_id", &id))
}

/// Which of `ids` are those of events that are stored.
pub(super) async fn stored_ids(pool: &Pool, ids: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    let mut sql = "SELECT event_id FROM tidings_store_event WHERE event_id IN (".to_owned();
    push_ids(&mut sql, ids.iter().copied());
    sql.push(')');
    let rows = pool.query_within(SILENCE, sql).await?;
    rows.iter().map(|row| read_id(row, 0)).collect()
}

/// The event whose columns begin at `first`.
pub(super) fn read_event(row: &Row, first: usize) -> Result<StoredEvent, sqlx::Error> {
    let time = |column: usize| -> Result<_, sqlx::Error> {
        let text = row.text(first + column)?;
        let time = chrono::DateTime::parse_from_rfc3339(&text).map_err(|_| unreadable("time", &text))?;
        Ok(time.to_utc())
    };
    let envelope = Envelope {
        id: read_id(row, first + 1)?,
        source: source_of_path(&row.text(first + 2)?).to_owned().into(),
        stream: Stream::from_name(&row.text(first + 3)?),
        stream_epoch: narrow(row.integer(first + 4)?)?,
        sequence: Some(narrow(row.integer(first + 5)?)?),
        key: row.text(first + 6)?,
        event: row.text(first + 7)?.into(),
        schema_version: row.text(first + 8)?.into(),
        time: time(9)?,
        recorded_time: time(10)?,
        correlation_id: row.text(first + 11)?,
        causation_id: row.optional_text(first + 12)?,
        data_schema: row.text(first + 13)?,
        traceparent: row.text(first + 14)?,
        tracestate: row.optional_text(first + 15)?,
    };
    let position = row.optional_integer(first)?.map(narrow).transpose()?;
    Ok(StoredEvent { position, event: NewEvent { envelope, payload: row.bytes(first + 16)?.into() } })
}

pub(super) fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, sqlx::Error> {
    T::try_from(value).map_err(|_| sqlx::Error::Decode(format!("{value} is out of range").into()))
}

fn unreadable(what: &str, value: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the {what} '{value}' cannot be read").into())
}

#[cfg(all(test, feature = "mysql"))]
mod tests {
    use super::*;
    use crate::store::event::tests::event;

    #[test]
    fn an_append_takes_a_gate_before_its_events_have_their_ids_whether_or_not_it_forwards() {
        let changes = Changes { events: vec![event(chrono::DateTime::UNIX_EPOCH)], ..Changes::default() };
        for forward in [true, false] {
            let statements = statements(Dialect::MySql, &changes, forward);
            let place = |word: &str| statements.iter().position(|statement| statement.contains(word)).unwrap();
            assert!(place("FROM tidings_outbox_gate") < place("INSERT INTO tidings_store_event"), "{statements:?}");
        }
    }
}
