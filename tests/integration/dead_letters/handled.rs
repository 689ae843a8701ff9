//! From a handler that fails to the same handler again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidings::consumer::Consumer;
use tidings::dead_letters::{DeadLetters, RedriveOptions, Refusal, Selection, header};
use tidings::prelude::*;

use super::letters::everything;
use crate::support::ledger::Ledger;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, Scoreboard, post};
use crate::support::wait::until_true;

/// Gives up every player's fifth score, until it is mended.
struct Picky {
    ledger: Arc<Ledger>,
    mended: Arc<AtomicBool>,
}

#[dispatcher(source = "scores")]
impl Picky {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if event.serial == 5 && !self.mended.load(Ordering::Acquire) {
            return Err(HandlerError::from("no place for a fifth score").terminal());
        }
        self.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

async fn picky(scene: &Scene) -> (Running, Arc<Ledger>, Arc<AtomicBool>, DeadLetters) {
    let (ledger, mended) = (Arc::<Ledger>::default(), Arc::<AtomicBool>::default());
    let picky = Picky { ledger: Arc::clone(&ledger), mended: Arc::clone(&mended) };
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(picky, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    (running, ledger, mended, DeadLetters::of_group(kafka(), scene.group("Picky")))
}

#[tokio::test(flavor = "multi_thread")]
async fn event_5_is_given_up_event_6_is_handled_and_5_redriven_is_handled_once_by_its_group_alone() {
    let scene = Scene::new(3).await;
    let (running, ledger, mended, letters) = picky(&scene).await;
    let others = Arc::<Ledger>::default();
    let other = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&others) }, |settings| settings.source(scene.topic()));
    let other = Running::start(other.build().await.unwrap());
    post(&scene.publisher().await, 4, 1..=6).await;
    until_true("all others are handled", || ledger.distinct() == 20 && others.distinct() == 24).await;
    until_true("four are given up", || running.stats().dead_lettered == 4).await;

    mended.store(true, Ordering::Release);
    let options = RedriveOptions::default();
    let of_player_2 = Selection::all().key("2").handler("Picky::*").class("terminal").error("FIFTH");
    let plan = letters.plan(&of_player_2, &options).await.unwrap();
    assert_eq!((plan.redriven, plan.refused.len()), (1, 0));
    assert_eq!(plan.first[0].event(), Some("scores.ScorePosted"));
    assert_eq!(everything(&scene.topic(), 3).await.len(), 24, "a plan changes nothing");

    let done = letters.redrive(&of_player_2, &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!(done.redriven, 1);
    until_true("it is handled", || ledger.distinct() == 21).await;
    assert_eq!(ledger.of("2"), [1, 2, 3, 4, 6, 5]);
    // All that are left, and nothing twice.
    let done = letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((done.redriven, done.already_redriven), (3, 1));
    let done = letters.redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((done.redriven, done.already_redriven), (0, 4));
    until_true("all are handled", || ledger.distinct() == 24).await;
    until_true("the other group has seen them", || other.stats().skipped == 4).await;
    for player in 0..4 {
        assert_eq!(ledger.of(&player.to_string()), [1, 2, 3, 4, 6, 5]);
        assert_eq!(others.of(&player.to_string()), [1, 2, 3, 4, 5, 6]);
    }

    let all = everything(&scene.topic(), 3).await;
    let group = scene.group("Picky");
    let (again, firsts): (Vec<_>, Vec<_>) =
        all.iter().partition(|record| record.text_headers().contains_key(header::REDRIVES));
    assert_eq!(again.len(), 4);
    for record in again {
        // The same event: key, partition, bytes and headers, with two behind them.
        let (kept, added) = record.headers.split_at(record.headers.len() - 2);
        let first = firsts.iter().find(|first| first.headers == kept).unwrap();
        assert_eq!((record.partition, &record.key, &record.payload), (first.partition, &first.key, &first.payload));
        let text = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
        assert_eq!(added, [text(header::REDRIVES, "1"), text(header::REDRIVE_GROUP, &group)]);
    }
    running.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_fails_again_and_again_is_not_redriven_for_ever() {
    let scene = Scene::new(1).await;
    let (running, ledger, mended, letters) = picky(&scene).await;
    post(&scene.publisher().await, 1, 1..=6).await;
    until_true("it is given up", || running.stats().dead_lettered == 1).await;
    let twice = RedriveOptions::default().max_redrives(2);
    for round in 2..=3 {
        let done = letters.redrive(&Selection::all(), &twice, std::future::pending(), |_| {}).await.unwrap();
        assert_eq!((done.redriven, done.refused.len()), (1, 0));
        until_true("it is given up again", || running.stats().dead_lettered == round).await;
    }
    mended.store(true, Ordering::Release);
    let done = letters.redrive(&Selection::all(), &twice, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!((done.redriven, done.already_redriven, done.refused.get(&Refusal::TooOften)), (0, 2, Some(&1)));
    assert_eq!(ledger.of("0"), [1, 2, 3, 4, 6]);
    // Someone looked into it.
    let done = letters.redrive(&Selection::all(), &RedriveOptions::default(), std::future::pending(), |_| {}).await;
    assert_eq!(done.unwrap().redriven, 1);
    until_true("it is handled", || ledger.distinct() == 6).await;
    running.stop().await;
}
