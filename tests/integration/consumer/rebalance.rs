//! Members that come and go.

use std::sync::Arc;

use tidings::consumer::Consumer;

use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{Scoreboard, post, posted};
use crate::support::wait::until_true;

const PLAYERS: i64 = 50;

#[tokio::test(flavor = "multi_thread")]
async fn rebalances_in_the_middle_lose_nothing_and_keep_every_keys_order() {
    let scene = Scene::new(8).await;
    let publisher = scene.publisher().await;
    // Both members write into one ledger: a handler that begins before its key's last one is done shows.
    let ledger = Arc::<Ledger>::default();
    let member = async || {
        let consumer = Consumer::builder(scene.consumer())
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
        Running::start(consumer.build().await.unwrap())
    };
    let publishing = tokio::spawn(async move {
        post(&publisher, PLAYERS, 1..=40).await;
        publisher
    });
    let first = member().await;
    until_true("the first member is at work", || first.stats().handled > 0 && first.stats().assigned == 8).await;

    let publisher = publishing.await.unwrap();
    let publishing = tokio::spawn(async move {
        for serial in 41..=80 {
            post(&publisher, PLAYERS, serial..=serial).await;
        }
        publisher
    });
    let second = member().await;
    until_true("they share the partitions", || (first.stats().assigned, second.stats().assigned) == (4, 4)).await;

    let publisher = publishing.await.unwrap();
    let publishing = tokio::spawn(async move {
        for serial in 81..=120 {
            post(&publisher, PLAYERS, serial..=serial).await;
        }
    });
    until_true("the second member is at work", || second.stats().handled > 0).await;
    let by_first = first.stop().await.handled;
    until_true("the second member has everything", || second.stats().assigned == 8).await;
    publishing.await.unwrap();
    let group = scene.group("Scoreboard");
    caught_up(&scene, &group).await;
    let by_second = second.stop().await.handled;

    assert!(by_first > 0 && by_second > 0, "{by_first} and {by_second}");
    let audit = ledger.audit(&posted(PLAYERS, 120));
    let repeated = usize::try_from(by_first + by_second).unwrap() - ledger.distinct();
    assert_eq!(repeated, audit.repeated, "every repeat is counted");
    // Handlers ended and were committed before their partitions went: not even repeats.
    assert_eq!(audit, Audit::default());
}
