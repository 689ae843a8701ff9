//! The end of a service, as an init system wants it.

use std::sync::Arc;

use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::publisher::Acks;
use tokio::sync::watch;

use crate::support::child::{Child, listen, say, told};
use crate::support::groups::{behind, committed};
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post};
use crate::support::wait::until_true;

/// Begins, says so, and ends when the parent says so.
struct Slow {
    released: watch::Receiver<bool>,
}

#[dispatcher(source = "scores")]
impl Slow {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, _event: ScorePosted) -> Result<()> {
        say("began");
        self.released.clone().wait_for(|released| *released).await?;
        say("ended");
        Ok(())
    }
}

/// The child's part: a service, until it is told to end.
pub(crate) async fn serve() {
    let (release, released) = watch::channel(false);
    tokio::spawn(async move {
        listen().await;
        release.send(true).unwrap();
    });
    let options = ConsumerOptions::new(told("SERVICE")).kafka(kafka());
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(Slow { released }, |settings| settings.source(told("TOPIC")).group(told("GROUP")));
    consumer.build().await.unwrap().run().await.unwrap();
    say("left");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sigterm_running_handlers_end_and_are_committed_and_nothing_new_begins() {
    let scene = Scene::new(3).await;
    let publisher = scene.publisher().await;
    let group = scene.name("everyone");
    post(&publisher, 5, 1..=1).await;
    let (service, topic) = (scene.name("boards"), scene.topic());
    let mut child = Child::start("slow service", &[("SERVICE", &service), ("TOPIC", &topic), ("GROUP", &group)]);
    for _ in 0..5 {
        assert_eq!(child.line(), "began");
    }
    child.terminate();
    // Its key's first score is not done, so this one cannot have begun before the signal.
    publisher.send(&ScorePosted::new(0, 2), Acks::All).await.unwrap();
    child.tell("go on");
    for _ in 0..5 {
        assert_eq!(child.line(), "ended");
    }
    assert_eq!(child.line(), "left");
    assert!(child.ended().success());
    let done: i64 = committed(&scene, &group).await.into_iter().flatten().sum();
    assert_eq!(done, 5, "what was handled is committed, and no more");

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| {
            settings.source(scene.topic()).group(&group)
        });
    let running = Running::start(consumer.build().await.unwrap());
    until_true("the next instance goes on", || ledger.distinct() > 0).await;
    running.stop().await;
    assert_eq!((ledger.of("0"), ledger.distinct()), (vec![2], 1));
    assert_eq!(behind(&scene, &group).await, []);
}
