//! SQLite: opening the file.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, SqlitePool};

use super::{DatabaseOptions, Error};

pub(super) async fn connect(options: &DatabaseOptions) -> Result<SqlitePool, Error> {
    let connect: SqliteConnectOptions =
        options.url.parse().map_err(|error| Error::Url { reason: format!("it is not sqlite:path ({error})") })?;
    let in_memory = options.url.contains(":memory:") || options.url.contains("mode=memory");
    let connect = connect
        .create_if_missing(!options.url.contains("mode="))
        .journal_mode(SqliteJournalMode::Wal)
        // One writer at a time: the others wait here rather than fail.
        .busy_timeout(options.acquire_timeout.max(Duration::from_secs(1)))
        .disable_statement_logging();
    let address = connect.get_filename().display().to_string();

    let mut pool = SqlitePoolOptions::new()
        .max_connections(if in_memory { 1 } else { options.max_connections })
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false);
    if in_memory {
        // The data lives as long as its one connection.
        pool = pool.min_connections(1).idle_timeout(None).max_lifetime(None);
    }
    pool.connect_with(connect).await.map_err(|source| Error::Unreachable { address, source })
}
