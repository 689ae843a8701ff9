use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize, Debug)]
#[event(name = "accounts.Moved", version = "1.0.0", schema_inline = r#"{
    "type": "record", "name": "Moved", "namespace": "accounts", "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "street", "type": {"type": "string", "pii": true}}
    ]
}"#)]
struct Moved {
    #[event(key)]
    user_id: i64,
    street: String,
}

fn main() {}
