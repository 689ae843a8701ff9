//! Connections that have gone silent: a server that stands still, or a line that nobody told of its end.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::Instant;

use super::{CONNECTIONS, PURGE_TIMEOUT, Running};
use crate::database::Database;
use crate::database::pool::Pool;
use crate::database::session::SessionLimits;
use crate::outbox::RelayOptions;

/// Sessions that end sooner would be made anew again and again.
const SHORTEST_IDLE: Duration = Duration::from_secs(5);

/// What `first` comes to; where it says nothing for `patience`, whichever of it and `second` succeeds sooner. Nobody can tell a slow
/// answer from none, and to give the slow one up would make the next slower still.
pub(super) async fn sooner<T>(
    first: impl Future<Output = Result<T, sqlx::Error>>,
    patience: Duration,
    second: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let (mut first, second) = (pin!(first), pin!(second));
    if let Ok(result) = tokio::time::timeout(patience, &mut first).await {
        return result;
    }
    match select(first, second).await {
        Either::Left((Ok(value), _)) | Either::Right((Ok(value), _)) => Ok(value),
        Either::Left((Err(_), second)) => second.await,
        Either::Right((Err(_), first)) => first.await,
    }
}

/// What the server is to end by itself: the relay has given it up by then, and others wait for its locks.
pub(super) fn session_limits(options: &RelayOptions) -> SessionLimits {
    SessionLimits {
        idle: options.lease_ttl.max(SHORTEST_IDLE),
        statement: options.database_timeout,
        lock_wait: options.lease_ttl / 8,
    }
}

impl Running {
    /// Work with the database failed: where it was for silence, go on with other connections. Those that go on with the old ones are
    /// bounded, too.
    pub(super) fn heed(&mut self, error: &sqlx::Error) {
        let is_silent = match error {
            sqlx::Error::Io(error) => error.kind() == io::ErrorKind::TimedOut,
            // All of them are, or the server takes none.
            sqlx::Error::PoolTimedOut => true,
            _ => false,
        };
        // Work that was begun on connections left behind says nothing of those at hand.
        let is_old = self.replaced_at.is_some_and(|at| at.elapsed() < self.options.database_timeout);
        if !is_silent || is_old {
            return;
        }
        self.go_on_with(self.service_pool.apart(CONNECTIONS, session_limits(&self.options)));
    }

    /// Leave the connections at hand for those of `pool`.
    pub(super) fn go_on_with(&mut self, pool: Pool) {
        self.replaced_at = Some(Instant::now());
        tracing::warn!("the database has gone silent on a connection; the relay makes new ones");
        let silent = std::mem::replace(&mut self.table.pool, pool.clone());
        self.database = Database { pool, ..self.database.clone() };
        // They may never end.
        tokio::spawn(async move { tokio::time::timeout(PURGE_TIMEOUT, silent.close_apart()).await });
    }
}
