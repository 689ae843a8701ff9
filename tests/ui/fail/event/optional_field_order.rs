use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "nickname", "type": ["string", "null"], "default": "Ada"},
        {"name": "motto", "type": ["null", "string"]},
        {"name": "title", "type": ["null", "string"], "default": "none"}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    nickname: Option<String>,
    motto: Option<String>,
    title: Option<String>,
}

fn main() {}
