//! MySQL and MariaDB: connecting, and the errors of it.

use std::io;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlPool};

use super::session::SessionLimits;
use super::{DatabaseOptions, Error};

/// A connection idle for longer is asked whether it still lives before it is used. Asking each time would cost every
/// transaction a round trip; one that died meanwhile fails at `BEGIN`, and the transaction runs again.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);

/// Gap locks on absent rows deadlock those who create them.
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

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
        .test_before_acquire(false);
    let idle = options.session_timeout;
    let prepare = format!("{ISOLATION};SET SESSION wait_timeout = {}", seconds(idle));
    Ok(prepared(pool, TRUSTED_IDLE.min(idle / 2), prepare).connect_lazy_with(connect))
}

/// At most `connections` to the server of `pool`, whose sessions end by themselves.
pub(super) fn apart(pool: &MySqlPool, connections: u32, limits: SessionLimits) -> MySqlPool {
    let SessionLimits { idle, statement, lock_wait } = limits;
    // Each server reads the words of its own: MariaDB skips comments of versions that it never had.
    let prepare = format!(
        "{ISOLATION};SET SESSION wait_timeout = {}, innodb_lock_wait_timeout = {}\
         /*!50708 , max_execution_time = {} *//*M!100100 , max_statement_time = {} */",
        seconds(idle),
        seconds(lock_wait),
        statement.as_millis(),
        seconds(statement),
    );
    let options = pool.options().clone().min_connections(0).max_connections(connections);
    prepared(options, TRUSTED_IDLE.min(idle / 2), prepare).connect_lazy_with((*pool.connect_options()).clone())
}

fn seconds(limit: Duration) -> u64 {
    // The server takes no more than a year.
    limit.as_secs().clamp(1, 31_536_000)
}

/// Whose connections begin with `prepare`, and are asked whether they live after having been idle for longer than `trusted`.
fn prepared(options: MySqlPoolOptions, trusted: Duration, prepare: String) -> MySqlPoolOptions {
    options
        .before_acquire(move |connection, metadata| {
            // One that does not answer is replaced by another.
            Box::pin(async move { Ok(metadata.idle_for <= trusted || connection.ping().await.is_ok()) })
        })
        .after_connect(move |connection, _| {
            let prepare = AssertSqlSafe(prepare.clone());
            Box::pin(async move { sqlx::raw_sql(prepare).execute(connection).await.map(drop) })
        })
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
