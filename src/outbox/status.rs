//! What is in the outbox, and who publishes it.

use std::time::Duration;

use super::held_topics::{self, HeldTopic};
use super::wake::WakeAddress;
use crate::database::pool::Row;
use crate::database::{Database, Error};

/// The outbox at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStatus {
    /// All 256 buckets, in order.
    pub buckets: Vec<BucketStatus>,
    /// How many events are parked.
    pub parked: u64,
    /// The topics that take no events: their events wait.
    pub held_topics: Vec<HeldTopic>,
}

/// A bucket of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketStatus {
    /// Which.
    pub bucket: u8,
    /// How many events wait in it.
    pub rows: u64,
    /// The age of the oldest of them.
    pub oldest: Option<Duration>,
    /// The relay that owns it; `None` where nobody does, or its lease has run out.
    pub owner: Option<String>,
    /// Where that relay is told of commits, host and port.
    pub address: Option<String>,
    /// How often it has changed hands.
    pub epoch: u64,
}

impl OutboxStatus {
    /// How many events wait.
    pub fn rows(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.rows).sum()
    }

    /// The age of the oldest event that waits.
    pub fn oldest(&self) -> Option<Duration> {
        self.buckets.iter().filter_map(|bucket| bucket.oldest).max()
    }

    /// How many buckets nobody publishes.
    pub fn unowned(&self) -> usize {
        self.buckets.iter().filter(|bucket| bucket.owner.is_none()).count()
    }
}

/// What is in the outbox of `database`. Counts every row: not for a tight loop.
///
/// # Errors
/// [`Error::Sql`].
pub async fn status(database: &Database) -> Result<OutboxStatus, Error> {
    let pool = &database.pool;
    let dialect = pool.dialect();
    let (now, age) = (dialect.now(), dialect.microseconds_since("MIN(created_at)"));
    let failed = Error::sql("reading the outbox's status");
    let read = async {
        let mut buckets = Vec::new();
        let leases = format!(
            "SELECT bucket, epoch, CASE WHEN expires_at > {now} THEN owner END, CASE WHEN expires_at > {now} THEN address END \
             FROM tidings_outbox_lease ORDER BY bucket"
        );
        for row in pool.query(leases).await? {
            buckets.push(BucketStatus {
                bucket: u8::try_from(row.integer(0)?).unwrap_or_default(),
                rows: 0,
                oldest: None,
                owner: row.optional_text(2)?,
                address: row.optional_text(3)?.map(|address| WakeAddress::place_of(&address).to_owned()),
                epoch: row.integer(1)?.unsigned_abs(),
            });
        }
        let counts = format!("SELECT bucket, COUNT(*), {age} FROM tidings_outbox GROUP BY bucket");
        for row in pool.query(counts).await? {
            let bucket = usize::try_from(row.integer(0)?).unwrap_or_default();
            if let Some(bucket) = buckets.get_mut(bucket) {
                bucket.rows = row.integer(1)?.unsigned_abs();
                bucket.oldest = Some(Duration::from_micros(u64::try_from(row.integer(2)?).unwrap_or_default()));
            }
        }
        let parked = pool.query("SELECT COUNT(*) FROM tidings_outbox_parked".to_owned()).await?;
        let parked = parked.first().map_or(Ok(0), |row| row.integer(0))?.unsigned_abs();
        Ok(OutboxStatus { buckets, parked, held_topics: held_topics::read(database).await? })
    };
    read.await.map_err(failed)
}

/// How much waits, measured cheaply: at most `limit` rows are counted.
pub(super) async fn backlog(database: &Database, limit: u32) -> Result<(u64, Duration), sqlx::Error> {
    let pool = &database.pool;
    let count = format!("SELECT COUNT(*) FROM (SELECT id FROM tidings_outbox LIMIT {limit}) counted");
    let rows = pool.query(count).await?.first().map_or(Ok(0), |row| row.integer(0))?;
    let age = pool.dialect().microseconds_since("created_at");
    let oldest = pool.query(format!("SELECT {age} FROM tidings_outbox ORDER BY id LIMIT 1")).await?;
    let oldest = oldest.first().map_or(Ok(0), |row| row.integer(0))?;
    Ok((rows.unsigned_abs(), Duration::from_micros(u64::try_from(oldest).unwrap_or_default())))
}

/// How many of the oldest `limit` rows each bucket has.
pub(super) async fn rows_a_bucket(database: &Database, limit: u32) -> Result<Vec<(u8, u64)>, sqlx::Error> {
    let oldest = format!("SELECT bucket FROM tidings_outbox ORDER BY id LIMIT {limit}");
    let rows = database.pool.query(format!("SELECT bucket, COUNT(*) FROM ({oldest}) oldest GROUP BY bucket")).await?;
    let read = |row: &Row| Ok((u8::try_from(row.integer(0)?).unwrap_or_default(), row.integer(1)?.unsigned_abs()));
    rows.iter().map(read).collect()
}

/// How many events are parked, and for how long the one that has been parked longest, measured cheaply: of the first `limit` by their
/// ids, which tell when they happened.
pub(super) async fn parked_backlog(database: &Database, limit: u32) -> Result<(u64, Duration), sqlx::Error> {
    let pool = &database.pool;
    let age = pool.dialect().microseconds_since("MIN(parked_at)");
    let first = format!("SELECT parked_at FROM tidings_outbox_parked ORDER BY event_id LIMIT {limit}");
    let rows = pool.query(format!("SELECT COUNT(*), COALESCE({age}, 0) FROM ({first}) first_parked")).await?;
    let Some(row) = rows.first() else { return Ok((0, Duration::ZERO)) };
    let age = Duration::from_micros(u64::try_from(row.integer(1)?).unwrap_or_default());
    Ok((row.integer(0)?.unsigned_abs(), age))
}

/// How many buckets no relay owns.
pub(super) async fn unowned(database: &Database) -> Result<u64, sqlx::Error> {
    let pool = &database.pool;
    let now = pool.dialect().now();
    let count = format!("SELECT COUNT(*) FROM tidings_outbox_lease WHERE owner IS NULL OR expires_at <= {now}");
    Ok(pool.query(count).await?.first().map_or(Ok(0), |row| row.integer(0))?.unsigned_abs())
}
