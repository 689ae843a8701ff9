//! Who gets which events, how often, and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tidings::consumer::Consumer;
use tidings::prelude::*;
use tidings::publisher::Acks;

use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScoreErased, ScorePosted, Scoreboard, post, posted};
use crate::support::wait::until_true;

/// A second dispatcher of the same events, and of where they were read.
struct Statistics {
    ledger: Arc<Ledger>,
    partitions: Arc<Mutex<BTreeSet<i32>>>,
}

#[dispatcher(source = "scores")]
impl Statistics {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted, message: Message) {
        self.partitions.lock().insert(message.partition());
        self.ledger.note(event.player.to_string(), event.serial);
    }
}

/// Counts what was taken back.
struct Eraser(Arc<AtomicUsize>);

#[dispatcher(source = "scores")]
impl Eraser {
    #[on("scores.ScoreErased")]
    async fn on_erased(&self, _event: ScoreErased) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_are_two_groups_and_each_gets_every_event_once_in_the_order_of_its_key() {
    let scene = Scene::new(8).await;
    let (players, serials) = (40, 10);
    post(&scene.publisher().await, players, 1..=serials).await;

    let (board, statistics, partitions) = (Arc::<Ledger>::default(), Arc::<Ledger>::default(), Arc::default());
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&board) }, |settings| settings.source(scene.topic()))
        .dispatch_with(
            Statistics { ledger: Arc::clone(&statistics), partitions: Arc::clone(&partitions) },
            |settings| settings.source(scene.topic()),
        );
    let running = Running::start(consumer.build().await.unwrap());
    until_true("every event is handled by both", || running.stats().handled == 800).await;
    for dispatcher in ["Scoreboard", "Statistics"] {
        let group = scene.group(dispatcher);
        caught_up(&scene, &group).await;
        assert_eq!(running.stats_of(&group).handled, 400, "{group}");
    }
    assert_eq!(running.stop().await.handled, 800);
    assert_eq!(board.audit(&posted(players, serials)), Audit::default());
    assert_eq!(statistics.audit(&posted(players, serials)), Audit::default());
    assert_eq!(*partitions.lock(), (0..8).collect(), "every partition is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_that_name_one_group_share_its_work() {
    let scene = Scene::new(2).await;
    let publisher = scene.publisher().await;
    let group = scene.name("everyone");
    let (ledger, erased) = (Arc::<Ledger>::default(), Arc::<AtomicUsize>::default());
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| {
            settings.source(scene.topic()).group(&group)
        })
        .dispatch_with(Eraser(Arc::clone(&erased)), |settings| settings.source(scene.topic()).group(&group));
    let running = Running::start(consumer.build().await.unwrap());
    post(&publisher, 5, 1..=4).await;
    for player in 0..5 {
        publisher.send(&ScoreErased { player, reason: None }, Acks::All).await.unwrap();
    }
    caught_up(&scene, &group).await;
    assert_eq!((running.stats_of(&group).handled, running.stats().handled), (25, 25));
    let stats = running.stop().await;
    // With a group each, either dispatcher would have skipped what the other handles.
    assert_eq!((stats.skipped, erased.load(Ordering::Relaxed)), (0, 5));
    assert_eq!(ledger.audit(&posted(5, 4)), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_sees_the_envelope_and_what_it_refuses_is_skipped_and_committed() {
    let scene = Scene::new(3).await;
    post(&scene.publisher().await, 6, 1..=5).await;
    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer()).codec(codec()).dispatch_with(
        Scoreboard { ledger: Arc::clone(&ledger) },
        |settings| {
            let even = |key: &str| key.parse::<i64>().is_ok_and(|player| player % 2 == 0);
            settings.source(scene.topic()).filter(move |envelope| envelope.key().is_some_and(even))
        },
    );
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Scoreboard");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.skipped, stats.dead_lettered), (15, 15, 0));
    let wanted = [0, 2, 4].map(|player| (player.to_string(), 5)).into();
    assert_eq!(ledger.audit(&wanted), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_and_versions_that_nobody_handles_are_skipped_and_counted() {
    let scene = Scene::new(2).await;
    let publisher = scene.publisher().await;
    post(&publisher, 2, 1..=3).await;
    for player in 0..4 {
        publisher.send(&ScoreErased { player, reason: Some("cheating".into()) }, Acks::All).await.unwrap();
    }
    // Another major version than the handler asks for.
    let headers: [(_, Option<&[u8]>); 2] =
        [("ce_type", Some(b"scores.ScorePosted")), ("ce_schemaversion", Some(b"2.0.0"))];
    scene.write(Some(b"1"), Some(b"whatever version 2 looks like"), &headers).await;
    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Scoreboard");
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.skipped, stats.dead_lettered), (6, 5, 0));
    assert_eq!(ledger.audit(&posted(2, 3)), Audit::default());
}
