//! Connections that have gone silent: a server that stands still, or a line that nobody told of its end.

use std::future::Future;
use std::io;
use std::time::Duration;

use super::{CONNECTIONS, PURGE_TIMEOUT, Running};
use crate::database::Database;

/// What `work` with the database comes to, within `limit`.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

impl Running {
    /// Work with the database failed: where it was for silence, go on with other connections. Those that go on with the old ones are
    /// bounded, too.
    pub(super) fn heed(&mut self, error: &sqlx::Error) {
        if !matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut) {
            return;
        }
        tracing::warn!("the database has gone silent on a connection; the relay makes new ones");
        let pool = self.service_pool.apart(CONNECTIONS);
        let silent = std::mem::replace(&mut self.table.pool, pool.clone());
        self.database = Database { pool, ..self.database.clone() };
        // They may never end.
        tokio::spawn(async move { tokio::time::timeout(PURGE_TIMEOUT, silent.close_apart()).await });
    }
}
