//! A dead-letter topic that refuses writes.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use tidings::consumer::Consumer;
use tidings::dead_letters::{DeadLetters, Selection};
use tidings::dispatch::BreakerPolicy;
use tidings::prelude::*;
use tidings::transport::kafka::{TopicSpec, topics};

use crate::plant::Plant;
use crate::servers::Servers;
use crate::setting;
use crate::storm::Size;
use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, post};

const LONG: Duration = Duration::from_secs(30);

/// Every tenth player's scores are poison.
struct Picky {
    ledger: Arc<Ledger>,
    plant: Plant,
}

#[dispatcher(source = "scores")]
impl Picky {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if is_poison(event.player) {
            return if self.plant.is_given_up(&event) { Err("poison").terminal() } else { Ok(()) };
        }
        tokio::task::yield_now().await;
        for serial in self.plant.effects(&event) {
            self.ledger.note(event.player.to_string(), serial);
        }
        Ok(())
    }
}

const fn is_poison(player: i64) -> bool {
    player % 10 == 0
}

/// Let the topic take records of at most `bytes`.
pub(crate) async fn take_at_most(topic: &str, bytes: &str) {
    let created = ClientConfig::new().set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).create();
    let admin: AdminClient<DefaultClientContext> = created.unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
    let changed = admin.alter_configs([&change], &AdminOptions::new()).await.unwrap();
    assert!(changed[0].is_ok(), "{changed:?}");
}

/// The letters that are in the topic, in its order, and how many there are.
async fn read_back(topic: &str) -> (Ledger, u64) {
    let (ledger, codec) = (Ledger::default(), codec());
    let mut letters = DeadLetters::in_topic(kafka(), topic).timeout(LONG).letters(&Selection::all()).await.unwrap();
    let mut count = 0;
    while let Some(letter) = letters.next().await.unwrap() {
        let event: ScorePosted = codec.decode_record(letter.record()).await.unwrap();
        ledger.note(event.player.to_string(), event.serial);
        count += 1;
    }
    (ledger, count)
}

/// What was found when all was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Of the events that are no poison.
    pub(crate) effects: Audit,
    /// Of those that are, in the dead-letter topic; where one is there twice, that is no fault.
    pub(crate) letters: Audit,
}

/// What became of the events, where letters could not be written for a while.
pub(crate) async fn refused_for_a_while(size: Size, plant: Plant) -> Found {
    let _alone = Servers::alone().await;
    let scene = Scene::new(8).await;
    let group = scene.name("picky");
    let letters = format!("{group}.dead-letters");
    topics::ensure(&kafka(), &[TopicSpec::new(&letters, 4)], LONG).await.unwrap();
    take_at_most(&letters, "100").await;
    post(&scene.publisher().await, size.players, 1..=size.serials).await;

    let ledger = Arc::<Ledger>::default();
    let start = async || {
        let options = scene.consumer().breaker(BreakerPolicy::default().keys(0));
        let picky = Picky { ledger: Arc::clone(&ledger), plant };
        let consumer = Consumer::builder(options)
            .codec(codec())
            .dispatch_with(picky, |settings| settings.source(scene.topic()).group(&group));
        Running::start(consumer.build().await.unwrap())
    };
    let of_players = |is_meant: fn(i64) -> bool| -> Published {
        (0..size.players).filter(|player| is_meant(*player)).map(|player| (player.to_string(), size.serials)).collect()
    };
    let (well, poisoned) = (of_players(|player| !is_poison(player)), of_players(is_poison));
    // It cannot go on, so it says so instead of losing the event; and again, when it is started without anything being done.
    for _ in 0..2 {
        let stopped = start().await.ended().await.unwrap_err();
        let reason = std::error::Error::source(&stopped).unwrap().to_string();
        assert!(reason.contains(&letters), "{reason}");
    }
    take_at_most(&letters, "1048576").await;
    let running = start().await;
    caught_up(&scene, &group).await;
    let stats = running.stop().await;
    tell(&format!("a dead-letter topic that refused writes: {stats:?}"));
    let (written, count) = read_back(&letters).await;
    assert!(count >= stats.dead_lettered, "{count} letters, and {} are said to be written", stats.dead_lettered);
    Found { effects: ledger.audit(&well), letters: Audit { repeated: 0, ..written.audit(&poisoned) } }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_refuses_writes_for_a_while_loses_and_repeats_nothing() {
    // Not even a repeat: what was complete when it stopped was committed, above the event that could not be given up, too.
    let size = Size { serials: 20, ..Size::SHORT };
    assert_eq!(refused_for_a_while(size, Plant::Nothing).await, Found::default());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_dead_letter_topic_that_refuses_twenty_thousand_writes_for_a_while_loses_nothing() {
    assert_eq!(refused_for_a_while(Size::LONG, Plant::Nothing).await, Found::default());
}
