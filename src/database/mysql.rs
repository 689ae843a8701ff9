//! MySQL and MariaDB: connecting, and the errors of it.

use std::io;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, MySqlPool};

use super::{DatabaseOptions, Error};

/// A connection idle for longer is asked whether it still lives before it is used. Asking each time would cost every
/// transaction a round trip; one that died meanwhile fails at `BEGIN`, and the transaction runs again.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);

pub(super) async fn connect(options: &DatabaseOptions) -> Result<MySqlPool, Error> {
    // The parser's message may quote the URL: it is not shown.
    let not_understood = |_| Error::Url { reason: "it is not mysql://user:password@host:port/database".to_owned() };
    let connect: MySqlConnectOptions = options.url.parse().map_err(not_understood)?;
    if connect.get_database().is_none() {
        return Err(Error::Url { reason: "it names no database: mysql://user:password@host:port/database".to_owned() });
    }
    // Statements hold people's data, which does not belong in logs.
    let connect = connect.disable_statement_logging();

    // Through the pool this would be tried again until the time is up, and the cause forgotten.
    match tokio::time::timeout(options.connect_timeout, connect.connect()).await {
        Ok(Ok(connection)) => {
            // Only a farewell: the server notices by itself.
            let _ = connection.close().await;
        }
        Ok(Err(error)) => return Err(connect_error(&connect, error)),
        Err(_) => return Err(connect_error(&connect, io::Error::from(io::ErrorKind::TimedOut).into())),
    }

    let pool = MySqlPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // Gap locks on absent rows deadlock those who create them.
                connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                Ok(())
            })
        })
        .connect_lazy_with(connect);
    Ok(pool)
}

fn connect_error(options: &MySqlConnectOptions, error: sqlx::Error) -> Error {
    let address = format!("{}:{}", options.get_host(), options.get_port());
    match &error {
        sqlx::Error::Io(_) => return Error::Unreachable { address, source: error },
        sqlx::Error::Database(database) => {
            match database.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number) {
                Some(1044 | 1045 | 1698) => {
                    return Error::AccessDenied { user: options.get_username().to_owned(), address };
                }
                Some(1049) => {
                    let database = options.get_database().unwrap_or_default().to_owned();
                    return Error::UnknownDatabase { database, address };
                }
                _ => {}
            }
        }
        _ => {}
    }
    Error::Sql { doing: "connecting to the database", source: error }
}
