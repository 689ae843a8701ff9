//! Kafka, MySQL and MariaDB that die, freeze and come back while services publish.

use std::time::Duration;

use tidings::publisher::DeliveryMode;

use super::press::{Load, MARIADB, MYSQL, Pace, Press};
use crate::servers::Servers;

async fn kafka_gone(absence: Duration, pace: Pace, events: i64) {
    let mut servers = Servers::alone().await;
    let press = Press::new().await;
    let (relay, load) = (press.relay(), Load::begin(&press.database(), pace));
    press.progress(events / 2).await;
    servers.kill("kafka");
    let before = press.committed().await.values().sum::<i64>();
    // This is the fault itself, not something to wait for.
    tokio::time::sleep(absence).await;
    let meanwhile = press.committed().await.values().sum::<i64>() - before;
    servers.heal();
    press.progress(meanwhile.max(events / 2)).await;
    let written = load.end().await;
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    assert!(meanwhile > 0, "services commit while Kafka is away");
    assert_eq!((written.failed, written.unknown), (0, 0), "{written:?}");
    press.proof(&format!("Kafka gone for {absence:?}, {meanwhile} committed meanwhile")).await.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_gone_for_a_while_under_load_loses_and_reorders_nothing() {
    kafka_gone(Duration::from_secs(4), Pace::GENTLE, 400).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn kafka_gone_for_a_minute_under_load_loses_and_reorders_nothing() {
    kafka_gone(Duration::from_mins(1), Pace::HARD, 200_000).await;
}

/// The database whose address is the setting `address` and whose server is called `server` is killed, and started again.
async fn database_killed(address: &str, server: &'static str, rounds: usize, pace: Pace, events: i64) {
    let mut servers = Servers::alone().await;
    let press = Press::on(address, DeliveryMode::Outbox).await;
    let (relay, load) = (press.relay(), Load::begin(&press.database(), pace));
    for _ in 0..rounds {
        press.progress(events).await;
        servers.kill(server);
        servers.start(server);
    }
    press.progress(events).await;
    let written = load.end().await;
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let proof = press.proof(&format!("{server} killed and restarted")).await;
    proof.assert_sound();
    // What was said to be committed is there, and what nobody could tell of is there once or not at all.
    let transactions = proof.committed / pace.events;
    let told = written.committed..=written.committed + written.unknown;
    assert!(told.contains(&transactions), "{transactions} are there: {written:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_killed_and_restarted_under_load_loses_and_reorders_nothing() {
    database_killed(MYSQL, "mysql", 1, Pace::GENTLE, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn mysql_killed_and_restarted_again_and_again_loses_and_reorders_nothing() {
    database_killed(MYSQL, "mysql", 5, Pace::HARD, 35_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long, on MariaDB: make soak runs it"]
async fn mariadb_killed_and_restarted_again_and_again_loses_and_reorders_nothing() {
    database_killed(MARIADB, "mariadb", 5, Pace::HARD, 35_000).await;
}
