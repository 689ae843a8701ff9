//! Creating the tables of tidings.

use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use super::pool::Pool;
use super::sql::Dialect;
use super::{Database, Error};

/// Tables that are created and changed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableSet {
    /// What a service's database has: the outbox, the inbox and what goes with them.
    Service,
    /// What only an event store's database has.
    #[cfg(feature = "store")]
    Store,
}

impl TableSet {
    /// Where the version is kept; apart from sqlx's own table, which the service may use for its own migrations.
    const fn version_table(self) -> &'static str {
        match self {
            Self::Service => "tidings_migration",
            #[cfg(feature = "store")]
            Self::Store => "tidings_store_migration",
        }
    }

    fn create_version_table(self) -> String {
        format!("CREATE TABLE IF NOT EXISTS {} (version INTEGER NOT NULL PRIMARY KEY)", self.version_table())
    }

    fn select_version(self) -> String {
        format!("SELECT COALESCE(MAX(version), 0) AS version FROM {}", self.version_table())
    }
}

/// The migrations of one dialect, in the order of their versions. Each may run again where it was interrupted.
const fn migrations(set: TableSet, dialect: Dialect) -> &'static [(u32, &'static str)] {
    match (set, dialect) {
        #[cfg(all(feature = "mysql", feature = "store"))]
        (TableSet::Store, Dialect::MySql) => &[
            (1, include_str!("../../migrations/mysql/store/0001_events.sql")),
            (2, include_str!("../../migrations/mysql/store/0002_first_epoch.sql")),
        ],
        #[cfg(all(feature = "sqlite", feature = "store"))]
        (TableSet::Store, Dialect::Sqlite) => &[
            (1, include_str!("../../migrations/sqlite/store/0001_events.sql")),
            (2, include_str!("../../migrations/sqlite/store/0002_first_epoch.sql")),
        ],
        #[cfg(feature = "mysql")]
        (TableSet::Service, Dialect::MySql) => &[
            (1, include_str!("../../migrations/mysql/0001_outbox.sql")),
            (2, include_str!("../../migrations/mysql/0002_inbox.sql")),
            (3, include_str!("../../migrations/mysql/0003_parked.sql")),
            (4, include_str!("../../migrations/mysql/0004_outbox_gate.sql")),
            (5, include_str!("../../migrations/mysql/0005_target.sql")),
            (6, include_str!("../../migrations/mysql/0006_shards.sql")),
            (7, include_str!("../../migrations/mysql/0007_outbox_held.sql")),
            (8, include_str!("../../migrations/mysql/0008_first_epoch.sql")),
        ],
        #[cfg(feature = "sqlite")]
        (TableSet::Service, Dialect::Sqlite) => &[
            (1, include_str!("../../migrations/sqlite/0001_outbox.sql")),
            (2, include_str!("../../migrations/sqlite/0002_inbox.sql")),
            (3, include_str!("../../migrations/sqlite/0003_parked.sql")),
            (4, include_str!("../../migrations/sqlite/0004_outbox_gate.sql")),
            (5, include_str!("../../migrations/sqlite/0005_target.sql")),
            (6, include_str!("../../migrations/sqlite/0006_shards.sql")),
            (7, include_str!("../../migrations/sqlite/0007_outbox_held.sql")),
            (8, include_str!("../../migrations/sqlite/0008_first_epoch.sql")),
        ],
    }
}

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
        self.migrate_set(TableSet::Service).await
    }

    pub(crate) async fn migrate_set(&self, set: TableSet) -> Result<u32, Error> {
        match &self.pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(pool) => migrate_mysql(pool, set).await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => migrate_sqlite(pool, set).await,
        }
    }

    /// Check that the tables of tidings are there and up to date.
    ///
    /// # Errors
    /// [`Error::NotMigrated`]; [`Error::Sql`].
    pub async fn check_migrated(&self) -> Result<(), Error> {
        self.check_set(TableSet::Service).await
    }

    pub(crate) async fn check_set(&self, set: TableSet) -> Result<(), Error> {
        let wanted = newest(migrations(set, self.pool.dialect()));
        let found = match self.pool.query(set.select_version()).await {
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
async fn migrate_mysql(pool: &sqlx::MySqlPool, set: TableSet) -> Result<u32, Error> {
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
    connection.execute(sqlx::raw_sql(AssertSqlSafe(set.create_version_table()))).await.map_err(failed)?;
    let found = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(set.select_version()))).await.map_err(failed)?;
    let found = found.try_get_unchecked::<i64, _>(0).map_err(failed)?;
    let table = set.version_table();
    let migrations = migrations(set, Dialect::MySql);
    for (version, migration) in migrations.iter().copied().filter(|(version, _)| i64::from(*version) > found) {
        let run = format!("{};INSERT INTO {table} (version) VALUES ({version})", migration.trim_end());
        let run = connection.execute(sqlx::raw_sql(AssertSqlSafe(run))).await;
        run.map_err(|source| Error::Migration { version, source })?;
    }
    Ok(newest(migrations))
}

#[cfg(feature = "sqlite")]
async fn migrate_sqlite(pool: &sqlx::SqlitePool, set: TableSet) -> Result<u32, Error> {
    let failed = |source| Error::Sql { doing: "preparing to migrate", source };
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    transaction.execute(sqlx::raw_sql(AssertSqlSafe(set.create_version_table()))).await.map_err(failed)?;
    let found = transaction.fetch_one(sqlx::raw_sql(AssertSqlSafe(set.select_version()))).await.map_err(failed)?;
    let found = found.try_get_unchecked::<i64, _>(0).map_err(failed)?;
    let table = set.version_table();
    let migrations = migrations(set, Dialect::Sqlite);
    for (version, migration) in migrations.iter().copied().filter(|(version, _)| i64::from(*version) > found) {
        let run = format!("{};INSERT INTO {table} (version) VALUES ({version})", migration.trim_end());
        let run = transaction.execute(sqlx::raw_sql(AssertSqlSafe(run))).await;
        run.map_err(|source| Error::Migration { version, source })?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(newest(migrations))
}
