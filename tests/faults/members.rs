//! Members of a group that die, freeze, come and go.

use std::process::Command;

use rand::RngExt as _;

use crate::servers::Servers;
use crate::storm::{Size, Storm};
use crate::support::chance::chance;
use crate::support::child::Child;

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

async fn killed_and_started_at_random(size: Size) {
    let _alone = Servers::alone().await;
    let mut chance = chance();
    let storm = Storm::begin(size).await;
    let mut members: Vec<_> = (0..3).map(|_| storm.member()).collect();
    storm.progress(200).await;
    for _ in 0..size.faults {
        members.swap_remove(chance.random_range(0..members.len())).kill();
        members.push(storm.member());
        storm.progress(chance.random_range(50..2_000)).await;
    }
    let tally = storm.calm("a member killed and another started", size.faults, members).await;
    tally.assert_sound();
    // Each kill repeats at most what ran and one commit interval.
    assert!(tally.audit.repeated < size.faults * 4_000, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_killed_and_started_at_random_lose_and_reorder_nothing() {
    killed_and_started_at_random(Size::SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn members_killed_and_started_at_random_for_long_lose_and_reorder_nothing() {
    killed_and_started_at_random(Size::LONG).await;
}

async fn rebalanced_in_a_row(size: Size) {
    let _alone = Servers::alone().await;
    let storm = Storm::begin(size).await;
    let mut members = vec![storm.member(), storm.member()];
    storm.progress(200).await;
    for round in 0..10 {
        if round % 2 == 0 {
            let joining = storm.member();
            Storm::partitions_of(&joining, 1);
            members.push(joining);
        } else {
            let leaving = members.remove(0);
            leaving.terminate();
            assert!(leaving.ended().success());
        }
        storm.progress(100).await;
    }
    let tally = storm.calm("rebalanced", 10, members).await;
    tally.assert_sound();
    // Members that leave in order have drained and committed: not even repeats.
    assert_eq!(tally.audit.repeated, 0, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it; a shorter one is among the tests of consumers"]
async fn ten_rebalances_in_a_row_lose_reorder_and_repeat_nothing() {
    rebalanced_in_a_row(Size::LONG).await;
}

async fn frozen_past_its_session_and_thawed(size: Size) {
    let _alone = Servers::alone().await;
    let storm = Storm::begin(size).await;
    let (frozen, other) = (storm.member(), storm.member());
    // They share the partitions, however long the group takes.
    Storm::partitions_of(&other, 4);
    storm.progress(200).await;
    let rounds = size.faults.div_ceil(3);
    for _ in 0..rounds {
        signal(&frozen, "-STOP");
        // The other has everything only once the frozen one's session, of 6 s, is over.
        Storm::partitions_of(&other, 8);
        storm.progress(500).await;
        signal(&frozen, "-CONT");
        storm.progress(500).await;
        Storm::partitions_of(&other, 4);
    }
    let tally = storm.calm("a member frozen past its session and thawed", rounds, vec![frozen, other]).await;
    tally.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_frozen_past_its_session_and_thawed_loses_and_reorders_nothing() {
    frozen_past_its_session_and_thawed(Size::SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_member_frozen_and_thawed_again_and_again_loses_and_reorders_nothing() {
    frozen_past_its_session_and_thawed(Size::LONG).await;
}
