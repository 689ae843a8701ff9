//! What a program asks of a running consumer, on real brokers: to read from another place.

use std::sync::Arc;

use tidings::consumer::{Consumer, ControlError};
use tidings::prelude::*;
use tokio::sync::Semaphore;

use crate::support::groups::{caught_up, committed};
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, post, posted};
use crate::support::wait::until_true;

/// Writes scores down, as many as it is let.
struct Gated {
    gate: Arc<Semaphore>,
    ledger: Arc<Ledger>,
}

#[dispatcher(source = "scores")]
impl Gated {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        self.gate.acquire().await?.forget();
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn seeking_back_handles_everything_behind_again_though_much_had_been_fetched() {
    let (scene, ledger) = (Scene::new(1).await, Arc::<Ledger>::default());
    let gate = Arc::new(Semaphore::new(500));
    post(&scene.publisher().await, 100, 1..=40).await;
    let gated = Gated { gate: Arc::clone(&gate), ledger: Arc::clone(&ledger) };
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(gated, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let (group, topic) = (scene.group("Gated"), scene.topic());
    until_true("some are handled", || ledger.distinct() == 500).await;

    // The client and the engine hold what comes later: none of it may be taken for what was sought.
    running.handle().seek(&group, &topic, 0, 100).await.unwrap();
    gate.add_permits(10_000);
    caught_up(&scene, &group).await;
    let seen: Vec<_> = (0..100).map(|player| ledger.of(&player.to_string())).collect();
    for seen in &seen {
        // From its second score on, each player's are handled in order behind the place, whatever was handled before.
        let behind = &seen[seen.len() - 39..];
        assert!(behind.iter().copied().eq(2..=40), "{seen:?}");
    }
    assert_eq!(ledger.audit(&posted(100, 40)).lost, 0);

    // Forward: what is in between is left out, and the place is committed.
    post(&scene.publisher().await, 100, 41..=41).await;
    caught_up(&scene, &group).await;
    running.handle().seek(&group, &topic, 0, 4_050).await.unwrap();
    let last = |player: i64| ledger.of(&player.to_string()).iter().filter(|serial| **serial == 41).count();
    until_true("the second half comes again", || (0..100).map(last).sum::<usize>() == 150).await;
    caught_up(&scene, &group).await;
    assert_eq!(((0..50).map(last).sum::<usize>(), committed(&scene, &group).await), (50, vec![Some(4_100)]));
    let elsewhere = running.handle().seek(&group, &topic, 7, 0).await.unwrap_err();
    assert!(matches!(elsewhere, ControlError::NotAssigned { .. }), "{elsewhere}");
    running.stop().await;
}
