//! Events that Kafka refuses, and what waits behind them: out of the way, in order, until somebody decides.
//!
//! A row is held back for as long as an earlier one of its stream is parked. Nobody keeps a list of such streams: each read of the
//! outbox asks the table, so whoever releases a stream need tell nobody. Parking and releasing lock the lease of the bucket, so that
//! no row comes behind a stream that has just been released, and no relay parks what is not its own any more.

mod moving;
mod releasing;

use std::time::Duration;

pub(super) use self::moving::Refused;
pub use self::releasing::{Released, retry_parked, skip_parked, skippable};
use crate::database::pool::Row;
use crate::database::sql::Dialect;
use crate::database::{Database, Error};
use crate::event::StreamId;
use crate::transport::Target;

/// The columns that a row has in the outbox and among the parked ones; the id is the outbox's own.
const SHARED_COLUMNS: &str = "bucket, event_id, topic, stream, epoch, sequence, partition_key, source, event_type, \
     schema_version, occurred_at, recorded_at, correlation_id, causation_id, data_schema, spec_version, content_type, \
     traceparent, tracestate, target, created_at, payload";

/// Why a row is parked that was not refused itself.
const WAITS: &str = "it waits behind an earlier event of its stream";

/// An event that is parked: one that Kafka refused, or one that waits behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedEvent {
    /// The event's id.
    pub event_id: String,
    /// The event's name.
    pub event: String,
    /// The version of its schema.
    pub schema_version: String,
    /// The topic it was for.
    pub topic: String,
    /// The key.
    pub key: String,
    /// The stream, and whose it is.
    pub stream: StreamId,
    /// The stream's epoch.
    pub epoch: u32,
    /// The position in the stream; 0 where the row says none.
    pub sequence: u64,
    /// When it happened, as its header has it.
    pub occurred_at: String,
    /// Why it was refused, or that it waits.
    pub reason: String,
    /// How long it has been parked.
    pub parked_for: Duration,
    /// The URI of its schema.
    pub data_schema: String,
    /// Where the relay takes it.
    pub target: Target,
    /// The payload, framed.
    pub payload: Vec<u8>,
}

/// A stream that has parked events.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedStream {
    /// How many of its events are parked.
    pub events: u64,
    /// The first of them, which holds the others back.
    pub first: ParkedEvent,
}

const READ_COLUMNS: &str = "event_id, event_type, schema_version, topic, partition_key, stream, epoch, sequence, occurred_at, \
     reason, data_schema, payload, source, target";

impl ParkedEvent {
    fn read(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            event_id: row.text(0)?,
            event: row.text(1)?,
            schema_version: row.text(2)?,
            topic: row.text(3)?,
            key: row.text(4)?,
            stream: StreamId::of_row(&row.text(12)?, &row.text(5)?),
            epoch: u32::try_from(row.integer(6)?).unwrap_or_default(),
            sequence: row.text(7)?.parse().unwrap_or_default(),
            occurred_at: row.text(8)?,
            reason: row.text(9)?,
            data_schema: row.text(10)?,
            payload: row.bytes(11)?,
            target: Target::of_text(&row.text(13)?),
            parked_for: Duration::from_micros(u64::try_from(row.integer(14)?).unwrap_or_default()),
        })
    }
}

/// The parked events of `database`, in the order of their streams and positions, at most `limit`; only those of `stream`, where one
/// is named.
///
/// # Errors
/// [`Error::Sql`].
pub async fn parked(database: &Database, stream: Option<&str>, limit: u32) -> Result<Vec<ParkedEvent>, Error> {
    let dialect = database.pool.dialect();
    let only = stream.map(|stream| format!("WHERE stream = {}", dialect.text(stream))).unwrap_or_default();
    select(database, &only, limit).await
}

/// The first parked event of `stream`, which holds back what comes behind it.
///
/// # Errors
/// [`Error::Sql`].
pub async fn first_parked(database: &Database, stream: &StreamId) -> Result<Option<ParkedEvent>, Error> {
    let only = format!("WHERE {}", condition(database.pool.dialect(), stream));
    Ok(select(database, &only, 1).await?.pop())
}

/// What is true of the rows of `stream`.
fn condition(dialect: Dialect, stream: &StreamId) -> String {
    let name = dialect.text(stream.stream.as_str());
    // A row that somebody wrote by hand may have no slash.
    let (source, path) = (dialect.text(&stream.source), dialect.text(&format!("/{}", stream.source)));
    format!("stream = {name} AND source IN ({source}, {path})")
}

async fn select(database: &Database, only: &str, limit: u32) -> Result<Vec<ParkedEvent>, Error> {
    let dialect = database.pool.dialect();
    let age = dialect.microseconds_since("parked_at");
    let sql = format!(
        "SELECT {READ_COLUMNS}, {age} FROM tidings_outbox_parked {only} ORDER BY stream, source, epoch, sequence LIMIT {limit}"
    );
    let read = async { database.pool.query(sql).await?.iter().map(ParkedEvent::read).collect::<Result<Vec<_>, _>>() };
    read.await.map_err(Error::sql("reading the parked events"))
}

/// The streams of `database` that have parked events, by name, at most `limit`.
///
/// # Errors
/// [`Error::Sql`].
pub async fn parked_streams(database: &Database, limit: u32) -> Result<Vec<ParkedStream>, Error> {
    let counts = format!(
        "SELECT source, stream, COUNT(*) FROM tidings_outbox_parked GROUP BY stream, source ORDER BY stream, source LIMIT {limit}"
    );
    let read = async {
        let mut counted = Vec::new();
        for row in database.pool.query(counts).await? {
            counted.push((StreamId::of_row(&row.text(0)?, &row.text(1)?), row.integer(2)?.unsigned_abs()));
        }
        Ok(counted)
    };
    let counted: Vec<(StreamId, u64)> = read.await.map_err(Error::sql("reading the parked streams"))?;
    let mut streams = Vec::with_capacity(counted.len());
    for (stream, events) in counted {
        // One that was released meanwhile has none any more.
        streams.extend(first_parked(database, &stream).await?.map(|first| ParkedStream { events, first }));
    }
    Ok(streams)
}
