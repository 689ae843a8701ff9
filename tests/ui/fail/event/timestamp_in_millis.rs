use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    at: i64,
}

fn main() {}
