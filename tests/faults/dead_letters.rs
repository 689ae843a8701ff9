//! A dead-letter topic that refuses writes.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use tidings::consumer::Consumer;
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

/// Every tenth player's scores are poison.
struct Picky {
    ledger: Arc<Ledger>,
    plant: Plant,
}

#[dispatcher(source = "scores")]
impl Picky {
    #[on("scores.ScorePosted", version = "^1")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if event.player % 10 == 0 {
            return Err("poison").terminal();
        }
        tokio::task::yield_now().await;
        for serial in self.plant.effects(&event) {
            self.ledger.note(event.player.to_string(), serial);
        }
        Ok(())
    }
}

/// Let the topic take records of at most `bytes`.
async fn take_at_most(topic: &str, bytes: &str) {
    let created = ClientConfig::new().set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).create();
    let admin: AdminClient<DefaultClientContext> = created.unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
    let changed = admin.alter_configs([&change], &AdminOptions::new()).await.unwrap();
    assert!(changed[0].is_ok(), "{changed:?}");
}

/// What became of the events that are no poison.
pub(crate) async fn refused_for_a_while(size: Size, plant: Plant) -> Audit {
    let _alone = Servers::alone().await;
    let scene = Scene::new(8).await;
    let group = scene.name("picky");
    let letters = format!("{group}.dead-letters");
    topics::ensure(&kafka(), &[TopicSpec::new(&letters, 4)], Duration::from_secs(30)).await.unwrap();
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
    let poison = u64::try_from(size.players / 10 * size.serials).unwrap();
    let published: Published =
        (0..size.players).filter(|player| player % 10 != 0).map(|player| (player.to_string(), size.serials)).collect();
    tell(&format!("a dead-letter topic that refused writes: {stats:?}"));
    assert_eq!(stats.dead_lettered, poison);
    ledger.audit(&published)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_refuses_writes_for_a_while_loses_and_repeats_nothing() {
    // Not even a repeat: what was complete when it stopped was committed, above the event that could not be given up, too.
    assert_eq!(refused_for_a_while(Size { serials: 20, ..Size::SHORT }, Plant::Nothing).await, Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_dead_letter_topic_that_refuses_twenty_thousand_writes_for_a_while_loses_nothing() {
    assert_eq!(refused_for_a_while(Size::LONG, Plant::Nothing).await, Audit::default());
}
