//! Brokers that die and freeze under load.

use std::time::Duration;

use crate::servers::Servers;
use crate::storm::{Size, Storm};

async fn broker_killed_and_started(size: Size) {
    let mut servers = Servers::alone().await;
    let storm = Storm::begin(size).await;
    let members = vec![storm.member(), storm.member()];
    storm.progress(200).await;
    let rounds = size.faults.div_ceil(3).min(4);
    for _ in 0..rounds {
        servers.kill_kafka();
        servers.heal();
        storm.progress(500).await;
    }
    let tally = storm.calm("the broker killed and started", rounds, members).await;
    tally.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_started_loses_and_reorders_nothing() {
    broker_killed_and_started(Size::SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_broker_that_is_killed_again_and_again_loses_and_reorders_nothing() {
    broker_killed_and_started(Size::LONG).await;
}

async fn coordinator_frozen(size: Size, ice: Duration) {
    let mut servers = Servers::alone().await;
    let storm = Storm::begin(size).await;
    let members = vec![storm.member(), storm.member()];
    storm.progress(200).await;
    servers.freeze_kafka();
    // This is the fault itself, not something to wait for.
    tokio::time::sleep(ice).await;
    servers.thaw_kafka();
    storm.progress(500).await;
    let tally = storm.calm("the coordinator frozen", 1, members).await;
    tally.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_freezes_past_the_session_loses_and_reorders_nothing() {
    coordinator_frozen(Size::SHORT, Duration::from_secs(8)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_coordinator_that_freezes_for_thirty_seconds_loses_and_reorders_nothing() {
    coordinator_frozen(Size::LONG, Duration::from_secs(30)).await;
}
