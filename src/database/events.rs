//! The events of a transaction, and the statements that write them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::columns::{ENVELOPE_COLUMNS, push_envelope};
use super::error::check_name;
use super::sql::{Dialect, push_list};
use super::{Database, Error};
use crate::event::{MAX_NAME_BYTES, Stream};
use crate::outbox::bucket_of;
use crate::publisher::{DeliveryMode, PreparedEvent, Publisher, ReadyEvent, Target};
use crate::transport::Acks;

/// The most rows of one insert: SQLite takes at most 500 terms of a compound select.
const ROWS_A_STATEMENT: usize = 100;

/// About the most bytes of one insert.
const BYTES_A_STATEMENT: usize = 1_024 * 1_024;

/// The events of a transaction, checked.
pub(super) struct Events {
    /// The streams, sorted, so that all transactions lock them in one order.
    streams: BTreeMap<Stream, StreamUse>,
    way: Way,
}

struct StreamUse {
    key: String,
    events: u64,
}

enum Way {
    Outbox { events: Vec<ReadyEvent>, target: Target },
    Direct { events: Vec<PreparedEvent>, publisher: Publisher, acks: Acks },
}

impl Way {
    /// The mode recorded with every stream.
    const fn name(&self) -> &'static str {
        match self {
            Self::Outbox { target: Target::Kafka, .. } => DeliveryMode::Outbox.recorded_name(),
            Self::Outbox { target: Target::Store, .. } => DeliveryMode::Store.recorded_name(),
            Self::Direct { acks, .. } => DeliveryMode::Direct { acks: *acks }.recorded_name(),
        }
    }
}

impl Events {
    /// Complete `events`, and refuse now what could not be stored, or published later.
    pub(super) async fn of(database: &Database, events: Vec<PreparedEvent>) -> Result<Self, Error> {
        let mut streams = BTreeMap::new();
        let mut ready = Vec::with_capacity(events.len());
        let Some(publisher) = database.publisher.as_ref().filter(|_| !events.is_empty()) else {
            return Ok(Self { streams, way: Way::Outbox { events: ready, target: Target::default() } });
        };
        for event in &events {
            let event = publisher.ready_to_record(event.clone()).await?;
            check(&event)?;
            add(&mut streams, &event)?;
            ready.push(event);
        }
        let way = match publisher.mode() {
            DeliveryMode::Direct { acks } => Way::Direct { events, publisher: publisher.clone(), acks },
            mode => Way::Outbox { events: ready, target: mode.target().unwrap_or_default() },
        };
        Ok(Self { streams, way })
    }

    /// One event for the outbox, completed already, to be taken to `target`.
    pub(super) fn recorded(event: ReadyEvent, target: Target) -> Result<Self, Error> {
        let mut streams = BTreeMap::new();
        check(&event)?;
        add(&mut streams, &event)?;
        Ok(Self { streams, way: Way::Outbox { events: vec![event], target } })
    }

    /// The keys of their streams.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.streams.values().map(|used| used.key.as_str())
    }

    /// What writes them: their streams' rows, then, in the outbox mode, theirs.
    pub(super) fn statements(&self, database: &Database) -> Vec<String> {
        let dialect = database.pool.dialect();
        // The first takes the gate: one statement less, while the stream's row is not locked yet.
        let mut gate = dialect.gate().filter(|_| matches!(self.way, Way::Outbox { .. }));
        let streams = self.streams.iter();
        let mut statements: Vec<_> = streams
            .map(|(stream, used)| self.stream_statement(dialect, &database.shard, stream, used, gate.take()))
            .collect();
        let Way::Outbox { events, target } = &self.way else { return statements };

        let mut written: BTreeMap<&Stream, u64> = BTreeMap::new();
        let mut rows = 0;
        for event in events {
            let stream = &event.envelope.stream;
            let before = written.entry(stream).or_default();
            *before += 1;
            let behind = self.streams.get(stream).map_or(0, |used| used.events.saturating_sub(*before));
            match statements.last_mut() {
                Some(sql) if rows > 0 && rows < ROWS_A_STATEMENT && sql.len() < BYTES_A_STATEMENT => {
                    sql.push_str(" UNION ALL ");
                    push_row(dialect, sql, event, behind, *target);
                    rows += 1;
                }
                _ => {
                    let mut sql = format!(
                        "INSERT INTO tidings_outbox (bucket, event_id, topic, stream, epoch, sequence, {ENVELOPE_COLUMNS}, target, \
                         payload) "
                    );
                    push_row(dialect, &mut sql, event, behind, *target);
                    statements.push(sql);
                    rows = 1;
                }
            }
        }
        statements
    }

    /// Lock the stream's row and raise its sequence; fail, by the table's check, where the row says something else.
    fn stream_statement(
        &self,
        dialect: Dialect,
        shard: &str,
        stream: &Stream,
        used: &StreamUse,
        gate: Option<&str>,
    ) -> String {
        // Without the outbox there is no sequence.
        let events = if matches!(self.way, Way::Outbox { .. }) { used.events } else { 0 };
        let (name, shard) = (dialect.text(stream.as_str()), dialect.text(shard));
        let (mode, key) = (dialect.text(self.way.name()), dialect.text(&used.key));
        // A new stream's epoch is not 0 in a database that was restored: the stream may have been begun before, since the copy was made.
        let first_epoch = "COALESCE(MAX(first_epoch), 0)";
        let values = match gate {
            // An aggregate is a row even if the gate's is missing.
            Some(gate) => {
                format!("SELECT {name}, {shard}, {mode}, {key}, {events} + 0 * COUNT(slot), {first_epoch} {gate}")
            }
            // A plain look, and no subquery beside VALUES: that would lock both gates, and so none of them were ever free. SQLite needs
            // the condition to know where the query ends.
            None => format!(
                "SELECT {name}, {shard}, {mode}, {key}, {events}, {first_epoch} FROM tidings_outbox_gate WHERE 1 = 1"
            ),
        };
        let on_duplicate = dialect.on_duplicate();
        format!(
            "INSERT INTO tidings_stream (stream, shard, mode, partition_key, sequence, epoch) {values} {on_duplicate} sequence = \
             CASE WHEN tidings_stream.shard = {shard} AND tidings_stream.mode = {mode} AND tidings_stream.partition_key = {key} \
             THEN tidings_stream.sequence + {events} ELSE -1 END"
        )
    }

    /// What the streams' rows say that these events do not.
    pub(super) async fn disagreement(&self, database: &Database) -> Option<Error> {
        let dialect = database.pool.dialect();
        let mut sql = "SELECT stream, shard, mode, partition_key FROM tidings_stream WHERE stream IN (".to_owned();
        push_list(&mut sql, self.streams.keys().map(|stream| dialect.text(stream.as_str())));
        sql.push(')');
        for row in database.pool.query(sql).await.ok()? {
            let stream = Stream::from_name(&row.text(0).ok()?);
            let used = self.streams.get(&stream)?;
            let wanted = [("shard", &*database.shard), ("mode", self.way.name()), ("key", &used.key)];
            for (index, (what, wanted)) in wanted.into_iter().enumerate() {
                let recorded = row.text(index + 1).ok()?;
                if recorded != wanted {
                    return Some(Error::StreamDisagrees { stream, what, recorded, wanted: wanted.to_owned() });
                }
            }
        }
        None
    }

    /// Wake the relay, or send what goes there directly.
    pub(super) async fn after_commit(self, database: &Database) {
        match self.way {
            Way::Outbox { events, .. } => {
                database.wake.committed(events.iter().map(|event| bucket_of(&event.envelope.key)));
            }
            Way::Direct { events, publisher, acks } => {
                // All are queued, in their order, before the first is awaited. The publisher counts and reports what is lost.
                let mut pending = Vec::with_capacity(events.len());
                for event in events {
                    pending.extend(publisher.enqueue_prepared(event, acks).await.ok());
                }
                for receipt in pending {
                    if let Err(error) = receipt.await {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            "an event of a committed transaction was lost: the delivery mode is direct"
                        );
                    }
                }
            }
        }
    }
}

fn check(event: &ReadyEvent) -> Result<(), Error> {
    let envelope = &event.envelope;
    check_name("stream", envelope.stream.as_str(), MAX_NAME_BYTES)?;
    check_name("key", &envelope.key, MAX_NAME_BYTES)?;
    check_name("event name", &envelope.event, MAX_NAME_BYTES)?;
    check_name("schema version", &envelope.schema_version, 64)?;
    check_name("correlation id", &envelope.correlation_id, 1_024)?;
    check_name("causation id", envelope.causation_id.as_deref().unwrap_or_default(), 1_024)
}

fn add(streams: &mut BTreeMap<Stream, StreamUse>, event: &ReadyEvent) -> Result<(), Error> {
    let envelope = &event.envelope;
    let new = || StreamUse { key: envelope.key.clone(), events: 0 };
    let stream = streams.entry(envelope.stream.clone()).or_insert_with(new);
    if stream.key != envelope.key {
        return Err(Error::StreamDisagrees {
            stream: envelope.stream.clone(),
            what: "key",
            recorded: stream.key.clone(),
            wanted: envelope.key.clone(),
        });
    }
    stream.events += 1;
    Ok(())
}

/// One row of the outbox, with its sequence taken from the stream's row: `behind` the last one given out.
fn push_row(dialect: Dialect, sql: &mut String, event: &ReadyEvent, behind: u64, target: Target) {
    let envelope = &event.envelope;
    let sequence = dialect.padded(&format!("s.sequence - {behind}"));
    // Writing to a `String` cannot fail.
    let _ = write!(sql, "SELECT {}, '{}', ", bucket_of(&envelope.key), envelope.id.hyphenated());
    dialect.push_text(sql, &event.topic);
    let _ = write!(sql, ", s.stream, s.epoch, {sequence}, ");
    push_envelope(dialect, sql, envelope);
    let _ = write!(sql, ", '{}', ", target.as_str());
    dialect.push_bytes(sql, &event.payload);
    sql.push_str(" FROM tidings_stream s WHERE s.stream = ");
    dialect.push_text(sql, envelope.stream.as_str());
}
