//! What keeps a transaction from working on a shard that its keys do not live on.

use std::collections::BTreeSet;

use super::map::ShardMap;
use crate::database::sql::{Dialect, push_list};
use crate::database::{Database, Error};
#[cfg(feature = "mysql")]
use crate::outbox::bucket_of;

/// The keys whose transaction it is: those of its events, and the one it was begun with.
#[derive(Debug, Default)]
pub(crate) struct Keys(BTreeSet<String>);

impl Keys {
    /// The keys of a transaction on `database`; none where it is the only shard.
    pub(crate) fn of<'k>(database: &Database, keys: impl IntoIterator<Item = &'k str>) -> Result<Self, Error> {
        let Some(map) = &database.map else { return Ok(Self::default()) };
        let keys = Self(keys.into_iter().map(str::to_owned).collect());
        for key in &keys.0 {
            check(map, &database.shard, key)?;
        }
        Ok(keys)
    }

    /// Whether the database is the only shard.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Statements that fail where one of the keys lives elsewhere: with a duplicate of what says so. Whoever moves a key waits for
    /// the transactions that are past the first of them, and those that come later see what it has written.
    pub(crate) fn statements(&self, dialect: Dialect) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut statements = gate(dialect, &self.0);
        let mut keys = String::new();
        push_list(&mut keys, self.0.iter().map(|key| dialect.text(key)));
        statements.push(format!(
            "INSERT INTO tidings_moved_key (partition_key, shard, state, changed_at) \
             SELECT partition_key, shard, state, changed_at FROM tidings_moved_key WHERE partition_key IN ({keys})"
        ));
        statements
    }

    /// Why the statements failed, if it was for a key that lives elsewhere.
    pub(crate) async fn elsewhere(&self, database: &Database) -> Option<Error> {
        if self.0.is_empty() {
            return None;
        }
        let dialect = database.pool.dialect();
        let mut sql = "SELECT partition_key, shard FROM tidings_moved_key WHERE partition_key IN (".to_owned();
        push_list(&mut sql, self.0.iter().map(|key| dialect.text(key)));
        sql.push(')');
        let rows = database.pool.query(sql).await.ok()?;
        let row = rows.first()?;
        let (key, shard) = (row.text(0).ok()?, row.text(1).ok()?);
        Some(Error::KeyElsewhere { key, here: database.shard.to_string(), shard })
    }
}

fn check(map: &ShardMap, here: &str, key: &str) -> Result<(), Error> {
    let home = map.home(key)?;
    let shard = map.names.get(home).map_or("", |name| &**name);
    if shard == here {
        return Ok(());
    }
    Err(Error::KeyElsewhere { key: key.to_owned(), here: here.to_owned(), shard: shard.to_owned() })
}

/// Share the gates of `keys`.
fn gate(dialect: Dialect, keys: &BTreeSet<String>) -> Vec<String> {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => {
            let mut sql = "SELECT bucket FROM tidings_shard_gate WHERE bucket IN (".to_owned();
            push_list(&mut sql, keys.iter().map(|key| bucket_of(key)).collect::<BTreeSet<_>>());
            sql.push_str(") LOCK IN SHARE MODE");
            vec![sql]
        }
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => {
            let _ = keys;
            Vec::new()
        }
    }
}
