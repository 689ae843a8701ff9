//! Processes that are killed without notice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use tidings::consumer::Consumer;
use tidings::database::{Database, DatabaseOptions};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};

use crate::reader::read;
use crate::setting;
use crate::support::chance::{chance, tell};
use crate::support::child::{Child, say, told};
use crate::support::groups::{caught_up, ends};
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{Scoreboard, posted};
use crate::support::store::{Store, post_next, publishing};
use crate::support::wait::until;

/// How long a killed relay's buckets stay its own: what a test must wait.
const LEASE: Duration = Duration::from_secs(1);

/// The child's part: commit scores, without a relay.
pub(crate) async fn commit() {
    let publisher = publisher().await;
    let database = database().await.with_publisher(&publisher);
    for _ in 0..10 {
        for player in 0..3 {
            post_next(&database, player).await.unwrap();
        }
    }
    say("committed");
    std::future::pending::<()>().await;
}

/// The child's part: relay, until it is killed.
pub(crate) async fn relay() {
    let producers = KafkaProducers::of(&publisher().await);
    let relay = Relay::new(&database().await, producers).options(RelayOptions::default().lease_ttl(LEASE));
    say("relaying");
    relay.run(std::future::pending()).await.unwrap();
}

async fn publisher() -> Publisher {
    let options = PublisherOptions::new(told("TOPIC")).kafka(kafka()).mode(DeliveryMode::Outbox);
    Publisher::builder(options).codec(codec()).build().await.unwrap()
}

async fn database() -> Database {
    Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap()
}

fn start(part: &str, scene: &Scene, store: &Store) -> Child {
    Child::start(part, &[("TOPIC", &scene.topic()), ("DATABASE", &store.url())])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_committed_before_it_was_killed_arrives_once_it_restarts() {
    let (scene, store) = (Scene::new(2).await, Store::new().await);
    let child = start("commit", &scene, &store);
    child.expect("committed");
    child.kill();
    assert_eq!((store.rows("tidings_outbox").await, ends(&scene).await.iter().sum::<i64>()), (30, 0));

    let ledger = Arc::<Ledger>::default();
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Scoreboard { ledger: Arc::clone(&ledger) }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    let child = start("relay", &scene, &store);
    store.until_published().await;
    caught_up(&scene, &scene.group("Scoreboard")).await;
    running.stop().await;
    child.kill();
    assert_eq!(ledger.audit(&posted(3, 10)), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_again_and_again_under_load_loses_and_reorders_nothing() {
    // Each is killed once it has published something of its own.
    kill_after(std::iter::repeat_n(20, 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_relay_killed_fifty_times_at_random_moments_under_load_loses_and_reorders_nothing() {
    let mut chance = chance();
    // Some are killed before they own anything.
    let moments = (0..50).map(|_| if chance.random_bool(0.2) { 0 } else { chance.random_range(1..1_000) });
    tell(&kill_after(moments).await);
}

/// Kill a relay as often as `moments` has one, each when it has published that many events; then let one finish. What happened.
async fn kill_after(moments: impl Iterator<Item = i64>) -> String {
    const PLAYERS: i64 = 16;
    let (scene, store) = (Scene::new(4).await, Store::new().await);
    let recorded = scene.publisher_in(DeliveryMode::Outbox).await;
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..PLAYERS)
        .map(|player| {
            let (database, over) = (publishing(&store, &recorded), Arc::clone(&over));
            tokio::spawn(async move {
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                loop {
                    pace.tick().await;
                    let serial = post_next(&database, player).await.unwrap();
                    if over.load(Ordering::Acquire) {
                        return (format!("Player/{player}"), serial);
                    }
                }
            })
        })
        .collect();

    let mut kills = 0;
    for moment in moments {
        let before: i64 = ends(&scene).await.iter().sum();
        let child = start("relay", &scene, &store);
        child.expect("relaying");
        let moved = async || {
            let now: i64 = ends(&scene).await.iter().sum();
            if now >= before + moment { Ok(()) } else { Err(now) }
        };
        until("the relay publishes", moved).await;
        child.kill();
        kills += 1;
    }
    over.store(true, Ordering::Release);
    let mut published = Published::new();
    for writer in writers {
        published.extend([writer.await.unwrap()]);
    }
    let child = start("relay", &scene, &store);
    store.until_published().await;
    child.kill();

    let written = usize::try_from(ends(&scene).await.iter().sum::<i64>()).unwrap();
    let (topic, partitions) = (scene.topic(), scene.partitions());
    let reading = move || read(&setting("TIDINGS_TEST_BROKERS"), &topic, partitions, written);
    let records = tokio::task::spawn_blocking(reading).await.unwrap();
    let ledger = Ledger::default();
    let mut ids = BTreeMap::new();
    for record in &records {
        let headers = record.text_headers();
        let (stream, sequence) = (headers["ce_subject"].to_owned(), headers["ce_sequence"].to_owned());
        ledger.note(stream.clone(), sequence.parse().unwrap());
        // A sequence is one event's, however often it is published.
        let content = (headers["ce_id"].to_owned(), record.payload.clone());
        let first = ids.entry((stream, sequence)).or_insert_with(|| content.clone());
        assert_eq!(*first, content);
    }
    let Audit { lost, out_of_order, repeated, invented } = ledger.audit(&published);
    assert_eq!((lost, out_of_order, invented), (0, 0, 0));
    assert_eq!(repeated, written - ids.len(), "every repeat is recognised by its sequence");
    format!("{kills} kills: {} events published, {repeated} repeats, {lost} lost", ids.len())
}
