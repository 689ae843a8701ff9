//! Relays that freeze, die, and fight.

use std::time::Duration;

use tidings::publisher::DeliveryMode;

use super::press::{Load, MARIADB, MYSQL, Pace, Press};
use crate::servers::Servers;
use crate::support::wait::until;

/// How much is done.
#[derive(Clone, Copy)]
struct Size {
    server: &'static str,
    rounds: usize,
    pace: Pace,
    /// Events of each round.
    events: i64,
}

const SHORT: Size = Size { server: MYSQL, rounds: 2, pace: Pace::GENTLE, events: 300 };
const LONG: Size = Size { server: MYSQL, rounds: 20, pace: Pace::HARD, events: 10_000 };
const ON_MARIADB: Size = Size { server: MARIADB, ..LONG };

/// A relay stands still past its lease while its successor publishes, and then goes on as if nothing had happened.
async fn frozen_past_its_lease_and_thawed(size: Size) {
    let _alone = Servers::alone().await;
    let press = Press::on(size.server, DeliveryMode::Outbox).await;
    let load = Load::begin(&press.database(), size.pace);
    let frozen = press.child("relay alone", &[]);
    frozen.expect("relaying");
    press.progress(size.events / 2).await;
    for _ in 0..size.rounds {
        frozen.freeze();
        let successor = press.child("relay alone", &[]);
        successor.expect("relaying");
        let look = async || match press.numbers(LEASES).await.unwrap()[..] {
            [(1, 256)] => Ok(()),
            ref owners => Err(owners.to_vec()),
        };
        until("the successor has every bucket", look).await;
        press.progress(size.events / 2).await;
        frozen.thaw();
        press.progress(size.events / 2).await;
        successor.terminate();
        assert!(tokio::task::block_in_place(|| successor.ended()).success());
    }
    load.end().await;
    press.until_empty().await;
    frozen.kill();
    press.proof("a relay frozen past its lease and thawed").await.assert_sound();
}

/// How many owners there are whose leases hold, and how many buckets they have.
const LEASES: &str =
    "SELECT COUNT(DISTINCT owner), COUNT(*) FROM tidings_outbox_lease WHERE expires_at > UTC_TIMESTAMP(6)";

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_frozen_past_its_lease_and_thawed_loses_and_reorders_nothing() {
    frozen_past_its_lease_and_thawed(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_relay_frozen_and_thawed_again_and_again_loses_and_reorders_nothing() {
    frozen_past_its_lease_and_thawed(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long, on MariaDB: make soak runs it"]
async fn on_mariadb_a_relay_frozen_and_thawed_again_and_again_loses_and_reorders_nothing() {
    frozen_past_its_lease_and_thawed(ON_MARIADB).await;
}

async fn killed_under_load(size: Size) {
    let _alone = Servers::alone().await;
    let press = Press::on(size.server, DeliveryMode::Outbox).await;
    let load = Load::begin(&press.database(), size.pace);
    for _ in 0..size.rounds {
        let relay = press.child("relay alone", &[]);
        relay.expect("relaying");
        press.progress(size.events).await;
        relay.kill();
    }
    load.end().await;
    press.drain().await;
    press.proof("a relay killed under load").await.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it; a shorter one is among the tests of integration"]
async fn a_relay_killed_under_heavy_load_loses_and_reorders_nothing() {
    killed_under_load(LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long, on MariaDB: make soak runs it"]
async fn on_mariadb_a_relay_killed_under_heavy_load_loses_and_reorders_nothing() {
    killed_under_load(ON_MARIADB).await;
}

/// Five times a second one bucket's lease is torn from the one relay and given to the other, whatever they think.
async fn two_fight_for_one_bucket(size: Size) {
    let _alone = Servers::alone().await;
    let press = Press::on(size.server, DeliveryMode::Outbox).await;
    // One key, hence one bucket, that both want.
    let load = Load::begin(&press.database(), Pace { players: 1, pause: Duration::from_millis(10), ..size.pace });
    let relays = [press.relay(), press.relay()];
    let owners = "SELECT COUNT(*), 0 FROM tidings_outbox_relay";
    let both = async || if press.numbers(owners).await.unwrap()[0].0 == 2 { Ok(()) } else { Err(()) };
    until("both relays are there", both).await;
    let bucket = tidings::outbox::bucket_of("0");
    let torn = format!(
        "UPDATE tidings_outbox_lease SET epoch = epoch + 1, expires_at = UTC_TIMESTAMP(6) + INTERVAL 5 SECOND, \
         owner = (SELECT owner FROM tidings_outbox_relay other WHERE other.owner <> COALESCE(tidings_outbox_lease.owner, '') \
         ORDER BY other.owner LIMIT 1) WHERE bucket = {bucket}"
    );
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for _ in 0..size.rounds * 20 {
        ticks.tick().await;
        press.execute(&torn).await;
    }
    press.progress(size.events / 10).await;
    load.end().await;
    press.until_empty().await;
    let mut restarts = 0;
    for relay in relays {
        restarts += relay.shutdown().await.unwrap().restarts;
    }
    assert!(restarts > 0, "they noticed that they had lost it");
    press.proof("two relays that fight for one bucket").await.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_that_fight_for_one_bucket_lose_and_reorder_nothing() {
    two_fight_for_one_bucket(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn two_relays_that_fight_for_one_bucket_for_long_lose_and_reorder_nothing() {
    two_fight_for_one_bucket(LONG).await;
}
