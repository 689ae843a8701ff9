//! Commits that nobody answers, and transactions that deadlock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tidings::database::sqlx;
use tidings::database::{Database, DatabaseOptions, Error, Transaction};

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

/// Count one score of `player` with SQL of the caller's own, and touch `other`: two that do so crosswise deadlock.
async fn cross(database: &Database, player: i64, other: i64, runs: &AtomicI64) -> Result<(), Error> {
    let failed = |source| Error::Sql { doing: "crossing", source };
    database
        .transaction(async |tx: Transaction| {
            runs.fetch_add(1, Ordering::Relaxed);
            let mut connection = tx.mysql().await?;
            let score = "UPDATE player SET scores = scores + 1, version = version + 1 WHERE id = ?";
            sqlx::query(score).bind(player).execute(&mut *connection).await.map_err(failed)?;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let touch = "UPDATE player SET version = version + 1 WHERE id = ?";
            sqlx::query(touch).bind(other).execute(&mut *connection).await.map_err(failed)?;
            drop(connection);
            tx.publish(&ScorePosted::new(player, 0));
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_deadlocks_lose_repeat_and_reorder_nothing() {
    const DEADLOCKS: i64 = 1_000;
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let database = press.database();
    for player in 0..12 {
        post_many(&database, player, 1).await.unwrap();
    }
    let relay = press.relay();
    let (runs, done) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
    let crossing = (0..12_i64).map(|player| {
        let (database, runs, done) = (database.clone(), Arc::clone(&runs), Arc::clone(&done));
        tokio::spawn(async move {
            while runs.load(Ordering::Relaxed) - done.load(Ordering::Relaxed) < DEADLOCKS + 12 {
                // 0 with 1, 1 with 0, 2 with 3…
                match cross(&database, player, player ^ 1, &runs).await {
                    Ok(()) => done.fetch_add(1, Ordering::Relaxed),
                    Err(Error::Conflict { .. }) => 0,
                    Err(error) => panic!("{error:?}"),
                };
            }
        })
    });
    for crossed in futures_util::future::join_all(crossing).await {
        crossed.unwrap();
    }
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let (runs, done) = (runs.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
    let proof = press.proof(&format!("{} deadlocks", runs - done)).await;
    proof.assert_sound();
    assert!(runs - done >= DEADLOCKS, "{runs} runs, {done} commits");
    assert_eq!((proof.committed, proof.ledger.repeated), (done + 12, 0), "each took effect once");
}
