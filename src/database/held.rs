//! A server's connection with a transaction open on it.

use std::ops::{Deref, DerefMut};

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Database, SqlSafeStr as _};
use sqlx_core::transaction::TransactionManager as _;

/// A connection with a transaction open on it. Dropped before the transaction has ended (its handler was cancelled, say), the
/// connection is **closed**, not pooled: a statement may still be under way, and whoever came next would wait for its answer.
pub(crate) struct HeldConnection<DB: Database> {
    connection: PoolConnection<DB>,
    over: bool,
}

impl<DB: Database> HeldConnection<DB> {
    /// Open a transaction with the statements of `begin`.
    pub(crate) async fn begin(connection: PoolConnection<DB>, begin: String) -> Result<Self, sqlx::Error> {
        let mut held = Self { connection, over: false };
        DB::TransactionManager::begin(&mut held.connection, Some(AssertSqlSafe(begin).into_sql_str())).await?;
        Ok(held)
    }

    /// Roll back, and give the connection back to the pool.
    pub(crate) async fn roll_back(mut self) -> Result<(), sqlx::Error> {
        DB::TransactionManager::rollback(&mut self.connection).await?;
        self.over = true;
        Ok(())
    }

    /// Give the connection back to the pool, with a ROLLBACK that travels with the ping of its return: a round trip less than
    /// waiting for it.
    pub(crate) fn release(mut self) {
        DB::TransactionManager::start_rollback(&mut self.connection);
        self.over = true;
    }
}

impl<DB: Database> Deref for HeldConnection<DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &DB::Connection {
        &self.connection
    }
}

impl<DB: Database> DerefMut for HeldConnection<DB> {
    fn deref_mut(&mut self) -> &mut DB::Connection {
        &mut self.connection
    }
}

impl<DB: Database> Drop for HeldConnection<DB> {
    fn drop(&mut self) {
        if !self.over {
            self.connection.close_on_drop();
        }
    }
}
