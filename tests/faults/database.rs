//! A database that dies while handlers have transactions open on it.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::Consumer;
use tidings::database::sqlx::{self, AssertSqlSafe, MySqlPool, Row as _};
use tidings::database::{Database, DatabaseOptions};
use tidings::dispatch::RetryPolicy;
use tidings::prelude::*;

use crate::plant::Plant;
use crate::servers::Servers;
use crate::setting;
use crate::storm::Size;
use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, post, posted};
use crate::support::wait::{until, until_true};

/// In the order of their commits: a player's effects never overlap.
const TABLE: &str =
    "CREATE TABLE effect (id BIGINT AUTO_INCREMENT PRIMARY KEY, player BIGINT NOT NULL, serial BIGINT NOT NULL)";

/// Writes each score down, in the transaction of the framework.
struct Teller {
    plant: Plant,
}

#[dispatcher(source = "scores")]
impl Teller {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted, tx: Transaction) -> Result<()> {
        for serial in self.plant.effects(&event) {
            let add = sqlx::query("INSERT INTO effect (player, serial) VALUES (?, ?)").bind(event.player).bind(serial);
            add.execute(&mut *tx.mysql().await?).await?;
        }
        Ok(())
    }
}

/// A database of its own on the server, and its address.
async fn own_database(scene: &Scene) -> String {
    let server = setting("TIDINGS_TEST_DATABASE");
    let name = scene.name("tidings_fault").replace('-', "_");
    let pool = MySqlPool::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.unwrap();
    pool.close().await;
    format!("{}/{name}", server.rsplit_once('/').unwrap().0)
}

async fn drop_database(url: &str) {
    let pool = MySqlPool::connect(url).await.unwrap();
    let name = url.rsplit_once('/').unwrap().1;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name}"))).execute(&pool).await.unwrap();
    pool.close().await;
}

/// What became of the events.
pub(crate) async fn killed_under_handlers(size: Size, plant: Plant) -> Audit {
    let mut servers = Servers::alone().await;
    let scene = Scene::new(8).await;
    let url = own_database(&scene).await;
    let options = DatabaseOptions::new(&url).migrate(true).max_connections(32).connect_timeout(Duration::from_mins(1));
    let database = Database::connect(options).await.unwrap();
    sqlx::query(TABLE).execute(database.mysql_pool().unwrap()).await.unwrap();
    post(&scene.publisher().await, size.players, 1..=size.serials).await;

    // A policy that would give up at once what counts as an attempt.
    let retry = RetryPolicy::default().max_attempts(1).max(Duration::from_millis(200));
    let consumer = Consumer::builder(scene.consumer().retry(retry))
        .codec(codec())
        .database(database.clone())
        .dispatch_with(Teller { plant }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    for _ in 0..size.faults.div_ceil(3).min(5) {
        let handled = running.stats().handled + 200;
        until("handlers are at work", async || {
            let now = running.stats().handled;
            if now > handled { Ok(()) } else { Err(now) }
        })
        .await;
        let retried = running.stats().retried;
        servers.kill_mysql();
        until_true("handlers notice", || running.stats().retried > retried).await;
        servers.heal();
    }
    caught_up(&scene, &scene.group("Teller")).await;
    let stats = running.stop().await;

    let ledger = Arc::<Ledger>::default();
    let effects = sqlx::query("SELECT player, serial FROM effect ORDER BY id");
    for row in effects.fetch_all(database.mysql_pool().unwrap()).await.unwrap() {
        ledger.note(row.get::<i64, _>(0).to_string(), row.get(1));
    }
    let audit = ledger.audit(&posted(size.players, size.serials));
    tell(&format!("the database killed and started: {} events, {audit:?}, {stats:?}", size.players * size.serials));
    assert_eq!(stats.dead_lettered, 0);
    database.close().await;
    drop_database(&url).await;
    audit
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it; shorter ones, with the line to the database cut, are among the tests of consumers"]
async fn a_database_that_is_killed_again_and_again_has_each_of_200_000_effects_once() {
    // Not even an effect that happened twice.
    assert_eq!(killed_under_handlers(Size::LONG, Plant::Nothing).await, Audit::default());
}
