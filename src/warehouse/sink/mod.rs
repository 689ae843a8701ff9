//! A sink that writes events as Parquet files, each record once.

mod arrow_types;
mod cells;
mod chain;
mod error;
mod files;
mod parquet_file;
mod places;
mod rows;

use std::any::TypeId;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use chrono::{DateTime, NaiveDate};
use parking_lot::RwLock;
use parquet::errors::ParquetError;
use rustc_hash::FxHashMap;

use self::chain::{ChainId, Chains, RowId};
use self::error::Misfit;
pub use self::error::SinkError;
pub use self::files::{LocalFiles, MemoryFiles, WarehouseFiles};
use self::parquet_file::{FileWriter, Footer};
use self::rows::Rows;
use super::columns::{DAY_FOLDER, EVENT_FOLDER};
use super::table::Table;
use crate::dispatch::Message;
use crate::event::Event;
use crate::outcome;
use crate::schema::Codec;

/// Rows that are put together before they are compressed: this many,
const CHUNK_ROWS: usize = 65_536;
/// or those of records of this many bytes in all. It bounds what a column holds as well: Arrow's text ends at 2 GiB.
const CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// Writes events as rows of Parquet files, from a handler of batches. A cheap handle: clones share what they know.
///
/// Each event's files are in folders of their own, one a day (UTC) on which the events happened:
/// `event=accounts.UserUpdated/day=2026-11-27/accounts+3+00000000000000004711.parquet`, after the topic, the partition, and the
/// first offset that no earlier file of the folder reaches. `DuckDB`, Spark and others take the folders for columns.
///
/// **Each record is a row once, and before its event counts as handled.** A file is written under another name, made durable, and
/// only then gets its own. A record that is delivered again, in whatever batch and to whatever process, finds its offset and its
/// event's id in the files and is left out. An event that was published twice is two records, and two rows. So files that events may
/// still be redelivered for have to stay where they are: compact or move those of days past the topic's retention.
///
/// Rows have the columns that [the module](crate::warehouse) lists, then those of the payload type's schema. Older and newer
/// versions of an event are read as the handler's type reads them.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tidings::prelude::*;
/// use tidings::warehouse::ParquetSink;
///
/// # #[derive(Event, Serialize, Deserialize)]
/// # #[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
/// # struct UserUpdated { #[event(key)] user_id: i64, nickname: String }
/// struct Warehouse {
///     files: ParquetSink,
/// }
///
/// #[dispatcher(source = "accounts", concurrency = 1, timeout = "5m")]
/// impl Warehouse {
///     #[on("accounts.UserUpdated", batch(max = 10000, wait = "1m"))]
///     async fn on_users_updated(&self, events: Vec<UserUpdated>, messages: Vec<Message>) -> Result<()> {
///         self.files.write(events, messages).await?;
///         Ok(())
///     }
/// }
///
/// let files = ParquetSink::local("/var/lib/warehouse");
/// // At startup, rather than at the first event.
/// files.check::<UserUpdated>()?;
/// let dispatcher = Warehouse { files };
/// # Ok::<(), tidings::warehouse::SinkError>(())
/// ```
///
/// The larger the batches, the fewer the files: `concurrency = 1` has a batch wait, and grow, while another is written, and keeps
/// offsets in their order. A batch is in memory as events, as columns and as a compressed file.
#[derive(Debug, Clone)]
pub struct ParquetSink {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    files: Arc<dyn WarehouseFiles>,
    codec: Codec,
    chains: Chains,
    tables: RwLock<FxHashMap<TypeId, Arc<EventTable>>>,
}

#[derive(Debug)]
struct EventTable {
    table: Table,
    schema: SchemaRef,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// Rows that were written now.
    pub rows: usize,
    /// Events whose rows were there already.
    pub repeats: usize,
    /// The files with the new rows.
    pub files: usize,
}

impl ParquetSink {
    /// A sink into a folder of the local file system, which is made when it is needed; see [`LocalFiles`].
    pub fn local(root: impl Into<PathBuf>) -> Self {
        Self::new(Arc::new(LocalFiles::new(root)))
    }

    /// A sink into `files`.
    pub fn new(files: Arc<dyn WarehouseFiles>) -> Self {
        let (codec, chains, tables) = (Codec::local(), Chains::default(), RwLock::default());
        Self { shared: Arc::new(Shared { files, codec, chains, tables }) }
    }

    /// Make sure that events of type `E` can be rows.
    ///
    /// # Errors
    /// The schema cannot be a table, and why.
    pub fn check<E: Event>(&self) -> Result<(), SinkError> {
        self.shared.table::<E>().map(drop)
    }

    /// Write `events`, whose messages are `messages`, as a handler of batches is given both. They are durable once this returns.
    ///
    /// Where it is dropped before, the files may still be written; the events come again, and find them.
    ///
    /// # Errors
    /// A [`SinkError`]. What lies with the files or the program waits until it is mended, without an attempt being counted; an
    /// event that does not fit its schema or its column is given up.
    pub async fn write<E: Event>(&self, events: Vec<E>, messages: Vec<Message>) -> outcome::Result<Written> {
        let shared = Arc::clone(&self.shared);
        let writing = tokio::task::spawn_blocking(move || shared.write(&events, &messages));
        let written = writing.await.map_err(SinkError::Interrupted);
        written.and_then(std::convert::identity).map_err(SinkError::into_handler_error)
    }
}

impl Shared {
    fn table<E: Event>(&self) -> Result<Arc<EventTable>, SinkError> {
        if let Some(known) = self.tables.read().get(&TypeId::of::<E>()) {
            return Ok(Arc::clone(known));
        }
        let table = Table::of(E::NAME, E::SCHEMA).map_err(Arc::new)?;
        // Whatever Parquet has no place for is found here, before there is a row.
        let schema = rows::schema(&table).map_err(ParquetError::from).and_then(|schema| {
            FileWriter::new(&schema, &Footer { last_offset: 0, before: None })?;
            Ok(schema)
        });
        let schema = schema.map_err(|source| SinkError::Parquet { event: E::NAME, source })?;
        let table = Arc::new(EventTable { table, schema });
        self.tables.write().insert(TypeId::of::<E>(), Arc::clone(&table));
        Ok(table)
    }

    fn write<E: Event>(&self, events: &[E], messages: &[Message]) -> Result<Written, SinkError> {
        if events.len() != messages.len() {
            return Err(SinkError::Mismatched { events: events.len(), messages: messages.len() });
        }
        let table = self.table::<E>()?;
        let mut chains: BTreeMap<ChainId, Vec<(RowId, usize)>> = BTreeMap::new();
        for (index, message) in messages.iter().enumerate() {
            let folder = format!("{EVENT_FOLDER}={}/{DAY_FOLDER}={}", E::NAME, day(message));
            let id = ChainId { folder, topic: message.topic().into(), partition: message.partition() };
            chains.entry(id).or_default().push((rows::id(message), index));
        }
        let mut written = Written::default();
        for (id, mut found) in chains {
            found.sort_unstable();
            found.dedup_by(|(row, _), (other, _)| row == other);
            let (rows, indices): (Vec<RowId>, Vec<usize>) = found.into_iter().unzip();
            let added = self.chains.add(&*self.files, &id, &rows, |missing, before| {
                let chosen = missing.iter().filter_map(|row| indices.get(*row)).copied();
                let last_offset = missing.last().and_then(|row| rows.get(*row)).map_or(0, |row| row.offset);
                let footer = Footer { last_offset, before: before.map(str::to_owned) };
                self.encode(&table, events, messages, chosen, &footer)
            })?;
            written.rows += added.rows;
            written.files += added.files;
        }
        written.repeats = events.len() - written.rows;
        Ok(written)
    }

    /// A file of the events of the indices `chosen`.
    fn encode<E: Event>(
        &self,
        table: &EventTable,
        events: &[E],
        messages: &[Message],
        chosen: impl Iterator<Item = usize>,
        footer: &Footer,
    ) -> Result<Vec<u8>, SinkError> {
        let parquet = |source: ParquetError| SinkError::Parquet { event: E::NAME, source };
        let mut rows = Rows::new(E::NAME, &table.schema, &table.table).map_err(|error| parquet(error.into()))?;
        let mut file = FileWriter::new(&table.schema, footer).map_err(parquet)?;
        let mut flush = |rows: &mut Rows| file.write(&rows.take()?);
        let mut bytes = 0;
        for (event, message) in chosen.filter_map(|index| events.get(index).zip(messages.get(index))) {
            let record = || format!("offset {} of {} [{}]", message.offset(), message.topic(), message.partition());
            let datum = self.codec.encode(event).map_err(|source| SinkError::Encode {
                event: E::NAME,
                record: record(),
                source: Box::new(source),
            })?;
            let datum = datum.datum();
            let held = message.headers().bytes().len() + datum.len();
            if rows.len() >= CHUNK_ROWS || (rows.len() > 0 && bytes + held > CHUNK_BYTES) {
                flush(&mut rows).map_err(parquet)?;
                bytes = 0;
            }
            bytes += held;
            rows.push(message, datum).map_err(|Misfit(reason)| SinkError::Value {
                event: E::NAME,
                record: record(),
                reason,
            })?;
        }
        flush(&mut rows).and_then(|()| file.finish()).map_err(parquet)
    }
}

/// The day an event happened, else was recorded or written: always the same for one record. The first of 1970 where it does not say.
fn day(message: &Message) -> NaiveDate {
    let written = || message.timestamp_ms().and_then(DateTime::from_timestamp_millis);
    let time = message.occurred_at().or_else(|| message.recorded_at()).or_else(written);
    // Four digits of a year, as readers expect.
    let day = time.map(|time| time.date_naive()).filter(|day| (0..=9_999).contains(&chrono::Datelike::year(day)));
    day.unwrap_or_default()
}

#[cfg(test)]
mod tests;
