//! A topic as it is after years: several events, several versions of each, published in both modes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidings::causality::Causality;
use tidings::clock::{Clock as _, ManualClock, SystemClock};
use tidings::database::sqlx;
use tidings::outbox::{KafkaProducers, Relay};
use tidings::prelude::*;
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};

use super::TeamFounded;
use crate::reader::read;
use crate::setting;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScoreErased, ScorePosted};
use crate::support::store::Store;

/// The score as it was at first.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "scores.ScorePosted", version = "1.0.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores",
    "fields": [{"name": "player", "type": "long"}, {"name": "serial", "type": "int"}]
}"#)]
#[serde(rename = "ScorePosted")]
struct ScorePostedV1_0 {
    #[event(key)]
    player: i64,
    serial: i32,
}

/// A field more than [`ScorePosted`], with a default.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "scores.ScorePosted", version = "1.3.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores", "fields": [
        {"name": "player", "type": "long"},
        {"name": "serial", "type": "long"},
        {"name": "game", "type": ["null", "string"], "default": null}]
}"#)]
#[serde(rename = "ScorePosted")]
struct ScorePostedV1_3 {
    #[event(key)]
    player: i64,
    serial: i64,
    game: Option<String>,
}

/// A break: types of the first version find no game, or none that may be absent.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "scores.ScorePosted", version = "2.0.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores", "fields": [
        {"name": "game", "type": "string"},
        {"name": "player", "type": "long"},
        {"name": "serial", "type": "long"},
        {"name": "posted_at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]
}"#)]
#[serde(rename = "ScorePosted")]
struct ScorePostedV2 {
    game: String,
    #[event(key)]
    player: i64,
    serial: i64,
    posted_at: i64,
}

/// Says by whom, too.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "scores.ScoreErased", version = "1.1.0", entity = "Player")]
#[event(schema_inline = r#"{
    "type": "record", "name": "ScoreErased", "namespace": "scores", "fields": [
        {"name": "player", "type": "long"},
        {"name": "reason", "type": ["null", "string"], "default": null},
        {"name": "erased_by", "default": "PLAYER", "type": {
            "type": "enum", "name": "ErasedBy", "symbols": ["PLAYER", "MODERATOR"], "default": "PLAYER"}}]
}"#)]
#[serde(rename = "ScoreErased")]
struct ScoreErasedV1_1 {
    #[event(key)]
    player: i64,
    reason: Option<String>,
    erased_by: ErasedBy,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum ErasedBy {
    Player,
    Moderator,
}

/// An event as it was published.
pub(super) struct Published {
    pub(super) id: String,
    pub(super) event: &'static str,
    pub(super) version: &'static str,
    /// The version of the subject in the registry.
    pub(super) subject_version: usize,
    pub(super) stream: String,
    pub(super) key: String,
    pub(super) sequence: Option<u64>,
    pub(super) epoch: u32,
    /// By the publisher's clock.
    pub(super) time: String,
    pub(super) cause: Option<&'static str>,
    pub(super) payload: Value,
    /// As they stand in the record.
    pub(super) headers: BTreeMap<String, String>,
}

/// The topic, and what is on it, by the events' ids.
pub(super) struct Versions {
    pub(super) scene: Scene,
    pub(super) published: BTreeMap<String, Published>,
}

impl Versions {
    pub(super) async fn new() -> Self {
        let (scene, mut published) = (Scene::new(3).await, Vec::new());
        let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
        let publisher = |mode| {
            let options = PublisherOptions::new(scene.topic()).kafka(kafka()).mode(mode);
            Publisher::builder(options).codec(codec()).clock(clock.clone())
        };
        let direct = publisher(DeliveryMode::default()).build().await.unwrap();
        let mut shelf =
            Shelf { publisher: &direct, clock: &clock, published: &mut published, sequence: None, epoch: 0 };
        shelf.publish_everything(1).await;

        let store = Store::new().await;
        let recorder = Arc::new(store.database.clone());
        let recorded = publisher(DeliveryMode::Outbox).recorder(recorder).build().await.unwrap();
        let relay = Relay::new(&store.database, KafkaProducers::of(&recorded)).spawn();
        shelf.publisher = &recorded;
        shelf.sequence = Some(0);
        shelf.publish_everything(2).await;
        sqlx::query("UPDATE tidings_stream SET epoch = 1").execute(store.database.mysql_pool().unwrap()).await.unwrap();
        shelf.epoch = 1;
        shelf.publish(1, None, &ScoreErased { player: 2, reason: None }).await;
        store.until_published().await;
        relay.shutdown().await.unwrap();

        Self { published: with_headers(&scene, published), scene }
    }

    /// Those of an event.
    pub(super) fn of<'p>(&'p self, event: &'p str) -> impl Iterator<Item = &'p Published> {
        self.published.values().filter(move |published| published.event == event)
    }
}

/// Publishes in one mode, and writes down what.
struct Shelf<'p> {
    publisher: &'p Publisher,
    clock: &'p ManualClock,
    published: &'p mut Vec<Published>,
    /// The last one in the player's stream, where the mode has sequences.
    sequence: Option<u64>,
    epoch: u32,
}

impl Shelf<'_> {
    /// Every event in every version, the newer ones in between the older: services are not upgraded all at once.
    async fn publish_everything(&mut self, player: i64) {
        self.publish(1, None, &ScorePostedV1_0 { player, serial: 1 }).await;
        self.publish(2, None, &ScorePosted { player, serial: 2 }).await;
        self.publish(3, None, &ScorePostedV1_3 { player, serial: 3, game: None }).await;
        let reason = Some("Betrug, \"größer\" als je".to_owned());
        self.publish(1, Some("a-request"), &ScoreErased { player, reason }).await;
        let (game, posted_at) = ("chess 象棋".to_owned(), 1_700_000_000_123_456);
        self.publish(4, None, &ScorePostedV2 { game, player, serial: 4, posted_at }).await;
        self.publish(3, None, &ScorePostedV1_3 { player, serial: 5, game: Some("go".to_owned()) }).await;
        self.publish(1, None, &ScorePostedV1_0 { player, serial: i32::MAX }).await;
        let erased_by = ErasedBy::Moderator;
        self.publish(2, Some("another-request"), &ScoreErasedV1_1 { player, reason: None, erased_by }).await;
        // The first event of a stream of its own.
        let of_player = self.sequence;
        self.sequence = of_player.map(|_| 0);
        self.publish(1, None, &TeamFounded { team: format!("équipe {player}") }).await;
        self.sequence = of_player;
    }

    async fn publish<E: Event>(&mut self, subject_version: usize, cause: Option<&'static str>, event: &E) {
        self.clock.advance(Duration::from_micros(1_001));
        let correlation_id = cause.map(|cause| format!("trail-of-{cause}"));
        let causality = Causality { correlation_id, causation_id: cause.map(str::to_owned), ..Causality::default() };
        let receipt = causality.scope(self.publisher.publish(event)).await.unwrap();
        self.sequence = self.sequence.map(|last| last + 1);
        self.published.push(Published {
            id: receipt.id().to_string(),
            event: E::NAME,
            version: E::VERSION,
            subject_version,
            stream: event.stream().as_str().to_owned(),
            key: event.key().into_owned(),
            sequence: self.sequence,
            epoch: self.epoch,
            time: self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true),
            cause,
            payload: serde_json::to_value(event).unwrap(),
            headers: BTreeMap::new(),
        });
    }
}

/// Add the headers as a client that knows nothing of any of this sees them.
fn with_headers(scene: &Scene, published: Vec<Published>) -> BTreeMap<String, Published> {
    let records = read(&setting("TIDINGS_TEST_BROKERS"), &scene.topic(), scene.partitions(), published.len());
    let mut published: BTreeMap<_, _> = published.into_iter().map(|event| (event.id.clone(), event)).collect();
    for record in records {
        let headers = record.text_headers();
        let event = published.get_mut(headers["ce_id"]).unwrap();
        event.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    }
    published
}
