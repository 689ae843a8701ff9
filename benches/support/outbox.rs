//! A database of its own for each run of the outbox's benchmarks.

use tidings::database::sqlx::{self, AssertSqlSafe, Row as _};
use tidings::database::{Database, DatabaseOptions};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tidings::transport::kafka::KafkaOptions;

use super::Cluster;
use super::score::ScoreChanged;

/// A database on the server that the environment names.
pub struct Ground {
    server: String,
    name: String,
}

impl Ground {
    pub async fn new() -> Self {
        let server = std::env::var("TIDINGS_TEST_DATABASE");
        let server = server.expect("TIDINGS_TEST_DATABASE names no database; run `make bench`, which starts one");
        let ground = Self { server, name: format!("tidings_bench_{}", uuid::Uuid::new_v4().simple()) };
        ground.on_server(&format!("CREATE DATABASE {}", ground.name)).await;
        let database = ground.database(1).await;
        database.migrate().await.expect("tables");
        let sql = "SELECT @@GLOBAL.innodb_flush_log_at_trx_commit, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog";
        let row = sqlx::raw_sql(sql).fetch_one(database.mysql_pool().expect("MySQL")).await.expect("settings");
        let settings: Vec<i64> = (0..3).map(|index| row.try_get_unchecked(index).expect("a number")).collect();
        eprintln!(
            "innodb_flush_log_at_trx_commit {}, log_bin {}, sync_binlog {}",
            settings[0], settings[1], settings[2]
        );
        ground
    }

    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("a URL with a database");
        format!("{server}/{}", self.name)
    }

    /// The database through at most so many connections.
    pub async fn database(&self, connections: u32) -> Database {
        let options = DatabaseOptions::new(self.url()).max_connections(connections).check_migrated(false);
        Database::connect(options).await.expect("a database")
    }

    pub async fn execute(&self, database: &Database, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(database.mysql_pool().expect("MySQL")).await.expect("a statement that works");
    }

    /// Leave nothing behind.
    pub async fn clear(self) {
        self.on_server(&format!("DROP DATABASE {}", self.name)).await;
    }

    async fn on_server(&self, sql: &str) {
        let pool = sqlx::mysql::MySqlPoolOptions::new().max_connections(1).connect(&self.server).await;
        let pool = pool.expect("a database server");
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&pool).await.expect("a statement that works");
        pool.close().await;
    }
}

/// What records events in the outbox for `topic`.
pub async fn recorder(cluster: &Cluster, topic: &str) -> Publisher {
    let options = PublisherOptions::new(topic).kafka(KafkaOptions::new(cluster.brokers())).mode(DeliveryMode::Outbox);
    Publisher::builder(options).build().await.expect("a publisher")
}

/// An event of about 300 bytes.
pub fn event(player: u64, score: u64) -> ScoreChanged {
    let of_player = ScoreChanged::of(player);
    ScoreChanged { score: score.cast_signed(), note: of_player.note[..280].to_owned(), ..of_player }
}
