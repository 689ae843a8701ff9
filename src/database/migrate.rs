//! Creating the tables of tidings.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::pool::Pool;
use super::sql::Dialect;
use super::{Database, Error};

/// The migrations of one dialect, in the order of their versions. Each may run again where it was interrupted.
const fn migrations(dialect: Dialect) -> &'static [(u32, &'static str)] {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => &[
            (1, include_str!("../../migrations/mysql/0001_outbox.sql")),
            (2, include_str!("../../migrations/mysql/0002_inbox.sql")),
            (3, include_str!("../../migrations/mysql/0003_parked.sql")),
            (6, include_str!("../../migrations/mysql/0006_shards.sql")),
        ],
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => &[
            (1, include_str!("../../migrations/sqlite/0001_outbox.sql")),
            (2, include_str!("../../migrations/sqlite/0002_inbox.sql")),
            (3, include_str!("../../migrations/sqlite/0003_parked.sql")),
            (6, include_str!("../../migrations/sqlite/0006_shards.sql")),
        ],
    }
}

/// Where the version is kept; apart from sqlx's own table, which the service may use for its own migrations.
const VERSION_TABLE: &str = "CREATE TABLE IF NOT EXISTS tidings_migration (version INTEGER NOT NULL PRIMARY KEY)";
const VERSION: &str = "SELECT COALESCE(MAX(version), 0) AS version FROM tidings_migration";

/// How long to wait for another process that migrates, in seconds.
#[cfg(feature = "mysql")]
const LOCK_SECONDS: u32 = 120;

impl Database {
    /// Create or change the tables of tidings. Does nothing where they are up to date; processes that start at once wait for
    /// each other. Returns the version the tables are at now.
    ///
    /// # Errors
    /// [`Error::Migration`]; [`Error::Sql`].
    pub async fn migrate(&self) -> Result<u32, Error> {
        match &self.pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(pool) => migrate_mysql(pool).await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => migrate_sqlite(pool).await,
        }
    }

    /// Check that the tables of tidings are there and up to date.
    ///
    /// # Errors
    /// [`Error::NotMigrated`]; [`Error::Sql`].
    pub async fn check_migrated(&self) -> Result<(), Error> {
        let wanted = newest(migrations(self.pool.dialect()));
        let found = match self.pool.query(VERSION.to_owned()).await {
            Ok(rows) => rows.first().map_or(Ok(0), |row| row.integer(0)),
            Err(error) if super::error::Failure::of(&error) == super::error::Failure::NoTables => Ok(0),
            Err(error) => Err(error),
        };
        let found = found.map_err(Error::sql("reading the version of the tables"))?;
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        // Newer tables serve older builds: migrations only add.
        if found < wanted { Err(Error::NotMigrated { found, wanted }) } else { Ok(()) }
    }
}

fn newest(migrations: &[(u32, &'static str)]) -> u32 {
    migrations.last().map_or(0, |(version, _)| *version)
}

#[cfg(feature = "mysql")]
async fn migrate_mysql(pool: &sqlx::MySqlPool) -> Result<u32, Error> {
    let failed = |source| Error::Sql { doing: "preparing to migrate", source };
    let mut connection = pool.acquire().await.map_err(failed)?;
    // The lock belongs to the connection: closing it gives it back, however this ends.
    connection.close_on_drop();
    let lock =
        format!("SELECT GET_LOCK(CONCAT('tidings:', LEFT(SHA2(DATABASE(), 256), 40)), {LOCK_SECONDS}) AS locked");
    let locked = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(lock))).await.map_err(failed)?;
    if locked.try_get_unchecked::<Option<i64>, _>(0).map_err(failed)? != Some(1) {
        let reason = format!("another process has held the lock for {LOCK_SECONDS} s");
        return Err(failed(sqlx::Error::Protocol(reason)));
    }
    connection.execute(sqlx::raw_sql(VERSION_TABLE)).await.map_err(failed)?;
    let found = connection.fetch_one(sqlx::raw_sql(VERSION)).await.map_err(failed)?;
    let found = found.try_get_unchecked::<i64, _>(0).map_err(failed)?;
    let migrations = migrations(Dialect::MySql);
    for (version, migration) in migrations.iter().copied().filter(|(version, _)| i64::from(*version) > found) {
        let run = format!("{};INSERT INTO tidings_migration (version) VALUES ({version})", migration.trim_end());
        let run = connection.execute(sqlx::raw_sql(AssertSqlSafe(run))).await;
        run.map_err(|source| Error::Migration { version, source })?;
    }
    Ok(newest(migrations))
}

#[cfg(feature = "sqlite")]
async fn migrate_sqlite(pool: &sqlx::SqlitePool) -> Result<u32, Error> {
    let failed = |source| Error::Sql { doing: "preparing to migrate", source };
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    transaction.execute(sqlx::raw_sql(VERSION_TABLE)).await.map_err(failed)?;
    let found = transaction.fetch_one(sqlx::raw_sql(VERSION)).await.map_err(failed)?;
    let found = found.try_get_unchecked::<i64, _>(0).map_err(failed)?;
    let migrations = migrations(Dialect::Sqlite);
    for (version, migration) in migrations.iter().copied().filter(|(version, _)| i64::from(*version) > found) {
        let run = format!("{};INSERT INTO tidings_migration (version) VALUES ({version})", migration.trim_end());
        let run = transaction.execute(sqlx::raw_sql(AssertSqlSafe(run))).await;
        run.map_err(|source| Error::Migration { version, source })?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(newest(migrations))
}
