//! A database of its own for each test, and a producer that keeps what it was sent.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidings::database::sqlx::{self, AssertSqlSafe, Row as _};
use tidings::database::{Database, DatabaseOptions};
use tidings::envelope::EnvelopeView;
use tidings::outbox::{Relay, RelayHandle};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tidings::transport::memory::MemoryProducer;
use tidings::transport::{Producer, Record};

use super::account::TABLE;

pub(crate) struct Stage {
    pub(crate) options: DatabaseOptions,
    pub(crate) database: Database,
    pub(crate) kafka: MemoryProducer,
    pub(crate) place: Place,
}

/// What is to be cleared away afterwards.
pub(crate) enum Place {
    #[cfg(feature = "sqlite")]
    File(#[allow(dead_code, reason = "it is deleted when dropped")] tempfile::TempDir),
    #[cfg(feature = "mysql")]
    Server { url: String, name: String },
}

impl Stage {
    #[cfg(feature = "sqlite")]
    #[allow(dead_code, reason = "each test program has a database of its own kind")]
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = DatabaseOptions::new(format!("sqlite:{}", folder.path().join("test.db").display()));
        Self::set(options, Place::File(folder)).await
    }

    /// A new database on the server of `url`.
    #[cfg(feature = "mysql")]
    #[allow(dead_code, reason = "each test program has a database of its own kind")]
    pub(crate) async fn server(url: &str) -> Self {
        let name = format!("tidings_test_{}", uuid::Uuid::new_v4().simple());
        on_server(url, &format!("CREATE DATABASE {name}")).await;
        let options =
            DatabaseOptions::new(of_server(url, &name)).max_connections(16).connect_timeout(Duration::from_mins(1));
        Self::set(options, Place::Server { url: url.to_owned(), name }).await
    }

    /// Another database of this kind, as the shard called `shard`.
    #[allow(dead_code, reason = "not every test program has shards")]
    pub(crate) async fn another_shard(&self, shard: &str) -> Self {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", folder.path().join("test.db").display());
                Self::set(DatabaseOptions::new(url).shard(shard), Place::File(folder)).await
            }
            #[cfg(feature = "mysql")]
            Place::Server { url, .. } => {
                let name = format!("tidings_test_{}", uuid::Uuid::new_v4().simple());
                on_server(url, &format!("CREATE DATABASE {name}")).await;
                let options = DatabaseOptions::new(of_server(url, &name)).max_connections(16).shard(shard);
                let options = options.connect_timeout(Duration::from_mins(1));
                Self::set(options, Place::Server { url: url.clone(), name }).await
            }
        }
    }

    async fn set(options: DatabaseOptions, place: Place) -> Self {
        let kafka = MemoryProducer::new(4);
        let database = Database::connect(options.clone().migrate(true)).await.unwrap();
        let stage = Self { options, database, kafka, place };
        let database = stage.publishing(DeliveryMode::Outbox).await;
        let stage = Self { database, ..stage };
        stage.execute(TABLE).await;
        stage
    }

    /// The database, publishing in `mode`.
    pub(crate) async fn publishing(&self, mode: DeliveryMode) -> Database {
        self.database.clone().with_publisher(&self.publisher(mode).await)
    }

    pub(crate) async fn publisher(&self, mode: DeliveryMode) -> Publisher {
        let options = PublisherOptions::new("accounts").mode(mode);
        Publisher::builder(options).producer(Arc::new(self.kafka.clone())).build().await.unwrap()
    }

    /// The database through connections of its own, as another process would have it.
    pub(crate) async fn elsewhere(&self) -> Database {
        Database::connect(self.options.clone()).await.unwrap()
    }

    pub(crate) fn relay(&self) -> RelayHandle {
        self.relay_of(&self.database)
    }

    pub(crate) fn relay_of(&self, database: &Database) -> RelayHandle {
        Self::relay_through(database, self.kafka.clone())
    }

    pub(crate) fn relay_through<P: Producer + Clone>(database: &Database, producer: P) -> RelayHandle {
        let producers = move || -> Arc<dyn Producer> { Arc::new(producer.clone()) };
        Relay::new(database, producers).spawn()
    }

    /// Run statements of the test's own.
    pub(crate) async fn execute(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => drop(sql.execute(self.database.sqlite_pool().unwrap()).await.unwrap()),
            #[cfg(feature = "mysql")]
            Place::Server { .. } => drop(sql.execute(self.database.mysql_pool().unwrap()).await.unwrap()),
        }
    }

    /// One more stage, with a database of its own beside this one.
    #[cfg(feature = "store")]
    #[allow(dead_code, reason = "not every test program has event stores")]
    pub(crate) async fn another(&self) -> Self {
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => Self::sqlite().await,
            #[cfg(feature = "mysql")]
            Place::Server { url, .. } => Self::server(url).await,
        }
    }

    /// Run statements that may fail.
    #[cfg(feature = "store")]
    #[allow(dead_code, reason = "not every test program has event stores")]
    pub(crate) async fn try_execute(&self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => sql.execute(self.database.sqlite_pool().unwrap()).await.map(drop),
            #[cfg(feature = "mysql")]
            Place::Server { .. } => sql.execute(self.database.mysql_pool().unwrap()).await.map(drop),
        }
    }

    /// Run statements in a transaction that stays open until what is returned is dropped, and is rolled back then.
    #[cfg(feature = "store")]
    #[allow(dead_code, reason = "not every test program has event stores")]
    pub(crate) async fn hold(&self, sql: &str) -> Box<dyn std::any::Any + Send> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => {
                let mut transaction = self.database.sqlite_pool().unwrap().begin().await.unwrap();
                sql.execute(&mut *transaction).await.unwrap();
                Box::new(transaction)
            }
            #[cfg(feature = "mysql")]
            Place::Server { .. } => {
                let mut transaction = self.database.mysql_pool().unwrap().begin().await.unwrap();
                sql.execute(&mut *transaction).await.unwrap();
                Box::new(transaction)
            }
        }
    }

    /// The first column of all rows, as text.
    pub(crate) async fn texts(&self, sql: &str) -> Vec<String> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => {
                let rows = sql.fetch_all(self.database.sqlite_pool().unwrap()).await.unwrap();
                rows.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect()
            }
            #[cfg(feature = "mysql")]
            Place::Server { .. } => {
                let rows = sql.fetch_all(self.database.mysql_pool().unwrap()).await.unwrap();
                rows.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect()
            }
        }
    }

    pub(crate) async fn outbox_rows(&self) -> usize {
        self.texts("SELECT event_id FROM tidings_outbox").await.len()
    }

    /// `stream sequence` of everything that Kafka has, in order.
    pub(crate) fn published(&self) -> Vec<(String, u64)> {
        self.kafka.written().iter().map(position).collect()
    }

    /// Wait until Kafka has `count` records.
    pub(crate) async fn until_published(&self, count: usize) {
        eventually(&format!("{count} records are published"), async || self.kafka.written().len() >= count).await;
    }

    /// Wait until nothing is left in the outbox.
    pub(crate) async fn until_empty(&self) {
        eventually("the outbox is empty", async || self.outbox_rows().await == 0).await;
    }

    pub(crate) async fn clear(self) {
        self.database.close().await;
        match self.place {
            #[cfg(feature = "sqlite")]
            Place::File(_) => {}
            #[cfg(feature = "mysql")]
            Place::Server { url, name } => on_server(&url, &format!("DROP DATABASE {name}")).await,
        }
    }
}

/// Stream and sequence of a record.
pub(crate) fn position(record: &Record) -> (String, u64) {
    let envelope = EnvelopeView::new(&record.headers);
    (envelope.stream().unwrap().to_string(), envelope.sequence().unwrap())
}

/// Epoch and sequence of a record, which has none where it was sent directly.
pub(crate) fn place(record: &Record) -> (u32, Option<u64>) {
    let envelope = EnvelopeView::new(&record.headers);
    (envelope.stream_epoch(), envelope.sequence())
}

/// Wait for a condition; a test that waits in vain fails after two minutes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), wait)
        .await
        .unwrap_or_else(|_| panic!("waited in vain until {what}"));
}

#[cfg(feature = "mysql")]
pub(crate) async fn on_server(url: &str, sql: &str) {
    let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool).await.unwrap();
    pool.close().await;
}

#[cfg(feature = "mysql")]
pub(crate) fn of_server(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}
