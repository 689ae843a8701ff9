//! The event of these tests.

use std::borrow::Cow;

use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings::Event;
use tidings::schema::Codec;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MatchFinished {
    pub(crate) user_id: i64,
    pub(crate) match_id: String,
    pub(crate) clan: Option<String>,
    pub(crate) rewards: Vec<Reward>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reward {
    pub(crate) item: String,
    pub(crate) count: i32,
}

impl Event for MatchFinished {
    const NAME: &'static str = "matches.MatchFinished";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = r#"{"type":"record","name":"MatchFinished","namespace":"matches","fields":[
        {"name":"user_id","type":"long"},{"name":"match_id","type":"string"},
        {"name":"clan","type":["null","string"],"default":null},
        {"name":"rewards","type":{"type":"array","items":{"type":"record","name":"Reward","fields":[
            {"name":"item","type":"string"},{"name":"count","type":"int"}]}}}]}"#;
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.user_id.to_string().into()
    }
}

/// As another service writes it: more fields, in another order, narrower numbers.
pub(crate) const OTHER: &str = r#"{"type":"record","name":"MatchFinished","namespace":"matches","fields":[
    {"name":"arena","type":"string"},{"name":"user_id","type":"int"},{"name":"match_id","type":"string"},
    {"name":"log","type":{"type":"map","values":{"type":"array","items":["null","string"]}}},
    {"name":"rewards","type":{"type":"array","items":{"type":"record","name":"Reward","fields":[
        {"name":"rarity","type":"double"},{"name":"item","type":"string"},{"name":"count","type":"int"}]}}}]}"#;

pub(crate) fn event() -> MatchFinished {
    let rewards = (0..6).map(|count| Reward { item: format!("potion-{count}"), count }).collect();
    MatchFinished { user_id: 42, match_id: "a-match".into(), clan: Some("Night Owls".into()), rewards }
}

/// The event as it travels.
pub(crate) fn payload(codec: &Codec) -> Vec<u8> {
    let framed = codec.frame("matches", codec.encode(&event()).unwrap()).now_or_never().unwrap();
    framed.unwrap().bytes.to_vec()
}

/// The same event as the other service writes it: without a clan.
pub(crate) fn other_payload(codec: &Codec) -> Vec<u8> {
    let rewards: Vec<_> = event()
        .rewards
        .iter()
        .map(|reward| json!({"rarity": 0.5, "item": reward.item, "count": reward.count}))
        .collect();
    let value =
        json!({"arena": "forest", "user_id": 42, "match_id": "a-match", "log": {"k": [null, "x"]}, "rewards": rewards});
    let framed = codec.frame("matches", codec.encode_json(OTHER, &value).unwrap()).now_or_never().unwrap();
    framed.unwrap().bytes.to_vec()
}

pub(crate) fn decode(codec: &Codec, payload: &[u8]) -> MatchFinished {
    codec.decode(Some(payload)).now_or_never().expect("a known schema").unwrap()
}
