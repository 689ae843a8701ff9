use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts", "tidings.version": "1.4.0",
    "fields": [{"name": "user_id", "type": "long"}]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
}

fn main() {}
