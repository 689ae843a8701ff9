//! Members that come and go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings::consumer::Consumer;
use tidings::publisher::Publisher;
use tidings::transport::kafka::KafkaOptions;

use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{Scoreboard, post, posted};
use crate::support::wait::until_true;

const PLAYERS: i64 = 50;
const PARTITIONS: u32 = 8;
/// A score of each player, this often.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn rebalances_in_the_middle_lose_nothing_and_keep_every_keys_order() {
    relieve(1, kafka()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn ten_rebalances_in_a_row_under_load_lose_nothing_and_keep_every_keys_order() {
    tell(&relieve(5, kafka()).await);
}

/// Under load, let a member join and the one before it leave: two rebalances, as often as told. What happened.
pub(super) async fn relieve(times: usize, kafka: KafkaOptions) -> String {
    let scene = Scene::new(PARTITIONS.cast_signed()).await;
    // All members write into one ledger: a handler that begins before its key's last one is done shows.
    let ledger = Arc::<Ledger>::default();
    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(publish(scene.publisher().await, Arc::clone(&over)));

    let mut member = join(&scene, &ledger, &kafka).await;
    until_true("the first member is at work", || at_work(&member) && has(&member, PARTITIONS)).await;
    let mut handled = Vec::new();
    for _ in 0..times {
        let next = join(&scene, &ledger, &kafka).await;
        until_true("they share the partitions", || has(&member, PARTITIONS / 2) && has(&next, PARTITIONS / 2)).await;
        until_true("the next member is at work", || at_work(&next)).await;
        handled.push(member.stop().await.handled);
        until_true("the next member has everything", || has(&next, PARTITIONS)).await;
        member = next;
    }
    over.store(true, Ordering::Release);
    let serials = load.await.unwrap();
    caught_up(&scene, &scene.group("Scoreboard")).await;
    handled.push(member.stop().await.handled);

    let audit = ledger.audit(&posted(PLAYERS, serials));
    let repeated = usize::try_from(handled.iter().sum::<u64>()).unwrap() - ledger.distinct();
    assert_eq!(repeated, audit.repeated, "every repeat is counted");
    // Handlers ended and were committed before their partitions went: not even repeats.
    assert_eq!(audit, Audit::default());
    format!("{} rebalances: {} events, handled by each member: {handled:?}", 2 * times, PLAYERS * serials)
}

/// Publish scores until it is over; how many of each player.
async fn publish(publisher: Publisher, over: Arc<AtomicBool>) -> i64 {
    let mut pace = tokio::time::interval(PACE);
    let mut serials = 0;
    while !over.load(Ordering::Acquire) {
        pace.tick().await;
        serials += 1;
        post(&publisher, PLAYERS, serials..=serials).await;
    }
    serials
}

pub(super) async fn join(scene: &Scene, ledger: &Arc<Ledger>, kafka: &KafkaOptions) -> Running {
    let consumer = Consumer::builder(scene.consumer().kafka(kafka.clone()))
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(ledger) }, |settings| settings.source(scene.topic()));
    Running::start(consumer.build().await.unwrap())
}

fn at_work(member: &Running) -> bool {
    member.stats().handled > 0
}

pub(super) fn has(member: &Running, partitions: u32) -> bool {
    member.stats().assigned == u64::from(partitions)
}
