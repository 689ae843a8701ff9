//! New epochs for the streams that the store numbers, and higher positions, once its database was restored from an older copy.
//!
//! The store would give out places and positions again that it gave out before, for other events. The sequences of a stream go on in
//! the new epoch where the copy has them: a writer expects a stream to be at a sequence, and reads which one from its last event.

use super::StoreError;
use super::tables::narrow;
use crate::database::sql::Dialect;
use crate::database::{Database, Error, TableSet, execute_again};
use crate::event::source_of_path;
use crate::outbox::{Streams, raised_epoch};

/// The most streams raised in one statement: each holds up the writers of its streams.
const AT_ONCE: u32 = 5_000;

/// How many positions a second are taken for given out since 1970, at the most.
const POSITIONS_A_SECOND: u64 = 1_000_000;
/// How far the position is raised where it is above that already: by a clock that was ahead, or is behind now.
const MARGIN: u64 = 1_000_000_000;

/// A new epoch for streams that the store numbers, and positions above all that were given out: after its database was restored.
///
/// Streams that an outbox numbers get theirs in the database of their service
/// ([`outbox::raise_epochs`](crate::outbox::raise_epochs)); the store takes the first event of a later epoch.
///
/// ```no_run
/// # async fn example(database: tidings::database::Database) -> Result<(), tidings::store::StoreError> {
/// use tidings::outbox::Streams;
/// use tidings::store::NewEpoch;
///
/// let begun = NewEpoch::of(Streams::All).begin(&database).await?;
/// println!("{} streams have a new epoch; positions go on behind {}", begun.streams, begun.position);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is changed until `begin` is called"]
pub struct NewEpoch {
    streams: Streams,
    source: Option<String>,
    epoch: Option<u32>,
    position_after: Option<u64>,
}

/// What a new epoch is about, or has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EpochBegun {
    /// How many streams that the store numbers.
    pub streams: u64,
    /// The last position: events that get one from now on get a higher one.
    pub position: u64,
    /// Whether a replica of the store had the lease for giving out positions. It may go on; but what it took between the restore and
    /// now has places that may have been given out before.
    pub was_served: bool,
    /// The services whose outboxes number streams that were asked for, too: nothing was changed about those.
    pub outboxes: Vec<String>,
}

impl NewEpoch {
    /// For those of `streams` that the store numbers. Where it is [`Streams::All`] and no [`source`](Self::source) is named, streams that
    /// the store begins from now on begin in that epoch, too: they may have been begun before, since the copy was made.
    pub fn of(streams: Streams) -> Self {
        Self { streams, source: None, epoch: None, position_after: None }
    }

    /// Only streams of the service `source`. Default: of all.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The epoch's number; a stream that has it already, or a higher one, gets the next. Default: the database's time in seconds
    /// since 1970.
    pub fn epoch(mut self, epoch: u32) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The highest position that was ever given out, or any above it: positions go on behind it, or behind the last one, where that is
    /// higher. Default: the database's time in microseconds since 1970, which no store comes near that gives out fewer than a million
    /// a second; a thousand million more than the last one, where that is above it already.
    pub fn position_after(mut self, position: u64) -> Self {
        self.position_after = Some(position);
        self
    }

    /// What [`begin`](Self::begin) would be about. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotMigrated`], [`StoreError::Database`].
    pub async fn preview(&self, database: &Database) -> Result<EpochBegun, StoreError> {
        check(database).await?;
        self.look(database).await.map_err(failed)
    }

    /// Raise the last position, then the epochs. It may run again where it was interrupted. A replica that gives out positions loses
    /// its lease for a moment, and goes on from the new position; but stop the replicas first where streams may begin meanwhile: one
    /// that does so just then may stay in the old epoch.
    ///
    /// # Errors
    /// As for [`preview`](Self::preview). What was raised until then stays so.
    pub async fn begin(&self, database: &Database) -> Result<EpochBegun, StoreError> {
        check(database).await?;
        let before = self.look(database).await.map_err(failed)?;
        execute_again(database, self.raise_position(database.pool.dialect()), DOING).await?;
        let mut streams = 0;
        for source in self.sources(database, "store").await.map_err(failed)? {
            streams += self.raise(database, &source).await?;
        }
        let after = self.look(database).await.map_err(failed)?;
        Ok(EpochBegun { streams, position: after.position, ..before })
    }

    async fn look(&self, database: &Database) -> Result<EpochBegun, sqlx::Error> {
        let dialect = database.pool.dialect();
        let (condition, now) = (self.condition(dialect), dialect.now());
        let rows = database.pool.query(format!(
            "SELECT COUNT(*), 0 FROM tidings_store_stream WHERE {condition} AND writer = 'store';\
             SELECT position, CASE WHEN owner IS NULL OR expires_at <= {now} THEN 0 ELSE 1 END FROM tidings_store_sequencer \
             WHERE id = 1"
        ));
        let rows = rows.await?;
        let number = |row: usize| rows.get(row).map_or(Ok(0), |row| row.integer(0));
        let outboxes = self.sources(database, "outbox").await?;
        Ok(EpochBegun {
            streams: narrow(number(0)?)?,
            position: narrow(number(1)?)?,
            was_served: rows.get(1).map_or(Ok(0), |row| row.integer(1))? != 0,
            outboxes: outboxes.iter().map(|source| source_of_path(source).to_owned()).collect(),
        })
    }

    /// The sources, as their rows have them, of streams that are numbered so.
    async fn sources(&self, database: &Database, writer: &str) -> Result<Vec<String>, sqlx::Error> {
        let condition = self.condition(database.pool.dialect());
        let rows = database.pool.query(format!(
            "SELECT DISTINCT source FROM tidings_store_stream WHERE {condition} AND writer = '{writer}' ORDER BY source"
        ));
        rows.await?.iter().map(|row| row.text(0)).collect()
    }

    fn condition(&self, dialect: Dialect) -> String {
        let streams = self.streams.condition(dialect);
        match &self.source {
            Some(source) => format!("source = {} AND {streams}", dialect.text(&format!("/{source}"))),
            None => streams,
        }
    }

    /// Take the lease from whoever has it, so that nobody gives out positions behind the one known there.
    fn raise_position(&self, dialect: Dialect) -> String {
        let position = match self.position_after {
            Some(position) => format!("CASE WHEN position >= {position} THEN position ELSE {position} END"),
            None => {
                let by_time = format!("{} * {POSITIONS_A_SECOND}", dialect.unix_seconds());
                format!("CASE WHEN position >= {by_time} THEN position + {MARGIN} ELSE {by_time} END")
            }
        };
        let mut sql = format!(
            "UPDATE tidings_store_sequencer SET position = {position}, owner = NULL, epoch = epoch + 1, expires_at = {}",
            dialect.now()
        );
        if self.streams == Streams::All && self.source.is_none() {
            sql.push_str(", ");
            sql.push_str(&raised_epoch(dialect, "first_epoch", self.epoch));
        }
        sql.push_str(" WHERE id = 1");
        sql
    }

    /// Raise the streams of one source, some at a time.
    async fn raise(&self, database: &Database, source: &str) -> Result<u64, StoreError> {
        let (pool, dialect) = (&database.pool, database.pool.dialect());
        let (these, change) = (self.streams.condition(dialect), raised_epoch(dialect, "epoch", self.epoch));
        let (mut raised, mut after) = (0, String::new());
        loop {
            let rest = format!(
                "source = {} AND writer = 'store' AND {these} AND stream > {}",
                dialect.text(source),
                dialect.text(&after)
            );
            let last = pool.query(format!(
                "SELECT stream FROM (SELECT stream FROM tidings_store_stream WHERE {rest} ORDER BY stream LIMIT {AT_ONCE}) few \
                 ORDER BY stream DESC LIMIT 1"
            ));
            let last = last.await.map_err(failed)?;
            let Some(last) = last.first().map(|row| row.text(0)).transpose().map_err(failed)? else {
                return Ok(raised);
            };
            let some = format!("{rest} AND stream <= {}", dialect.text(&last));
            raised += execute_again(database, format!("UPDATE tidings_store_stream SET {change} WHERE {some}"), DOING)
                .await?;
            after = last;
        }
    }
}

async fn check(database: &Database) -> Result<(), StoreError> {
    database.check_set(TableSet::Store).await.map_err(|error| match error {
        Error::NotMigrated { .. } => StoreError::NotMigrated(error),
        error => StoreError::Database(error),
    })
}

const DOING: &str = "beginning a new epoch of the event store";

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Database(Error::sql(DOING)(error))
}
