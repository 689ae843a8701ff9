use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "nickname", "type": "string"},
        {"name": "level", "type": ["null", "int"], "default": null},
        {"name": "scores", "type": {"type": "array", "items": "double"}},
        {"name": "photo", "type": "bytes"},
        {"name": "counts", "type": {"type": "map", "values": "long"}}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i32,
    nickname: i64,
    level: Option<i64>,
    scores: Vec<f32>,
    photo: Vec<u8>,
    counts: HashMap<String, i64>,
}

fn main() {}
