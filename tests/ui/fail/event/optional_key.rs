use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": ["null", "long"], "default": null}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: Option<i64>,
}

fn main() {}
