//! The schema registry goes away and comes back while events come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidings::consumer::Consumer;
use tidings::prelude::*;
use tidings::publisher::Acks;

use crate::servers::Servers;
use crate::support::groups::caught_up;
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScoreErased, ScorePosted};
use crate::support::wait::{until, until_true};

#[derive(Clone, Default)]
struct Scores {
    ledger: Arc<Ledger>,
    erased: Arc<AtomicU32>,
}

#[dispatcher(source = "scores", retry(max_attempts = 2, initial = "20ms", max = "200ms", max_age = "1s"))]
impl Scores {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }

    #[on("scores.ScoreErased")]
    async fn on_erased(&self, _event: ScoreErased) -> Result<()> {
        self.erased.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_stopped_and_started_makes_no_dead_letters() {
    let mut servers = Servers::alone().await;
    let scene = Scene::new(2).await;
    let (publisher, scores) = (scene.publisher().await, Scores::default());
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(scores.clone(), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    publisher.send(&ScorePosted::new(1, 1), Acks::All).await.unwrap();
    until_true("the first event is handled", || scores.ledger.of("1") == [1]).await;

    // Registered while the registry is there, and met by the consumer when it is not.
    let theirs = codec();
    let erased = ScoreErased { player: 2, reason: Some("a mistake".into()) };
    let erased = theirs.frame(&scene.topic(), theirs.encode(&erased).unwrap()).await.unwrap().bytes;
    servers.stop_registry();
    scene.write(Some(b"2"), Some(&erased), &[("ce_type", Some(b"scores.ScoreErased"))]).await;
    for serial in 2..=50 {
        publisher.send(&ScorePosted::new(1, serial), Acks::All).await.unwrap();
    }
    until_true("known schemas go on", || scores.ledger.of("1").len() == 50).await;
    // Beyond the attempts and the age at which a failing event is given up.
    until_true("the unknown one is tried again", || running.stats().retried > 8).await;
    assert_eq!((scores.erased.load(Ordering::SeqCst), running.stats().dead_lettered), (0, 0));

    servers.heal();
    until("the unknown one is handled", async || {
        if scores.erased.load(Ordering::SeqCst) == 1 { Ok(()) } else { Err(running.stats()) }
    })
    .await;
    caught_up(&scene, &scene.group("Scores")).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.dead_lettered), (51, 0));
    assert_eq!(scores.ledger.of("1"), (1..=50).collect::<Vec<_>>());
}
