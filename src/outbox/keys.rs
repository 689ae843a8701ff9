//! How a statement names the rows it deletes.
//!
//! By the table's statistics, MySQL and MariaDB would rather look at every row when most of them are to be deleted, whatever index they
//! are told to use, and wait for each that an open transaction holds. Joined to a list of keys, each row is found by its key. Servers
//! that do not know such lists are told plainly, and are asked once.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::row::RowId;
use crate::database::sql::{Dialect, push_list};

/// How rows are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyList {
    /// By a list of keys that the statement brings along, and that the table is joined to.
    #[cfg(feature = "mysql")]
    Joined,
    /// By a condition.
    Plain,
}

/// What the server of a pool is known to understand.
#[derive(Debug, Clone)]
pub(crate) struct KeyLists {
    only_plain: Arc<AtomicBool>,
}

impl KeyLists {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let only_plain = match dialect {
            #[cfg(feature = "mysql")]
            Dialect::MySql => false,
            #[cfg(feature = "sqlite")]
            Dialect::Sqlite => true,
        };
        Self { only_plain: Arc::new(AtomicBool::new(only_plain)) }
    }

    /// How to name rows at first.
    #[cfg_attr(not(feature = "mysql"), allow(clippy::unused_self, reason = "only MySQL knows another way"))]
    pub(crate) fn first(&self) -> KeyList {
        #[cfg(feature = "mysql")]
        if !self.only_plain.load(Ordering::Relaxed) {
            return KeyList::Joined;
        }
        KeyList::Plain
    }

    /// How to name them in another attempt, if there is to be one, after `list` had this result.
    pub(crate) fn after<T>(&self, list: KeyList, result: &Result<T, sqlx::Error>) -> Option<KeyList> {
        match (list, result) {
            #[cfg(feature = "mysql")]
            (KeyList::Joined, Err(error)) if is_not_understood(error) => Some(KeyList::Plain),
            // It was not something else in the statement.
            (KeyList::Plain, Ok(_)) if !self.only_plain.swap(true, Ordering::Relaxed) => {
                tracing::info!("the database knows no JSON_TABLE: rows are deleted by plain conditions");
                None
            }
            _ => None,
        }
    }
}

/// A statement that deletes exactly `rows`, which are sorted; conditions may be added with `AND`.
pub(super) fn deletion(list: KeyList, rows: &[RowId]) -> String {
    match list {
        #[cfg(feature = "mysql")]
        KeyList::Joined => joined_deletion(rows),
        KeyList::Plain => plain_deletion(rows),
    }
}

#[cfg(feature = "mysql")]
fn joined_deletion(rows: &[RowId]) -> String {
    let mut sql = "DELETE tidings_outbox FROM JSON_TABLE('[".to_owned();
    for (index, RowId { bucket, id }) in rows.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a `String` cannot fail.
        let _ = write!(sql, "{comma}[{bucket},{id}]");
    }
    sql.push_str(
        "]', '$[*]' COLUMNS (bucket TINYINT UNSIGNED PATH '$[0]', id BIGINT UNSIGNED PATH '$[1]')) k \
         STRAIGHT_JOIN tidings_outbox FORCE INDEX (PRIMARY) ON tidings_outbox.bucket = k.bucket AND \
         tidings_outbox.id = k.id WHERE 1 = 1",
    );
    sql
}

fn plain_deletion(rows: &[RowId]) -> String {
    format!("DELETE FROM tidings_outbox WHERE ({})", is_one_of(rows))
}

/// The condition that a row of the outbox is one of `rows`, which are sorted.
pub(super) fn is_one_of(rows: &[RowId]) -> String {
    let mut sql = String::new();
    for (index, bucket) in rows.chunk_by(|left, right| left.bucket == right.bucket).enumerate() {
        let Some(RowId { bucket: number, .. }) = bucket.first() else { continue };
        let or = if index == 0 { "" } else { " OR " };
        // Writing to a `String` cannot fail.
        let _ = write!(sql, "{or}bucket = {number} AND id IN (");
        push_list(&mut sql, bucket.iter().map(|row| row.id));
        sql.push(')');
    }
    sql
}

/// Whether the server does not know what a statement says.
#[cfg(feature = "mysql")]
fn is_not_understood(error: &sqlx::Error) -> bool {
    let database =
        error.as_database_error().and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>());
    database.is_some_and(|error| says_unknown(error.number()))
}

/// Servers and proxies say it in different ways.
#[cfg(feature = "mysql")]
const fn says_unknown(number: u16) -> bool {
    // What cannot be parsed; what is not supported yet; a function that is not known; what proxies answer for anything unusual.
    matches!(number, 1064 | 1235 | 1305 | 1105)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(feature = "mysql")]
    fn exactly_the_rows_that_are_named_are_deleted() {
        let rows = [(1, 7), (1, 9), (3, 8)].map(|(bucket, id)| RowId { bucket, id });
        assert!(deletion(KeyList::Joined, &rows).contains("'[[1,7],[1,9],[3,8]]'"));
        assert_eq!(
            deletion(KeyList::Plain, &rows),
            "DELETE FROM tidings_outbox WHERE (bucket = 1 AND id IN (7,9) OR bucket = 3 AND id IN (8))"
        );
    }

    #[test]
    #[cfg(feature = "mysql")]
    fn a_server_that_knows_no_lists_is_asked_once_and_other_errors_do_not_count() {
        let keys = KeyLists::new(Dialect::MySql);
        let failed = || Err::<(), _>(sqlx::Error::PoolTimedOut);
        assert_eq!((keys.first(), keys.after(KeyList::Joined, &failed())), (KeyList::Joined, None));
        // The plain one failed, too: it was something else.
        assert_eq!(keys.after(KeyList::Plain, &failed()), None);
        assert_eq!(keys.first(), KeyList::Joined);
        assert_eq!(keys.after(KeyList::Plain, &Ok(())), None);
        assert_eq!((keys.first(), keys.clone().first()), (KeyList::Plain, KeyList::Plain));
        assert!(says_unknown(1064) && says_unknown(1305) && !says_unknown(1213) && !says_unknown(1205));
    }
}
