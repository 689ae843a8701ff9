use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "scores", "type": {"type": "array", "items": ["null", "long"]}}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: u64,
    scores: Vec<Option<u128>>,
}

fn main() {}
