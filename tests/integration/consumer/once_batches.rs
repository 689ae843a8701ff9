//! Handlers of batches whose effects happen once.

use bytes::Bytes;
use tidings::consumer::Consumer;
use tidings::consumer::parked::ParkRequest;
use tidings::database::sqlx;
use tidings::prelude::*;
use tidings::transport::TopicPartition;

use super::once::{each, effects, name, post, post_all, store};
use crate::support::groups::caught_up;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::ScorePosted;
use crate::support::store::Store;
use crate::support::wait::until_true;

const ADD: &str = "INSERT INTO effect (dispatcher, event) VALUES ('Many', ?)";

/// Adds many at once to what is in the database. Cannot add the poison, and does not say which one that is.
struct Many;

const POISON: ScorePosted = ScorePosted::new(3, 4);

#[dispatcher(source = "scores")]
impl Many {
    #[on("scores.ScorePosted", batch(max = 25, wait = "20ms"), retry(max_attempts = 2, initial = "1ms"))]
    async fn on_many_posted(&self, events: Vec<ScorePosted>, tx: Transaction) -> Result<()> {
        let mut connection = tx.mysql().await?;
        for event in &events {
            sqlx::query(ADD).bind(name(event)).execute(&mut *connection).await?;
        }
        if events.contains(&POISON) { Err("a rule of the database says no".into()) } else { Ok(()) }
    }
}

/// A consumer of the scene's topic, with [`Many`].
async fn consuming(scene: &Scene, store: &Store) -> Running {
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .database(store.database.clone())
        .dispatch_with(Many, |settings| settings.source(scene.topic()));
    Running::start(consumer.build().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_in_a_batch_is_parked_with_what_follows_it_and_handled_once_it_is_released() {
    let (scene, store) = (Scene::new(1).await, store().await);
    for (player, serial, id) in [(0, 1, "one"), (0, 1, "another"), (1, 1, "beside"), (0, 2, "next")] {
        post(&scene, &ScorePosted::new(player, serial), id).await;
    }
    let group = scene.group("Many");
    let running = consuming(&scene, &store).await;
    caught_up(&scene, &group).await;
    let stats = running.stats_of(&group);
    assert_eq!((stats.parked, stats.parked_keys, stats.dead_lettered), (2, 1, 0), "{stats:?}");
    assert_eq!(effects(&store, "Many").await, each(&["0-1", "1-1"], 1));

    let partition = TopicPartition { topic: scene.topic().into(), partition: 0 };
    let (handle, key) = (running.handle(), Bytes::from_static(b"0"));
    let first = handle.parked_records(&group, partition.clone(), key.clone(), 1).await.unwrap().remove(0);
    assert_eq!((first.headers.get_str("ce_id"), &*first.cause.unwrap().class), (Some("another"), "forked"));
    handle.unpark(&group, partition, key, ParkRequest::Release).await.unwrap();
    until_true("the key is free", || running.stats_of(&group).parked_keys == 0).await;
    running.stop().await;
    let mut expected = each(&["0-1"], 2);
    expected.extend(each(&["0-2", "1-1"], 1));
    assert_eq!(effects(&store, "Many").await, expected, "two events of one place, two effects");
    assert_eq!(store.rows("tidings_inbox_hole").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_take_effect_once_an_event_though_repeats_and_poison_are_among_them() {
    let (scene, store) = (Scene::new(2).await, store().await);
    let mut posted = post_all(&scene, 8, 1..=12).await;
    // Written again, as a relay that was killed does.
    post_all(&scene, 8, 7..=12).await;
    post(&scene, &ScorePosted::new(0, 13), "0-13").await;
    posted.push("0-13".to_owned());

    let group = scene.group("Many");
    let consume = async || {
        let running = consuming(&scene, &store).await;
        caught_up(&scene, &group).await;
        running.stop().await
    };
    let stats = consume().await;
    assert_eq!((stats.dead_lettered, stats.inbox_repeats, stats.in_flight), (1, 48, 0), "{stats:?}");
    posted.retain(|event| *event != name(&POISON));
    let posted: Vec<_> = posted.iter().map(String::as_str).collect();
    assert_eq!(effects(&store, "Many").await, each(&posted, 1));
}
