//! What a shard says of a key that does not live there, and how that is changed.

use crate::database::atomically::Attempts;
use crate::database::error::Failure;
use crate::database::open::OpenTransaction;
use crate::database::pool::Row;
use crate::database::sql::Dialect;
use crate::database::transaction::sql_error;
use crate::database::{Database, Error};
#[cfg(feature = "mysql")]
use crate::outbox::bucket_of;

/// What a shard says of a key that does not live there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::database::shards) struct Marker {
    /// Where it lives, or is on its way to; of a key that arrives, where it comes from.
    pub(in crate::database::shards) shard: String,
    state: String,
    changed_at: String,
}

impl Marker {
    pub(super) const ARRIVING: &'static str = "arriving";
    pub(super) const LEAVING: &'static str = "leaving";
    pub(super) const MOVED: &'static str = "moved";

    pub(in crate::database::shards) async fn read(database: &Database, key: &str) -> Result<Option<Self>, Error> {
        let failed = || Error::sql("asking where a key lives");
        let rows = database.pool.query(select(database.pool.dialect(), key)).await.map_err(failed())?;
        Self::of(&rows).map_err(failed())
    }

    /// Read it, and keep it as it is until the transaction ends. Who commits on this shard is still refused at once: that shares
    /// the lock.
    pub(super) async fn hold(
        open: &mut OpenTransaction,
        dialect: Dialect,
        key: &str,
    ) -> Result<Option<Self>, sqlx::Error> {
        let lock = match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => " LOCK IN SHARE MODE",
            // Nobody else writes meanwhile.
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => "",
        };
        Self::of(&open.query(select(dialect, key) + lock).await?)
    }

    fn of(rows: &[Row]) -> Result<Option<Self>, sqlx::Error> {
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Self { shard: row.text(0)?, state: row.text(1)?, changed_at: row.text(2)? }))
    }

    pub(in crate::database::shards) fn is_leaving(&self) -> bool {
        self.state == Self::LEAVING
    }

    /// Whether it says `state` of `shard`.
    pub(super) fn says(&self, state: &str, shard: &str) -> bool {
        self.state == state && self.shard == shard
    }

    pub(super) fn write(dialect: Dialect, key: &str, shard: &str, state: &str) -> String {
        let (key, shard, now) = (dialect.text(key), dialect.text(shard), dialect.now());
        format!(
            "INSERT INTO tidings_moved_key (partition_key, shard, state, changed_at) VALUES ({key}, {shard}, '{state}', {now}) \
             {} shard = {shard}, state = '{state}', changed_at = {now}",
            dialect.on_duplicate(),
        )
    }

    /// Wait for whoever holds it, and keep it from others until the transaction ends.
    pub(super) fn lock(dialect: Dialect, key: &str) -> Vec<String> {
        match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => vec![select(dialect, key) + " FOR UPDATE"],
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => {
                let _ = key;
                Vec::new()
            }
        }
    }

    pub(super) fn delete(dialect: Dialect, key: &str) -> String {
        format!("DELETE FROM tidings_moved_key WHERE partition_key = {}", dialect.text(key))
    }

    /// The condition that it says one of `states` of `shard`.
    pub(super) fn is(dialect: Dialect, key: &str, states: &[&str], shard: &str) -> String {
        let (key, shard, states) = (dialect.text(key), dialect.text(shard), states.join("', '"));
        format!(
            "EXISTS (SELECT 1 FROM tidings_moved_key WHERE partition_key = {key} AND shard = {shard} AND state IN ('{states}'))"
        )
    }

    /// The condition that nobody has changed it since it was read.
    pub(super) fn is_still(dialect: Dialect, key: &str, read: Option<&Self>) -> String {
        let key = dialect.text(key);
        let Some(Self { shard, state, changed_at }) = read else {
            return format!("NOT EXISTS (SELECT 1 FROM tidings_moved_key WHERE partition_key = {key})");
        };
        let (shard, state, changed_at) = (dialect.text(shard), dialect.text(state), dialect.text(changed_at));
        format!(
            "EXISTS (SELECT 1 FROM tidings_moved_key WHERE partition_key = {key} AND shard = {shard} AND state = {state} \
             AND changed_at = {changed_at})"
        )
    }
}

fn select(dialect: Dialect, key: &str) -> String {
    let (key, changed_at) = (dialect.text(key), moment(dialect, "changed_at"));
    format!("SELECT shard, state, {changed_at} FROM tidings_moved_key WHERE partition_key = {key}")
}

/// Run `statement`, which is about the marker of `key` on `database`, once no transaction of the key is under way there, and if
/// `condition` holds. Says whether it does.
pub(super) async fn change(database: &Database, key: &str, condition: &str, statement: String) -> Result<bool, Error> {
    let dialect = database.pool.dialect();
    let mut statements = alone(dialect, key);
    statements.push(unless(dialect, key, condition));
    statements.push(statement);
    let mut attempts = Attempts::new(database.options.max_attempts);
    loop {
        match database.pool.run_transaction(statements.clone()).await {
            Ok(()) => return Ok(true),
            Err(error) if Failure::of(&error) == Failure::Duplicate => return Ok(false),
            Err(error) => attempts.again(sql_error("changing where a key lives", error)).await?,
        }
    }
}

/// Wait for the transactions of `key`, and keep others out. A marker that is deleted is deleted behind it: a commit that has read one
/// and waits for its lock would write it anew. Who holds the marker itself is not waited for: the whole bucket would wait too.
pub(super) fn alone(dialect: Dialect, key: &str) -> Vec<String> {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => vec![
            format!("SELECT bucket FROM tidings_shard_gate WHERE bucket = {} FOR UPDATE", bucket_of(key)),
            select(dialect, key) + " FOR UPDATE NOWAIT",
        ],
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let _ = key;
            Vec::new()
        }
    }
}

/// A statement that fails, with a duplicate, unless `condition` holds.
pub(super) fn unless(dialect: Dialect, key: &str, condition: &str) -> String {
    let (key, now) = (dialect.text(key), dialect.now());
    format!(
        "INSERT INTO tidings_moved_key (partition_key, shard, state, changed_at) \
         SELECT {key}, '', '', {now} FROM (SELECT 1 AS one UNION ALL SELECT 2) AS twice WHERE NOT ({condition})"
    )
}

/// Whether it was [`unless`] that failed.
pub(super) fn did_not_hold(error: &Error) -> bool {
    matches!(error, Error::Sql { source, .. } if Failure::of(source) == Failure::Duplicate)
}

/// A moment as text, in full.
pub(super) fn moment(dialect: Dialect, column: &str) -> String {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => format!("DATE_FORMAT({column}, '%Y-%m-%d %H:%i:%s.%f')"),
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => column.to_owned(),
    }
}
