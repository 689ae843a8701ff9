//! `outbox-transactions`: an entity is read, changed, saved with its version checked, and its event published, in one transaction;
//! beside the same written by hand without the event. With 1, 8 and 64 writers, and with 8 writers on one stream.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_SECONDS` (default 4) and
//! `TIDINGS_BENCH_ROUNDS` (default 3) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::cast_precision_loss, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::outbox::{Ground, event, recorder};
use support::{Cluster, Measurement, median, number};
use tidings::database::sqlx::{self, Row as _};
use tidings::database::{Connection, Database, Entity, Error, Saved, Versioned};

const TOPIC: &str = "bench-outbox-transactions";
const PLAYERS: u64 = 10_000;

const LOAD: &str = "SELECT score, version FROM player WHERE id = ?";
const SAVE: &str = "UPDATE player SET score = ?, version = version + 1 WHERE id = ? AND version = ?";

#[derive(Clone)]
struct Player {
    id: u64,
    score: u64,
}

impl Entity for Player {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.id
    }

    async fn load(connection: Connection<'_>, id: &u64) -> Result<Option<Versioned<Self>>, sqlx::Error> {
        let Connection::MySql(connection) = connection else { unreachable!("there is MySQL only") };
        let row = sqlx::query(LOAD).bind(id).fetch_optional(connection).await?;
        Ok(row.map(|row| Versioned { entity: Self { id: *id, score: row.get(0) }, version: row.get(1) }))
    }

    async fn save(&self, connection: Connection<'_>, expected: Option<u64>) -> Result<Saved, sqlx::Error> {
        let Connection::MySql(connection) = connection else { unreachable!("there is MySQL only") };
        let query = sqlx::query(SAVE).bind(self.score).bind(self.id).bind(expected);
        Ok(Saved::if_one_row(query.execute(connection).await?.rows_affected()))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// An entity and its event.
    Ours,
    /// An entity, by hand.
    Reference,
    /// Events of one stream.
    OurHotStream,
    /// Updates of one row.
    HotRow,
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let (rounds, seconds) = (number("TIDINGS_BENCH_ROUNDS", 3), number("TIDINGS_BENCH_SECONDS", 4));
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, 8).await;
    let ground = Ground::new().await;
    let database = ground.database(64).await.with_publisher(&recorder(&cluster, TOPIC).await);
    ground
        .execute(
            &database,
            "CREATE TABLE player (id BIGINT UNSIGNED PRIMARY KEY, score BIGINT UNSIGNED NOT NULL, version BIGINT UNSIGNED NOT NULL)",
        )
        .await;
    for first in (0..PLAYERS).step_by(1_000) {
        let rows: Vec<_> = (first..first + 1_000).map(|id| format!("({id}, 0, 1)")).collect();
        ground.execute(&database, &format!("INSERT INTO player (id, score, version) VALUES {}", rows.join(","))).await;
    }
    for (name, writers, ours, reference) in [
        ("outbox-transactions, 1 writer", 1, What::Ours, What::Reference),
        ("outbox-transactions, 8 writers", 8, What::Ours, What::Reference),
        ("outbox-transactions, 64 writers", 64, What::Ours, What::Reference),
        ("outbox-transactions, 8 writers on one stream", 8, What::OurHotStream, What::HotRow),
    ] {
        let (mut our_rates, mut reference_rates) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let reference = rate(&database, writers, seconds, reference).await;
            let ours = rate(&database, writers, seconds, ours).await;
            // What no relay publishes must not slow the next round.
            ground.execute(&database, "TRUNCATE TABLE tidings_outbox").await;
            // The first round warms everything up.
            if round > 0 {
                eprintln!(
                    "{name} {round}: ours {ours:.0}/s, reference {reference:.0}/s, ratio {:.3}",
                    ours / reference
                );
                our_rates.push(ours);
                reference_rates.push(reference);
            }
        }
        let (ours, reference) = (median(&our_rates), median(&reference_rates));
        Measurement { name, ours, reference, unit: "transactions/s", target: Some(0.8) }.report();
    }
    database.close().await;
    ground.clear().await;
    cluster.delete_topics(&[TOPIC]).await;
}

async fn rate(database: &Database, writers: u64, seconds: u64, what: What) -> f64 {
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (database, over, done) = (database.clone(), Arc::clone(&over), Arc::clone(&done));
            tokio::spawn(async move {
                // Each writer has players of its own, as a service's requests mostly do.
                let mut turn = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    let id = (turn * writers + writer) % PLAYERS;
                    turn += 1;
                    transact(&database, id, what).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.expect("a writer that gets on");
    }
    rate
}

async fn transact(database: &Database, id: u64, what: What) {
    match what {
        What::Ours => {
            let changed = database.atomically(&id, async |tx, player: Option<Player>| {
                let player = player.expect("a player");
                let player = Player { score: player.score + 1, ..player };
                tx.save(&player);
                tx.publish(&event(player.id, player.score));
                Ok::<_, Error>(())
            });
            changed.await.expect("a transaction");
        }
        What::OurHotStream => {
            let published = database.transaction(async |tx| {
                tx.publish(&event(0, id));
                Ok::<_, Error>(())
            });
            published.await.expect("a transaction");
        }
        What::Reference => by_hand(database, id).await.expect("a transaction"),
        What::HotRow => {
            let pool = database.mysql_pool().expect("MySQL");
            let mut transaction = pool.begin().await.expect("a transaction");
            let update = sqlx::query("UPDATE player SET score = score + 1 WHERE id = ?").bind(0_u64);
            update.execute(&mut *transaction).await.expect("an update");
            transaction.commit().await.expect("a commit");
        }
    }
}

async fn by_hand(database: &Database, id: u64) -> Result<(), sqlx::Error> {
    let pool = database.mysql_pool().expect("MySQL");
    let row = sqlx::query(LOAD).bind(id).fetch_one(pool).await?;
    let (score, version): (u64, u64) = (row.get(0), row.get(1));
    let mut transaction = pool.begin().await?;
    let saved = sqlx::query(SAVE).bind(score + 1).bind(id).bind(version).execute(&mut *transaction).await?;
    assert_eq!(saved.rows_affected(), 1, "nobody else writes this one");
    transaction.commit().await
}
