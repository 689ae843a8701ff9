//! An open transaction on a connection.

#[cfg(feature = "mysql")]
use futures_util::StreamExt as _;
use futures_util::TryStreamExt as _;
use sqlx::AssertSqlSafe;

use super::Connection;
use super::error::Failure;
#[cfg(feature = "mysql")]
use super::held::HeldConnection;
use super::pool::{Pool, Row};

/// Set when a transaction opens and released first of all when it ends: if it is gone by then, a statement or a deadlock
/// ended the transaction from within, and what follows would run outside of it.
const SET_SAVEPOINT: &str = "SAVEPOINT tidings_open";
const RELEASE_SAVEPOINT: &str = "RELEASE SAVEPOINT tidings_open";

/// The most bytes of SQL sent at once; far below every server's `max_allowed_packet`, except for a single huge row.
#[cfg(feature = "mysql")]
const PACKET_BYTES: usize = 4 * 1_024 * 1_024;

/// The number of the error that a lock did not come in time.
#[cfg(feature = "mysql")]
const LOCK_WAIT_TIMEOUT: i64 = 1205;

/// An open transaction. Rolled back when dropped; a server's connection is closed then.
pub(crate) enum OpenTransaction {
    #[cfg(feature = "mysql")]
    MySql(HeldConnection<sqlx::MySql>),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

/// Why a commit failed.
#[derive(Debug)]
pub(crate) enum CommitFailure {
    /// A statement failed: nothing took effect.
    Statement(sqlx::Error),
    /// Nobody can tell whether it took effect.
    Unknown(sqlx::Error),
}

impl CommitFailure {
    pub(crate) fn into_source(self) -> sqlx::Error {
        match self {
            Self::Statement(error) | Self::Unknown(error) => error,
        }
    }
}

impl OpenTransaction {
    pub(crate) async fn begin(pool: &Pool) -> Result<Self, sqlx::Error> {
        match pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(pool) => {
                let begin = format!("START TRANSACTION;{SET_SAVEPOINT}");
                Ok(Self::MySql(HeldConnection::begin(pool.acquire().await?, begin).await?))
            }
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => {
                // A transaction that begins by reading cannot always become a writer.
                let begin = AssertSqlSafe(format!("BEGIN IMMEDIATE;{SET_SAVEPOINT}"));
                Ok(Self::Sqlite(pool.begin_with(begin).await?))
            }
        }
    }

    pub(crate) fn connection(&mut self) -> Connection<'_> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(transaction) => Connection::MySql(transaction),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => Connection::Sqlite(transaction),
        }
    }

    /// Run `sql`, each statement by itself; the rows of all of them.
    pub(crate) async fn query(&mut self, sql: String) -> Result<Vec<Row>, sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(transaction) => sql.fetch(&mut **transaction).map_ok(Row::MySql).try_collect().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => sql.fetch(&mut **transaction).map_ok(Row::Sqlite).try_collect().await,
        }
    }

    /// Run `statements` and commit; on MySQL in one round trip, as long as they are not huge.
    pub(crate) async fn commit(self, statements: Vec<String>) -> Result<(), CommitFailure> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(transaction) => commit_mysql(transaction, statements).await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(mut transaction) => {
                let mut sql = RELEASE_SAVEPOINT.to_owned();
                for statement in statements {
                    sql.push(';');
                    sql.push_str(&statement);
                }
                if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await {
                    // The statement's error is the one to report.
                    let _ = roll_back_sqlite(transaction).await;
                    return Err(CommitFailure::Statement(error));
                }
                transaction.commit().await.map_err(|error| match Failure::of(&error) {
                    Failure::Conflict => CommitFailure::Statement(error),
                    _ => CommitFailure::Unknown(error),
                })
            }
        }
    }

    /// Whether the last statement waited for a lock in vain: the server has undone that statement only, and tells of it until the next.
    #[cfg_attr(not(feature = "mysql"), allow(clippy::unused_async, reason = "only a server's statements wait"))]
    pub(crate) async fn lock_wait_timed_out(&mut self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => {
                let errors = self.query("SHOW ERRORS".to_owned()).await.unwrap_or_default();
                errors.iter().any(|error| error.integer(1).is_ok_and(|code| code == LOCK_WAIT_TIMEOUT))
            }
            // A transaction has its one lock from the beginning.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// Roll back. Says whether a deadlock had done so already.
    pub(crate) async fn roll_back(self) -> Result<bool, sqlx::Error> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(mut transaction) => {
                let released = sqlx::raw_sql(RELEASE_SAVEPOINT).execute(&mut *transaction).await;
                transaction.roll_back().await?;
                match released {
                    Ok(_) => Ok(false),
                    Err(error) if Failure::of(&error) == Failure::EndedFromWithin => Ok(true),
                    Err(error) => Err(error),
                }
            }
            // It has one writer at a time, hence no deadlocks.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(transaction) => roll_back_sqlite(transaction).await.map(|()| false),
        }
    }
}

/// Roll back, even where SQLite or a statement has ended the transaction already: the client counts transactions by itself, and
/// where its ROLLBACK finds none it would take the connection for busy for ever.
#[cfg(feature = "sqlite")]
async fn roll_back_sqlite(mut transaction: sqlx::Transaction<'static, sqlx::Sqlite>) -> Result<(), sqlx::Error> {
    // Fails where the transaction is still open, which is as well.
    let _ = sqlx::raw_sql("BEGIN").execute(&mut *transaction).await;
    transaction.rollback().await
}

/// Statements, each as long as it is, gathered into texts of at most `limit` bytes where they allow it.
#[cfg(feature = "mysql")]
fn packets(statements: impl IntoIterator<Item = String>, limit: usize) -> Vec<(String, usize)> {
    let mut packets: Vec<(String, usize)> = Vec::new();
    for statement in statements {
        match packets.last_mut() {
            Some((packet, count)) if packet.len() + statement.len() < limit => {
                packet.push(';');
                packet.push_str(&statement);
                *count += 1;
            }
            _ => packets.push((statement, 1)),
        }
    }
    packets
}

#[cfg(feature = "mysql")]
async fn commit_mysql(
    mut transaction: HeldConnection<sqlx::MySql>,
    statements: Vec<String>,
) -> Result<(), CommitFailure> {
    let statements = std::iter::once(RELEASE_SAVEPOINT.to_owned()).chain(statements);
    let mut packets = packets(statements, PACKET_BYTES);
    let Some((mut last, count)) = packets.pop() else { return Ok(()) };
    for (packet, _) in packets {
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(packet)).execute(&mut *transaction).await {
            return Err(failed(transaction, error));
        }
    }

    last.push_str(";COMMIT");
    let mut done = 0;
    let mut failure = None;
    {
        let mut results = sqlx::raw_sql(AssertSqlSafe(last)).fetch_many(&mut *transaction);
        while let Some(result) = results.next().await {
            match result {
                Ok(sqlx::Either::Left(_)) => done += 1,
                Ok(sqlx::Either::Right(_)) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
    }
    match failure {
        None => {
            transaction.release();
            Ok(())
        }
        // The server stops at the first statement that fails, so it did not come to COMMIT.
        Some(error @ sqlx::Error::Database(_)) if done < count => Err(failed(transaction, error)),
        // A cluster certifies at COMMIT, and refuses a transaction that another node has overtaken.
        Some(error) if Failure::of(&error) == Failure::Conflict => Err(failed(transaction, error)),
        Some(error) => Err(CommitFailure::Unknown(error)),
    }
}

/// A statement failed: roll back. Only a server that still answers says what failed; else the connection is closed.
#[cfg(feature = "mysql")]
fn failed(transaction: HeldConnection<sqlx::MySql>, error: sqlx::Error) -> CommitFailure {
    if matches!(error, sqlx::Error::Database(_)) {
        transaction.release();
    }
    CommitFailure::Statement(error)
}

#[cfg(test)]
#[cfg(feature = "mysql")]
mod tests {
    use super::packets;

    #[test]
    fn statements_travel_together_until_they_are_large() {
        let statements = ["aaaa", "bbbb", "c", "dddddddddddddddd"].map(str::to_owned);
        assert_eq!(
            packets(statements, 10),
            [("aaaa;bbbb".to_owned(), 2), ("c".to_owned(), 1), ("dddddddddddddddd".to_owned(), 1)]
        );
    }
}
