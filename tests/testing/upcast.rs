//! One handler for events of every version.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::upcast::Upcast;

#[derive(Event, Serialize, Deserialize, Debug, Clone)]
#[event(name = "players.PlayerMoved", version = "1.2.0", entity = "Player")]
#[event(schema_inline = r#"{"type": "record", "name": "PlayerMoved", "namespace": "players", "fields": [
    {"name": "player", "type": "long"}, {"name": "place", "type": "string"}]}"#)]
#[serde(rename = "PlayerMoved")]
struct PlayerMovedV1 {
    #[event(key)]
    player: i64,
    place: String,
}

#[derive(Event, Serialize, Deserialize, Debug, Clone)]
#[event(name = "players.PlayerMoved", version = "2.0.0", entity = "Player", upcast_from = PlayerMovedV1)]
#[event(schema_inline = r#"{"type": "record", "name": "PlayerMoved", "namespace": "players", "fields": [
    {"name": "player", "type": "long"}, {"name": "city", "type": "string"}, {"name": "country", "type": "string"}]}"#)]
#[serde(rename = "PlayerMoved")]
struct PlayerMovedV2 {
    #[event(key)]
    player: i64,
    city: String,
    country: String,
}

#[derive(Event, Serialize, Deserialize, Debug, Clone)]
#[event(name = "players.PlayerMoved", version = "3.0.0", entity = "Player", upcast_from = PlayerMovedV2)]
#[event(schema_inline = r#"{"type": "record", "name": "PlayerMoved", "namespace": "players", "fields": [
    {"name": "player", "type": "long"}, {"name": "city", "type": "string"},
    {"name": "country", "type": {"type": "enum", "name": "Country", "symbols": ["UNKNOWN", "PL"], "default": "UNKNOWN"}}]}"#)]
struct PlayerMoved {
    #[event(key)]
    player: i64,
    city: String,
    country: Country,
}

#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
enum Country {
    #[serde(rename = "UNKNOWN")]
    Unknown,
    #[serde(rename = "PL")]
    Poland,
}

impl Upcast<PlayerMovedV1> for PlayerMovedV2 {
    fn upcast(older: PlayerMovedV1) -> Self {
        let (city, country) = older.place.split_once(", ").unwrap_or((&older.place, ""));
        Self { player: older.player, city: city.to_owned(), country: country.to_owned() }
    }
}

impl Upcast<PlayerMovedV2> for PlayerMoved {
    fn upcast(older: PlayerMovedV2) -> Self {
        let country = if older.country == "Polska" { Country::Poland } else { Country::Unknown };
        Self { player: older.player, city: older.city, country }
    }
}

/// Notes where players are.
#[derive(Clone, Default)]
struct Map {
    moved: Arc<Mutex<Vec<(String, Country)>>>,
}

#[dispatcher(source = "players")]
impl Map {
    #[on("players.PlayerMoved", version = "<4")]
    async fn on_moved(&self, event: PlayerMoved) {
        self.moved.lock().push((event.city, event.country));
    }
}

#[tokio::test]
async fn one_handler_takes_events_of_every_version_in_their_order() {
    let (kit, map) = (crate::kit(), Map::default());
    kit.start(Consumer::builder(ConsumerOptions::new("maps")).dispatch(map.clone())).await;
    let first = PlayerMovedV1 { player: 42, place: "Łódź, Polska".to_owned() };
    let second = PlayerMovedV2 { player: 42, city: "Aarhus".to_owned(), country: "Danmark".to_owned() };
    let third = PlayerMoved { player: 42, city: "Gdynia".to_owned(), country: Country::Poland };
    kit.publish(&first).await;
    kit.publish(&second).await;
    let last = kit.publish(&third).await;
    kit.assert_handled_once(&last).await;
    let cities: Vec<_> = map.moved.lock().clone();
    let expected = [("Łódź", Country::Poland), ("Aarhus", Country::Unknown), ("Gdynia", Country::Poland)];
    assert_eq!(cities, expected.map(|(city, country)| (city.to_owned(), country)));
}
