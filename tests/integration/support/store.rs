//! A database that one test has for itself, and the entity it keeps there.

use std::thread;
use std::time::Duration;

use tidings::database::sqlx::{self, AssertSqlSafe, Row as _};
use tidings::database::{Connection, Database, DatabaseOptions, Entity, Error, Saved, Versioned};
use tidings::publisher::Publisher;
use uuid::Uuid;

use crate::scenarios::stage::{of_server, on_server};
use crate::setting;
use crate::support::scores::ScorePosted;
use crate::support::wait;

const TABLE: &str = "CREATE TABLE player (id BIGINT PRIMARY KEY, scores BIGINT NOT NULL, version BIGINT NOT NULL)";

/// A new database with the tables of tidings and of [`Player`]. Dropping it drops the database.
pub(crate) struct Store {
    server: String,
    name: String,
    pub(crate) database: Database,
}

impl Store {
    /// On MySQL.
    pub(crate) async fn new() -> Self {
        Self::on(&setting("TIDINGS_TEST_DATABASE")).await
    }

    /// On the server of this address.
    pub(crate) async fn on(server: &str) -> Self {
        let server = server.to_owned();
        let name = format!("tidings_test_{}", Uuid::new_v4().simple());
        on_server(&server, &format!("CREATE DATABASE {name}")).await;
        let options =
            DatabaseOptions::new(of_server(&server, &name)).migrate(true).connect_timeout(Duration::from_mins(1));
        let database = Database::connect(options).await.unwrap();
        sqlx::query(TABLE).execute(database.mysql_pool().unwrap()).await.unwrap();
        Self { server, name, database }
    }

    /// Where it is, for another process.
    pub(crate) fn url(&self) -> String {
        of_server(&self.server, &self.name)
    }

    /// How many rows the table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let row = sqlx::query(count).fetch_one(self.database.mysql_pool().unwrap()).await.unwrap();
        row.get(0)
    }

    /// Wait until everything committed is published.
    pub(crate) async fn until_published(&self) {
        let look = async || match self.rows("tidings_outbox").await {
            0 => Ok(()),
            rows => Err(rows),
        };
        wait::until("the outbox is empty", look).await;
        assert_eq!(self.rows("tidings_outbox_parked").await, 0, "nothing was refused");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let (server, drop) = (self.server.clone(), format!("DROP DATABASE {}", self.name));
        // A leftover harms nobody: the test has succeeded or failed already.
        let _ = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(on_server(&server, &drop));
        })
        .join();
    }
}

/// A player, and how many scores were posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Player {
    pub(crate) id: i64,
    pub(crate) scores: i64,
}

impl Entity for Player {
    type Key = i64;

    fn key(&self) -> &i64 {
        &self.id
    }

    async fn load(connection: Connection<'_>, id: &i64) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        let query = sqlx::query("SELECT scores, version FROM player WHERE id = ?").bind(id);
        let row = query.fetch_optional(connection.mysql()?).await?;
        let player = |row: sqlx::mysql::MySqlRow| {
            let version: i64 = row.try_get("version")?;
            Ok(Versioned { entity: Self { id: *id, scores: row.try_get("scores")? }, version: version.unsigned_abs() })
        };
        row.map(player).transpose()
    }

    async fn save(&self, connection: Connection<'_>, expected: Option<u64>) -> Result<Saved, sqlx::Error> {
        let query = match expected {
            None => {
                sqlx::query("INSERT INTO player (scores, id, version) VALUES (?, ?, 1)").bind(self.scores).bind(self.id)
            }
            Some(version) => {
                sqlx::query("UPDATE player SET scores = ?, version = version + 1 WHERE id = ? AND version = ?")
                    .bind(self.scores)
                    .bind(self.id)
                    .bind(version)
            }
        };
        Ok(Saved::if_one_row(query.execute(connection.mysql()?).await?.rows_affected()))
    }
}

/// Post `player`'s next score in a transaction of `database`; its serial.
pub(crate) async fn post_next(database: &Database, player: i64) -> Result<i64, Error> {
    let post = async |tx: tidings::database::Transaction, found: Option<Player>| {
        let serial = found.map_or(0, |found| found.scores) + 1;
        tx.save(&Player { id: player, scores: serial });
        tx.publish(&ScorePosted::new(player, serial));
        Ok(serial)
    };
    database.atomically(&player, post).await
}

/// The database, publishing through `publisher`.
pub(crate) fn publishing(store: &Store, publisher: &Publisher) -> Database {
    store.database.clone().with_publisher(publisher)
}
