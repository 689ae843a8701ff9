//! Which offsets are committed, as the brokers tell others.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{Consumer, ConsumerBuilder};
use tidings::prelude::*;
use tidings::publisher::Acks;
use tokio::sync::Semaphore;

use crate::support::groups::{behind, caught_up, committed};
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
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
