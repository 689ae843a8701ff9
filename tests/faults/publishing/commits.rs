//! Commits that nobody answers, and transactions that deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tidings::database::sqlx;
use tidings::database::{Database, DatabaseOptions, Error, Transaction};
use tokio::sync::Barrier;

use super::line::breaking_line;
use super::press::{Load, Pace, Press, post_many};
use crate::servers::Servers;
use crate::support::scores::ScorePosted;
use crate::support::wait::until;

async fn cut_after_commit_was_sent(pace: Pace, every: u32, cuts: i64) {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let url = press.store.url();
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, name) = rest.split_once('/').unwrap();
    let line = breaking_line(address.to_owned(), every).await;
    let through_it = DatabaseOptions::new(format!("{credentials}@{line}/{name}?ssl-mode=disabled"));
    let broken = Database::connect(through_it).await.unwrap().with_publisher(&press.publisher);
    let relay = press.relay();
    let load = Load::begin(&broken, pace);
    // Each cut costs one transaction its answer.
    let wanted = cuts * i64::from(every) * pace.events;
    let look = async || {
        let committed = press.committed().await.values().sum::<i64>();
        if committed >= wanted { Ok(()) } else { Err(committed) }
    };
    for _ in 0..10 {
        let _ = tokio::time::timeout(Duration::from_secs(50), until("writers go on", look)).await;
        if look().await.is_ok() {
            break;
        }
    }
    let written = load.end().await;
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    assert!(written.unknown >= cuts / 2, "{written:?}");
    let proof = press.proof(&format!("connections cut around COMMIT, {written:?}")).await;
    proof.assert_sound();
    // None was run again that had taken effect, and none is there that was not asked for.
    let transactions = proof.committed / pace.events;
    let told = written.committed..=written.committed + written.unknown;
    assert!(told.contains(&transactions), "{transactions} are there: {written:?}");
    assert!(transactions > written.committed, "of some the answer was lost, not the commit: {written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_cut_after_commit_was_sent_lose_repeat_and_reorder_nothing() {
    cut_after_commit_was_sent(Pace::GENTLE, 10, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn connections_cut_after_commit_was_sent_for_long_lose_repeat_and_reorder_nothing() {
    cut_after_commit_was_sent(Pace::HARD, 20, 400).await;
}

/// Count one score of `player` with SQL of the caller's own, and touch `other` once `both` hold the first of their rows: two that do
/// so crosswise deadlock.
async fn cross(database: &Database, player: i64, other: i64, both: &Barrier, runs: &AtomicI64) {
    let failed = |source| Error::Sql { doing: "crossing", source };
    let first = AtomicBool::new(true);
    let crossed = database.transaction(async |tx: Transaction| {
        runs.fetch_add(1, Ordering::Relaxed);
        let mut connection = tx.mysql().await?;
        let score = "UPDATE player SET scores = scores + 1, version = version + 1 WHERE id = ?";
        sqlx::query(score).bind(player).execute(&mut *connection).await.map_err(failed)?;
        if first.swap(false, Ordering::Relaxed) {
            both.wait().await;
        }
        let touch = "UPDATE player SET version = version + 1 WHERE id = ?";
        sqlx::query(touch).bind(other).execute(&mut *connection).await.map_err(failed)?;
        drop(connection);
        tx.publish(&ScorePosted::new(player, 0));
        Ok::<_, Error>(())
    });
    crossed.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deadlocks_lose_repeat_and_reorder_nothing() {
    const PAIRS: i64 = 20;
    const ROUNDS: i64 = 50;
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    // A connection for each, so that they commit together.
    let options = DatabaseOptions::new(press.store.url()).max_connections(64);
    let database = Database::connect(options).await.unwrap().with_publisher(&press.publisher);
    for player in 0..2 * PAIRS {
        post_many(&database, player, 1).await.unwrap();
    }
    let relay = press.relay();
    let runs = Arc::<AtomicI64>::default();
    let pairs = (0..PAIRS).map(|pair| {
        let (database, runs) = (database.clone(), Arc::clone(&runs));
        tokio::spawn(async move {
            let (one, other, both) = (2 * pair, 2 * pair + 1, Barrier::new(2));
            for _ in 0..ROUNDS {
                tokio::join!(cross(&database, one, other, &both, &runs), cross(&database, other, one, &both, &runs));
            }
        })
    });
    for pair in futures_util::future::join_all(pairs).await {
        pair.unwrap();
    }
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let (runs, commits) = (runs.load(Ordering::Relaxed), 2 * PAIRS * ROUNDS);
    let proof = press.proof(&format!("{} deadlocks", runs - commits)).await;
    proof.assert_sound();
    assert!(runs - commits >= PAIRS * ROUNDS, "one of each two was rolled back: {runs} runs");
    assert_eq!((proof.committed, proof.ledger.repeated), (commits + 2 * PAIRS, 0), "each took effect once");
}
