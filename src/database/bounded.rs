//! Questions to a server that may say nothing more. A connection whose answer is not waited for to its end is **closed**, not pooled: on
//! its way back the pool would wait for the server, for ever, and have one connection less.

use std::future::Future;
use std::io;
#[cfg(feature = "store")]
use std::ops::ControlFlow;
use std::time::Duration;

#[cfg(feature = "store")]
use futures_util::TryStreamExt as _;
#[cfg(feature = "store")]
use sqlx::AssertSqlSafe;
#[cfg(all(feature = "store", feature = "mysql"))]
use sqlx::pool::PoolConnection;

#[cfg(feature = "store")]
use super::pool::{Pool, Row};

/// What `work` with the database comes to, within `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

#[cfg(feature = "store")]
impl Pool {
    /// Run `sql`, each statement by itself, and give their rows to `take` until it has enough; the others are read and dropped. An
    /// error where the server says nothing for `limit`.
    pub(crate) async fn rows_within(
        &self,
        limit: Duration,
        sql: String,
        mut take: impl FnMut(Row) -> Result<ControlFlow<()>, sqlx::Error> + Send,
    ) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => {
                let mut asked = Asked::of(within(limit, pool.acquire()).await?);
                let result = {
                    let (mut rows, mut has_enough) = (sql.fetch(&mut *asked.connection), false);
                    loop {
                        match within(limit, rows.try_next()).await {
                            Ok(Some(row)) => has_enough = has_enough || take(Row::MySql(row))?.is_break(),
                            Ok(None) => break Ok(()),
                            Err(error) => break Err(error),
                        }
                    }
                };
                asked.heed(&result);
                result
            }
            // Nobody is silent in a file.
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => {
                let _ = limit;
                let mut rows = sql.fetch(pool);
                while let Some(row) = rows.try_next().await? {
                    if take(Row::Sqlite(row))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }

    /// As [`query`](Self::query). An error where the server says nothing for `limit`.
    pub(crate) async fn query_within(&self, limit: Duration, sql: String) -> Result<Vec<Row>, sqlx::Error> {
        let mut rows = Vec::new();
        let all = self.rows_within(limit, sql, |row| {
            rows.push(row);
            Ok(ControlFlow::Continue(()))
        });
        all.await?;
        Ok(rows)
    }

    /// As [`execute`](Self::execute). An error where the server says nothing for `limit`.
    pub(crate) async fn execute_within(&self, limit: Duration, sql: String) -> Result<u64, sqlx::Error> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => {
                let mut asked = Asked::of(within(limit, pool.acquire()).await?);
                let sql = sqlx::raw_sql(AssertSqlSafe(sql));
                let result = within(limit, sql.execute(&mut *asked.connection)).await;
                asked.heed(&result);
                result.map(|done| done.rows_affected())
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                let _ = limit;
                self.execute(sql).await
            }
        }
    }
}

/// A connection on which something was asked.
#[cfg(all(feature = "store", feature = "mysql"))]
struct Asked {
    connection: PoolConnection<sqlx::MySql>,
    is_answered: bool,
}

#[cfg(all(feature = "store", feature = "mysql"))]
impl Asked {
    fn of(connection: PoolConnection<sqlx::MySql>) -> Self {
        Self { connection, is_answered: false }
    }

    /// A refusal is an answer, too.
    fn heed<T>(&mut self, result: &Result<T, sqlx::Error>) {
        self.is_answered = matches!(result, Ok(_) | Err(sqlx::Error::Database(_)));
    }
}

#[cfg(all(feature = "store", feature = "mysql"))]
impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_answered {
            self.connection.close_on_drop();
        }
    }
}
