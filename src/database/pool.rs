//! A database: its connections, and what transactions on it share.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::AssertSqlSafe;

use super::open::{CommitFailure, OpenTransaction};
use super::session::SessionLimits;
use super::shards::map::ShardMap;
use super::sql::Dialect;
use super::{DatabaseOptions, Error, TransactionOptions};
use crate::outbox::Wake;
use crate::publisher::Publisher;

/// A database. A cheap handle: clone it.
///
/// One `Database` is one shard: a transaction cannot leave it. Several are [`Shards`](super::shards::Shards).
#[derive(Clone)]
pub struct Database {
    pub(crate) pool: Pool,
    pub(crate) shard: Arc<str>,
    pub(crate) publisher: Option<Publisher>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) options: TransactionOptions,
    /// The shards it is one of, where there are several.
    pub(crate) map: Option<Arc<ShardMap>>,
}

impl Database {
    /// Connect, and make sure that the tables of tidings are there.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Unreachable`], [`Error::AccessDenied`], [`Error::UnknownDatabase`]; [`Error::NotMigrated`]
    /// unless the options say otherwise.
    pub async fn connect(options: DatabaseOptions) -> Result<Self, Error> {
        let options = options.bounded();
        super::error::check_name("shard", &options.shard, 64)?;
        let pool = Pool::connect(&options).await?;
        let wake = Arc::new(Wake::new(&pool));
        let database = Self {
            pool,
            shard: options.shard.as_str().into(),
            publisher: None,
            wake,
            options: TransactionOptions::default(),
            map: None,
        };
        if options.migrate {
            database.migrate().await?;
        } else if options.check_migrated {
            database.check_migrated().await?;
        }
        Ok(database)
    }

    /// The same database, whose transactions publish as `publisher` does: as its service, in its
    /// [mode](crate::publisher::DeliveryMode).
    pub fn with_publisher(mut self, publisher: &Publisher) -> Self {
        self.publisher = Some(publisher.clone());
        self
    }

    /// The same database, whose transactions run as `options` say.
    pub fn with_options(mut self, options: TransactionOptions) -> Self {
        self.options = options;
        self
    }

    /// Its name among the shards.
    pub fn shard(&self) -> &str {
        &self.shard
    }

    /// `MySQL` or `SQLite`.
    pub fn kind(&self) -> &'static str {
        self.pool.dialect().name()
    }

    /// The pool, for the caller's own reads.
    ///
    /// # Errors
    /// [`Error::WrongKind`]: this is a SQLite database.
    #[cfg(feature = "mysql")]
    pub fn mysql_pool(&self) -> Result<&sqlx::MySqlPool, Error> {
        match &self.pool {
            Pool::MySql(pool) => Ok(pool),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Err(Error::WrongKind { wanted: "MySQL", actual: "SQLite" }),
        }
    }

    /// The pool, for the caller's own reads.
    ///
    /// # Errors
    /// [`Error::WrongKind`]: this is a MySQL database.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_pool(&self) -> Result<&sqlx::SqlitePool, Error> {
        match &self.pool {
            Pool::Sqlite(pool) => Ok(pool),
            #[cfg(feature = "mysql")]
            Pool::MySql(_) => Err(Error::WrongKind { wanted: "SQLite", actual: "MySQL" }),
        }
    }

    /// Close all connections; waits for those in use.
    pub async fn close(&self) {
        match &self.pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(pool) => pool.close().await,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pool) => pool.close().await,
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Database")
            .field("kind", &self.kind())
            .field("shard", &self.shard)
            .field("publisher", &self.publisher)
            .finish_non_exhaustive()
    }
}

/// Connections of one kind.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    #[cfg(feature = "mysql")]
    MySql(sqlx::MySqlPool),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
}

impl Pool {
    async fn connect(options: &DatabaseOptions) -> Result<Self, Error> {
        let scheme = options.url.split(':').next().unwrap_or_default();
        match scheme {
            #[cfg(feature = "mysql")]
            "mysql" | "mariadb" => Ok(Self::MySql(super::mysql::connect(options).await?)),
            #[cfg(not(feature = "mysql"))]
            "mysql" | "mariadb" => Err(needs_feature(scheme, "mysql")),
            #[cfg(feature = "sqlite")]
            "sqlite" => Ok(Self::Sqlite(super::sqlite::connect(options).await?)),
            #[cfg(not(feature = "sqlite"))]
            "sqlite" => Err(needs_feature(scheme, "sqlite")),
            "" => Err(Error::Url { reason: "there is none; set `url`, such as mysql://user@host/database".to_owned() }),
            _ => Err(Error::Url { reason: "it must begin with mysql://, mariadb:// or sqlite:".to_owned() }),
        }
    }

    /// At most `connections` of their own, to the same server: who uses these waits for nobody who uses those. SQLite has one writer
    /// at a time, whichever connection it has: there they are the same.
    pub(crate) fn apart(&self, connections: u32, limits: SessionLimits) -> Self {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => Self::MySql(super::mysql::apart(pool, connections, limits)),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => {
                let _ = (connections, limits);
                Self::Sqlite(pool.clone())
            }
        }
    }

    /// Close connections that were [apart](Self::apart).
    #[cfg_attr(not(feature = "mysql"), allow(clippy::unused_async, reason = "only MySQL's are apart"))]
    pub(crate) async fn close_apart(&self) {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => pool.close().await,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {}
        }
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => Dialect::MySql,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Run `sql`, each statement by itself; the rows of all of them.
    pub(crate) fn stream(&self, sql: String) -> BoxStream<'_, Result<Row, sqlx::Error>> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => sqlx::raw_sql(AssertSqlSafe(sql)).fetch(pool).map_ok(Row::MySql).boxed(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => sqlx::raw_sql(AssertSqlSafe(sql)).fetch(pool).map_ok(Row::Sqlite).boxed(),
        }
    }

    /// Run `sql`, each statement by itself; the rows of all of them.
    pub(crate) async fn query(&self, sql: String) -> Result<Vec<Row>, sqlx::Error> {
        self.stream(sql).try_collect().await
    }

    /// Run `statements` in a transaction.
    pub(crate) async fn run_transaction(&self, statements: Vec<String>) -> Result<(), sqlx::Error> {
        let open = OpenTransaction::begin(self).await?;
        open.commit(statements).await.map_err(CommitFailure::into_source)
    }

    /// Run `sql`, each statement by itself; how many rows all of them changed.
    pub(crate) async fn execute(&self, sql: String) -> Result<u64, sqlx::Error> {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(pool) => Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await?.rows_affected()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => Ok(sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await?.rows_affected()),
        }
    }
}

#[cfg(not(all(feature = "mysql", feature = "sqlite")))]
fn needs_feature(scheme: &str, feature: &str) -> Error {
    Error::Url { reason: format!("{scheme} needs tidings to be built with its feature `{feature}`") }
}

/// A row of a statement that was run as text.
pub(crate) enum Row {
    #[cfg(feature = "mysql")]
    MySql(sqlx::mysql::MySqlRow),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::sqlite::SqliteRow),
}

macro_rules! column {
    ($(#[$doc:meta])* $name:ident -> $type:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(&self, index: usize) -> Result<$type, sqlx::Error> {
            use sqlx::Row as _;
            match self {
                // Signed or unsigned, and which collation, is nothing to fail for.
                #[cfg(feature = "mysql")]
                Self::MySql(row) => row.try_get_unchecked(index),
                #[cfg(feature = "sqlite")]
                Self::Sqlite(row) => row.try_get_unchecked(index),
            }
        }
    };
}

impl Row {
    column!(
        /// A number.
        integer -> i64
    );
    column!(
        /// A number or `NULL`.
        #[cfg(any(feature = "consumer", feature = "store"))]
        optional_integer -> Option<i64>
    );
    column!(
        /// Text.
        text -> String
    );
    column!(
        /// Text or `NULL`.
        optional_text -> Option<String>
    );
    column!(
        /// Bytes.
        bytes -> Vec<u8>
    );
    column!(
        /// Bytes or `NULL`.
        #[cfg(feature = "consumer")]
        optional_bytes -> Option<Vec<u8>>
    );
}
