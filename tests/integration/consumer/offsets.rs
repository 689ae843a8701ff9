//! Which offsets are committed, as the brokers tell others.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{Consumer, ConsumerBuilder};
use tidings::prelude::*;
use tidings::publisher::Acks;
use tokio::sync::Semaphore;

use crate::support::groups::{behind, caught_up, committed, metadata};
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, delete_records};
use crate::support::scores::{ScorePosted, Scoreboard, post, posted};
use crate::support::wait::{until, until_true};

/// Handles player 3's scores only as the gate lets it.
struct Gated {
    ledger: Arc<Ledger>,
    gate: Arc<Semaphore>,
}

#[dispatcher(source = "scores")]
impl Gated {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if event.player == 3 {
            self.gate.acquire().await?.forget();
        }
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_offset_is_that_of_the_oldest_event_that_is_not_complete() {
    let scene = Scene::new(1).await;
    // Offsets 0 to 19: player 3's are 3, 8, 13 and 18.
    post(&scene.publisher().await, 5, 1..=4).await;
    let (ledger, gate) = (Arc::<Ledger>::default(), Arc::new(Semaphore::new(0)));
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Gated { ledger: Arc::clone(&ledger), gate: Arc::clone(&gate) }, |settings| {
            settings.source(scene.topic())
        });
    let running = Running::start(consumer.build().await.unwrap());
    let group = scene.group("Gated");
    until_true("the others are handled", || ledger.distinct() == 16).await;
    for offset in [3, 8, 13, 18] {
        until("it is committed up to the one that waits", async || {
            let committed = committed(&scene, &group).await;
            assert!(committed[0].unwrap_or(0) <= offset, "{committed:?} passes {offset}, which is not complete");
            if committed == [Some(offset)] { Ok(()) } else { Err(committed) }
        })
        .await;
        gate.add_permits(1);
    }
    caught_up(&scene, &group).await;
    running.stop().await;
    assert_eq!(ledger.audit(&posted(5, 4)), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_behind_what_was_committed() {
    let scene = Scene::new(4).await;
    let publisher = scene.publisher().await;
    let consumer = |ledger: &Arc<Ledger>| -> ConsumerBuilder {
        // No commit by time or count: only the orderly stop commits.
        let options = scene.consumer().commit_interval(Duration::from_secs(3_600));
        Consumer::builder(options)
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::clone(ledger) }, |settings| settings.source(scene.topic()))
    };
    post(&publisher, 10, 1..=5).await;
    let first = Arc::<Ledger>::default();
    let running = Running::start(consumer(&first).build().await.unwrap());
    until_true("the first half is handled", || first.distinct() == 50).await;
    running.stop().await;
    assert_eq!(first.audit(&posted(10, 5)), Audit::default());
    assert_eq!(behind(&scene, &scene.group("Scoreboard")).await, [], "the orderly stop has committed");

    // Other players, so that a ledger of its own tells whether anything is handled again.
    for player in 10..20 {
        publisher.send(&ScorePosted::new(player, 1), Acks::All).await.unwrap();
    }
    let second = Arc::<Ledger>::default();
    let running = Running::start(consumer(&second).build().await.unwrap());
    until_true("the second half is handled", || second.distinct() >= 10).await;
    let stats = running.stop().await;
    let fresh: Published = (10..20).map(|player: i64| (player.to_string(), 1)).collect();
    assert_eq!((second.audit(&fresh), stats.handled), (Audit::default(), 10));
}

/// Never handles scores of the players it holds.
struct Holding {
    ledger: Arc<Ledger>,
    held: fn(i64) -> bool,
}

#[dispatcher(source = "scores")]
impl Holding {
    #[on("scores.ScorePosted", timeout = "1h")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if (self.held)(event.player) {
            std::future::pending::<()>().await;
        }
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

async fn holding(scene: &Scene, ledger: &Arc<Ledger>, held: fn(i64) -> bool) -> Running {
    // The consumer below is dropped as a crash would drop it: nothing is drained.
    let options = scene.consumer().drain_timeout(Duration::ZERO).max_in_flight(5_000);
    let holding = Holding { ledger: Arc::clone(ledger), held };
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(holding, |settings| settings.source(scene.topic()).group(scene.name("holding")));
    Running::start(consumer.build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_complete_above_a_stuck_event_is_not_done_again_after_a_restart() {
    let scene = Scene::new(1).await;
    // The first event is stuck, and a thousand are completed above it.
    post(&scene.publisher().await, 1_001, 1..=1).await;
    let ledger = Arc::<Ledger>::default();
    let running = holding(&scene, &ledger, |player| player == 0).await;
    until_true("the others are handled", || ledger.distinct() == 1_000).await;
    running.stop().await;
    let group = scene.name("holding");
    assert_eq!(committed(&scene, &group).await, [Some(0)]);

    let again = Arc::<Ledger>::default();
    let running = holding(&scene, &again, |_| false).await;
    until_true("the stuck event is handled", || again.distinct() >= 1).await;
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.completed_before), (1, 1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_runs_than_the_broker_takes_are_cut_to_the_oldest_and_the_commit_goes_on() {
    let scene = Scene::new(1).await;
    // Every other event is stuck: 4,000 runs, of which 4,096 bytes hold some 1,500.
    post(&scene.publisher().await, 8_000, 1..=1).await;
    let ledger = Arc::<Ledger>::default();
    let running = holding(&scene, &ledger, |player| player % 2 == 0).await;
    until_true("the others are handled", || ledger.distinct() == 4_000).await;
    let group = scene.name("holding");
    until("the runs are committed", async || {
        let told = metadata(&scene, &group).await;
        if (4_000..=4_096).contains(&told.len()) { Ok(()) } else { Err(told) }
    })
    .await;
    running.stop().await;

    let again = Arc::<Ledger>::default();
    let running = holding(&scene, &again, |_| false).await;
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    assert!((1_000..2_000).contains(&stats.completed_before), "{stats:?}");
    assert_eq!(stats.handled + stats.completed_before, 8_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_takes_less_metadata_gets_less() {
    let scene = Scene::new(1).await;
    post(&scene.publisher().await, 8_000, 1..=1).await;
    let ledger = Arc::<Ledger>::default();
    // More than this broker takes: the first commit is refused, and the next ones are halved until one is not.
    let holding = Holding { ledger: Arc::clone(&ledger), held: |player| player % 2 == 0 };
    let options = scene.consumer().commit_metadata_bytes(16_384).drain_timeout(Duration::ZERO).max_in_flight(5_000);
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(holding, |settings| settings.source(scene.topic()).group(scene.name("holding")));
    let running = Running::start(consumer.build().await.unwrap());
    until_true("the others are handled", || ledger.distinct() == 4_000).await;
    until("a commit is taken", async || {
        let told = metadata(&scene, &scene.name("holding")).await;
        if (3_000..=4_096).contains(&told.len()) { Ok(()) } else { Err(told.len()) }
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_that_overtakes_a_group_stops_it_with_an_error() {
    let scene = Scene::new(1).await;
    post(&scene.publisher().await, 10, 1..=1).await;
    let ledger = Arc::<Ledger>::default();
    let running = holding(&scene, &ledger, |player| player == 0).await;
    until_true("the others are handled", || ledger.distinct() == 9).await;
    running.stop().await;
    delete_records(&scene, 5).await;
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Holding { ledger, held: |_| false }, |settings| {
            settings.source(scene.topic()).group(scene.name("holding"))
        });
    let stopped = consumer.build().await.unwrap().run().await.unwrap_err();
    let reason = std::error::Error::source(&stopped).unwrap().to_string();
    assert!(reason.contains("deleted"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_starts_at_the_end_goes_on_there_after_a_restart() {
    let scene = Scene::new(1).await;
    let publisher = scene.publisher().await;
    post(&publisher, 10, 1..=1).await;
    let consumer = async |ledger: &Arc<Ledger>| {
        let options = scene.consumer().start_from(tidings::transport::kafka::StartFrom::Latest);
        let consumer = Consumer::builder(options)
            .codec(codec())
            .dispatch_with(Scoreboard { ledger: Arc::clone(ledger) }, |settings| settings.source(scene.topic()));
        Running::start(consumer.build().await.unwrap())
    };
    let ledger = Arc::<Ledger>::default();
    let running = consumer(&ledger).await;
    let group = scene.group("Scoreboard");
    until("the position is committed before anything was handled", async || {
        let committed = committed(&scene, &group).await;
        if committed == [Some(10)] { Ok(()) } else { Err(committed) }
    })
    .await;
    running.stop().await;
    // Nobody is there when these are published.
    post(&publisher, 10, 2..=2).await;
    let running = consumer(&ledger).await;
    caught_up(&scene, &group).await;
    assert_eq!(running.stop().await.handled, 10);
}
