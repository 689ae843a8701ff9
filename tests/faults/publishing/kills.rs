//! Processes that are killed at every step of publishing.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;

use rand::RngExt as _;
use tidings::outbox::{KafkaProducers, Relay, RelayOptions};
use tidings::testing::{FAULT_POINT_VARIABLE, FAULT_POINTS};

use super::press::{LEASE, Load, Pace, Press, post_many};
use crate::dead_letters::take_at_most;
use crate::journal::JournalFile;
use crate::reader::read;
use crate::servers::Servers;
use crate::setting;
use crate::support::chance::{chance, tell};
use crate::support::child::Child;
use crate::support::groups::ends;
use crate::support::scene::{Scene, kafka};

/// The points of the outbox that a service comes to by itself.
pub(super) const OF_A_SERVICE: [&str; 6] =
    ["before commit", "after commit", "after read", "after produce", "after ack", "after delete"];

#[test]
fn every_point_is_tried() {
    let tried = [&OF_A_SERVICE[..], &OF_A_REFUSAL[..], &OF_A_SENDER[..]].concat();
    assert_eq!(tried, FAULT_POINTS);
}

/// Wait until a child has come to its point, and ended there.
pub(super) fn killed(point: &str, child: Child) {
    const SIGABRT: i32 = 6;
    let status = tokio::task::block_in_place(|| child.ended());
    assert_eq!(status.signal(), Some(SIGABRT), "{point}: {status:?}");
}

/// Start services one after the other, each to end at a point; then one that does not.
async fn killed_at(points: impl Iterator<Item = (&'static str, u32)>, then: usize) {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let mut kills = 0;
    for (point, times) in points {
        let service = press.child("service", &[(FAULT_POINT_VARIABLE, &format!("{point}*{times}"))]);
        killed(point, service);
        kills += 1;
    }
    if then > 0 {
        let (relay, load) = (press.relay(), Load::begin(&press.database(), Pace::HARD));
        press.progress(i64::try_from(then).unwrap()).await;
        load.end().await;
        relay.shutdown().await.unwrap();
    }
    press.drain().await;
    let proof = press.proof(&format!("a service killed {kills} times, at every step")).await;
    proof.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_at_every_step_of_publishing_loses_and_reorders_nothing() {
    killed_at(OF_A_SERVICE.into_iter().map(|point| (point, 9)), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_service_killed_at_random_steps_again_and_again_loses_and_reorders_nothing() {
    let mut chance = chance();
    let points = (0..60).map(|round| (OF_A_SERVICE[round % OF_A_SERVICE.len()], chance.random_range(1..120)));
    killed_at(points.collect::<Vec<_>>().into_iter(), 200_000).await;
}

/// The points around a row that Kafka refuses.
const OF_A_REFUSAL: [&str; 2] = ["before park", "after park"];

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_before_and_after_it_parks_a_refused_event_loses_nothing_else() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let database = press.database();
    for _ in 0..5 {
        for player in 0..8 {
            post_many(&database, player, 2).await.unwrap();
        }
    }
    // A row that no producer takes: its topic does not allow so much.
    press
        .execute(
            "UPDATE tidings_outbox SET payload = REPEAT('x', 9000000) WHERE stream = 'Player/3' AND sequence + 0 = 4",
        )
        .await;
    for point in OF_A_REFUSAL {
        let relay = press.child("relay alone", &[(FAULT_POINT_VARIABLE, point)]);
        killed(point, relay);
    }
    press.drain().await;
    let proof = press.proof("a relay killed around parking").await;
    let totals = proof.auditor.totals;
    // What is parked is neither lost nor published; whether its successors wait with it is the relay's rule.
    assert!(totals.parked >= 1 && totals.parked <= 7, "{proof:?}");
    assert_eq!((totals.missing, totals.out_of_order, totals.forked, totals.unknown), (0, 0, 0, 0), "{proof:?}");
    assert_eq!((proof.ledger.lost as u64, proof.ledger.out_of_order), (totals.parked, 0), "{proof:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_that_the_broker_refuses_under_load_is_parked_and_nothing_else_is_touched() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let database = press.database();
    take_at_most(&press.scene.topic(), "50000").await;
    for _ in 0..3 {
        post_many(&database, 3, 2).await.unwrap();
    }
    press
        .execute(
            "UPDATE tidings_outbox SET payload = REPEAT('x', 70000) WHERE stream = 'Player/3' AND sequence + 0 = 4",
        )
        .await;
    let load = Load::begin(&database, Pace { players: 3, ..Pace::GENTLE });
    // Producers that do not know: the broker refuses it, and the batch that it comes in.
    let options = RelayOptions::default().lease_ttl(LEASE);
    let relay = Relay::new(&database, KafkaProducers::new(kafka())).options(options).spawn();
    press.progress(600).await;
    load.end().await;
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    let proof = press.proof("an event that the broker refuses").await;
    let totals = proof.auditor.totals;
    // The event, and the two that come behind it.
    assert_eq!((totals.parked, proof.ledger.lost, proof.ledger.out_of_order), (3, 3, 0), "{proof:?}");
    assert_eq!((totals.missing, totals.out_of_order, totals.forked, totals.unknown), (0, 0, 0, 0), "{proof:?}");
}

/// The points of the direct mode.
const OF_A_SENDER: [&str; 2] = ["before send", "after send"];

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_killed_at_every_step_loses_nothing_that_was_acknowledged() {
    let _alone = Servers::alone().await;
    let (scene, journal) = (Scene::new(2).await, JournalFile::new());
    let (topic, path) = (scene.topic(), journal.path());
    let mut from = 1;
    for point in OF_A_SENDER {
        let armed = format!("{point}*50");
        let settings = [
            ("TOPIC", topic.as_str()),
            ("JOURNAL", path.to_str().unwrap()),
            ("FROM", &format!("{from}")),
            (FAULT_POINT_VARIABLE, &armed),
        ];
        killed(point, Child::start("sender", &settings));
        from += 1_000;
    }
    let count = usize::try_from(ends(&scene).await.iter().sum::<i64>()).unwrap();
    let reading = || read(&setting("TIDINGS_TEST_BROKERS"), &topic, scene.partitions(), count);
    let records = tokio::task::block_in_place(reading);
    let (acknowledged, effects) = journal.ledger();
    let mut known = BTreeMap::<i64, Vec<i64>>::new();
    for record in records {
        let (player, serial) = score(record.payload.as_deref().unwrap());
        known.entry(player).or_default().push(serial);
    }
    for (player, serials) in &known {
        assert!(serials.is_sorted(), "player {player}: {serials:?}");
        let acknowledged = acknowledged.of(&player.to_string());
        assert!(!acknowledged.is_empty(), "player {player}");
        assert!(acknowledged.iter().all(|serial| serials.contains(serial)), "player {player}: {acknowledged:?}");
    }
    tell(&format!("a sender killed at every step: {effects} acknowledged, {count} records"));
}

/// Player and serial of an encoded score: two numbers behind the schema's id.
fn score(payload: &[u8]) -> (i64, i64) {
    let mut numbers = payload[5..].split_inclusive(|byte| byte & 0x80 == 0).map(|bytes| {
        let number = bytes.iter().rev().fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
        i64::try_from(number >> 1).unwrap()
    });
    (numbers.next().unwrap(), numbers.next().unwrap())
}
