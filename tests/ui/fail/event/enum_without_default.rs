use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "tiers", "type": {"type": "array", "items":
            {"type": "enum", "name": "Tier", "symbols": ["FREE", "PAID"]}}}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    tiers: Vec<Tier>,
}

#[derive(Serialize, Deserialize)]
enum Tier {
    #[serde(rename = "FREE")]
    Free,
}

fn main() {}
