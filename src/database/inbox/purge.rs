//! Forgetting, a little at a time: no purge holds a lock for long, nor waits for one that a handler holds.

use std::time::Duration;

use crate::database::open::OpenTransaction;
use crate::database::pool::Row;
use crate::database::sql::{Dialect, push_list};
use crate::database::{Database, Error};

/// The rows that one statement deletes at most.
const BATCH: usize = 1_000;

/// What to delete from an inbox; nothing unless it is named.
///
/// | option | default |
/// | --- | --- |
/// | `group` | all |
/// | `events` | none: ids of events without a sequence are kept |
/// | `streams` | none: streams are kept however idle |
/// | `passed_over` | none: dead letters can be redriven for ever |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    group: Option<String>,
    events: Option<Duration>,
    streams: Option<Duration>,
    passed_over: Option<Duration>,
}

impl Purge {
    /// Only the rows of this consumer group. Default: all groups'.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The ids of events without a sequence that were handled longer ago than `age`. A running consumer does this by itself, as
    /// its [`InboxOptions`](super::InboxOptions) say.
    pub fn events(mut self, age: Duration) -> Self {
        self.events = Some(age);
        self
    }

    /// The streams of which no event was handled for longer than `age`. An event that is delivered again afterwards is handled
    /// again, so `age` must be longer than the topic keeps records, and than a parked key may wait.
    pub fn streams(mut self, age: Duration) -> Self {
        self.streams = Some(age);
        self
    }

    /// What is known of events that were passed over longer ago than `age`. Their dead letters, redriven later, count as repeats
    /// and are not handled.
    pub fn passed_over(mut self, age: Duration) -> Self {
        self.passed_over = Some(age);
        self
    }
}

/// What a purge has deleted, in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Purged {
    /// Ids of events without a sequence.
    pub events: u64,
    /// Streams.
    pub streams: u64,
    /// Events that were passed over.
    pub passed_over: u64,
}

impl Database {
    /// Delete from the inbox what `purge` names, a thousand rows at a time.
    ///
    /// # Errors
    /// [`Error::Sql`]; what was deleted before stays deleted.
    pub async fn purge_inbox(&self, purge: &Purge) -> Result<Purged, Error> {
        let failed = |source| Error::sql("purging the inbox")(source);
        let mut purged = Purged::default();
        if let Some(age) = purge.events {
            purged.events = self.purge_old("tidings_inbox_event", "handled_at", purge, age).await.map_err(failed)?;
        }
        if let Some(age) = purge.passed_over {
            purged.passed_over = self.purge_old("tidings_inbox_hole", "passed_at", purge, age).await.map_err(failed)?;
        }
        if let Some(age) = purge.streams {
            purged.streams = self.purge_streams(purge, age).await.map_err(failed)?;
        }
        Ok(purged)
    }

    /// Delete the old rows of a table that has an index on their age.
    async fn purge_old(&self, table: &str, column: &str, purge: &Purge, age: Duration) -> Result<u64, sqlx::Error> {
        let dialect = self.pool.dialect();
        let groups = match &purge.group {
            Some(group) => vec![group.clone()],
            None => texts(&self.pool.query(format!("SELECT DISTINCT consumer_group FROM {table}")).await?, 0)?,
        };
        let mut deleted = 0;
        for group in groups {
            let old = format!("consumer_group = {} AND {column} < {}", dialect.text(&group), before(dialect, age));
            let delete = match dialect {
                #[cfg(feature = "mysql")]
                Dialect::MySql => {
                    format!("DELETE FROM {table} WHERE {old} ORDER BY consumer_group, {column} LIMIT {BATCH}")
                }
                #[cfg(feature = "sqlite")]
                Dialect::Sqlite => {
                    format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {old} LIMIT {BATCH})")
                }
            };
            loop {
                let rows = self.pool.execute(delete.clone()).await?;
                deleted += rows;
                if rows < BATCH as u64 {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    /// Delete idle streams, in the order of their key: an index on their age would cost every handler a write.
    async fn purge_streams(&self, purge: &Purge, age: Duration) -> Result<u64, sqlx::Error> {
        let dialect = self.pool.dialect();
        let wanted = purge.group.as_ref().map(|group| format!("WHERE consumer_group = {}", dialect.text(group)));
        let owners = format!(
            "SELECT DISTINCT consumer_group, dispatcher, source FROM tidings_inbox {}",
            wanted.unwrap_or_default()
        );
        let mut deleted = 0;
        for owner in self.pool.query(owners).await? {
            let owner = format!(
                "consumer_group = {} AND dispatcher = {} AND source = {}",
                dialect.text(&owner.text(0)?),
                dialect.text(&owner.text(1)?),
                dialect.text(&owner.text(2)?)
            );
            let mut last = String::new();
            loop {
                let page = format!(
                    "SELECT stream, CASE WHEN handled_at < {before} THEN 1 ELSE 0 END FROM tidings_inbox \
                     WHERE {owner} AND stream > {last} ORDER BY stream LIMIT {BATCH}",
                    before = before(dialect, age),
                    last = dialect.text(&last),
                );
                let page = self.pool.query(page).await?;
                let Some(end) = page.last() else { break };
                last = end.text(0)?;
                let mut idle = Vec::new();
                for row in &page {
                    if row.integer(1)? == 1 {
                        idle.push(row.text(0)?);
                    }
                }
                if !idle.is_empty() {
                    deleted += self.delete_streams(&owner, &idle, age).await?;
                }
                if page.len() < BATCH {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    /// Delete those of `streams` that are idle and that no handler works on.
    async fn delete_streams(&self, owner: &str, streams: &[String], age: Duration) -> Result<u64, sqlx::Error> {
        let dialect = self.pool.dialect();
        let condition = |streams: &[String]| {
            let mut sql = format!("{owner} AND handled_at < {} AND stream IN (", before(dialect, age));
            push_list(&mut sql, streams.iter().map(|stream| dialect.text(stream)));
            sql.push(')');
            sql
        };
        // One writer has the whole of a SQLite database to itself.
        let skip_locked = match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => " FOR UPDATE SKIP LOCKED",
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "",
        };
        let mut open = OpenTransaction::begin(&self.pool).await?;
        let select = format!("SELECT stream FROM tidings_inbox WHERE {}{skip_locked}", condition(streams));
        let result = async {
            let free = texts(&open.query(select).await?, 0)?;
            let delete = (!free.is_empty()).then(|| format!("DELETE FROM tidings_inbox WHERE {}", condition(&free)));
            Ok((free.len() as u64, delete))
        };
        match result.await {
            Ok((rows, delete)) => {
                let committed = open.commit(delete.into_iter().collect()).await;
                committed.map_err(crate::database::open::CommitFailure::into_source)?;
                Ok(rows)
            }
            Err(error) => {
                let _ = open.roll_back().await;
                Err(error)
            }
        }
    }
}

/// The moment `age` ago, by the database's clock.
fn before(dialect: Dialect, age: Duration) -> String {
    // A thousand years back is before everything.
    const LONGEST: u128 = 1_000 * 365 * 24 * 60 * 60 * 1_000;
    let milliseconds = i64::try_from(age.as_millis().min(LONGEST)).unwrap_or(i64::MAX);
    dialect.now_plus(-milliseconds)
}

fn texts(rows: &[Row], column: usize) -> Result<Vec<String>, sqlx::Error> {
    rows.iter().map(|row| row.text(column)).collect()
}
