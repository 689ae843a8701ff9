//! Relays that freeze, die, and fight.

use std::time::Duration;

use tidings::publisher::DeliveryMode;

use super::press::{Load, MARIADB, MYSQL, Pace, Press, post_many, with_few_under_way};
use super::tally::Tally;
use crate::reader::read;
use crate::servers::Servers;
use crate::setting;
use crate::support::wait::until;

/// How much is done.
#[derive(Clone, Copy)]
struct Size {
    server: &'static str,
    rounds: usize,
    pace: Pace,
    /// Events of each round.
    events: i64,
    /// Rows that a relay that freezes may have under way: fewer than are published while it ought to have let go.
    under_way: usize,
}

const SHORT: Size = Size { server: MYSQL, rounds: 2, pace: Pace::GENTLE, events: 300, under_way: 64 };
const LONG: Size = Size { server: MYSQL, rounds: 20, pace: Pace::HARD, events: 10_000, under_way: 1_024 };
const ON_MARIADB: Size = Size { server: MARIADB, ..LONG };

/// A relay stands still past its lease while its successor publishes, and then goes on as if nothing had happened.
async fn frozen_past_its_lease_and_thawed(size: Size) {
    let _alone = Servers::alone().await;
    let press = Press::on(size.server, DeliveryMode::Outbox).await;
    let (load, tally) = (Load::begin(&press.database(), size.pace), Tally::begin(&press));
    let relay = || press.child("relay alone", &[("ROWS_UNDER_WAY", &size.under_way.to_string())]);
    let frozen = relay();
    frozen.expect("relaying");
    press.progress(size.events / 2).await;
    for _ in 0..size.rounds {
        let before = tally.repeats(&press).await;
        frozen.freeze();
        let successor = relay();
        successor.expect("relaying");
        let look = async || match press.numbers(LEASES).await.unwrap()[..] {
            [(1, 256)] => Ok(()),
            ref owners => Err(owners.to_vec()),
        };
        until("the successor has every bucket", look).await;
        press.progress(size.events / 2).await;
        frozen.thaw();
        let repeats = tally.settled(&press, size.events / 2).await.expect("it has let go of what it lost");
        // What it had under way, and what it was about to read.
        assert!(repeats - before <= 2 * size.under_way, "{} came again", repeats - before);
        successor.terminate();
        assert!(tokio::task::block_in_place(|| successor.ended()).success());
    }
    load.end().await;
    press.until_empty().await;
    frozen.kill();
    let proof = press.proof("a relay frozen past its lease and thawed").await;
    proof.assert_sound();
    proof.assert_repeats(size.rounds * 2 * size.under_way);
}

/// How many owners there are whose leases hold, and how many buckets they have.
pub(super) const LEASES: &str =
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

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_goes_on_with_what_it_lost_is_noticed() {
    let _alone = Servers::alone().await;
    let press = Press::new().await;
    let tally = Tally::begin(&press);
    let relay = press.relay();
    post_many(&press.database(), 100, 1).await.unwrap();
    press.until_empty().await;
    let of_the_topic = (setting("TIDINGS_TEST_BROKERS"), press.scene.topic(), press.scene.partitions());
    let reading = move || read(&of_the_topic.0, &of_the_topic.1, of_the_topic.2, 1);
    let record = tokio::task::spawn_blocking(reading).await.unwrap().remove(0);
    let load = Load::begin(&press.database(), Pace::GENTLE);
    tally.settled(&press, 150).await.expect("nothing comes again");
    let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let again = async {
        loop {
            ticks.tick().await;
            press.scene.write(record.key.as_deref(), record.payload.as_deref(), &headers).await;
        }
    };
    let settled = tokio::select! {
        settled = tally.settled(&press, 150) => settled,
        () = again => unreachable!(),
    };
    assert!(settled.is_err(), "{settled:?}");
    load.end().await;
    press.until_empty().await;
    relay.shutdown().await.unwrap();
    press.proof("a relay that goes on, planted").await.assert_sound();
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

/// The rows that a relay that fights may have under way.
const UNDER_WAY: usize = 64;

/// Five times a second one bucket's lease is torn from the one relay and given to the other, whatever they think.
async fn two_fight_for_one_bucket(size: Size) {
    let _alone = Servers::alone().await;
    let press = Press::on(size.server, DeliveryMode::Outbox).await;
    // One key, hence one bucket, that both want.
    let load = Load::begin(&press.database(), Pace { players: 1, pause: Duration::from_millis(10), ..size.pace });
    let tally = Tally::begin(&press);
    let relays = [(); 2].map(|()| press.relay_as(with_few_under_way(UNDER_WAY)));
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
    let times = size.rounds * 20;
    for _ in 0..times {
        ticks.tick().await;
        press.execute(&torn).await;
    }
    tally.settled(&press, size.events / 10).await.expect("only one publishes it");
    load.end().await;
    press.until_empty().await;
    let mut restarts = 0;
    for relay in relays {
        restarts += relay.shutdown().await.unwrap().restarts;
    }
    assert!(restarts > 0, "they noticed that they had lost it");
    let proof = press.proof("two relays that fight for one bucket").await;
    proof.assert_sound();
    // Until it looks at its leases again, each of the two believes that it has the bucket: an event may come from both of them, and what one
    // had under way when it noticed may come once more.
    proof.assert_repeats(usize::try_from(proof.committed).unwrap() + times * UNDER_WAY);
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
