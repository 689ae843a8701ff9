use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Serialize, Deserialize)]
enum Either {
    String(String),
    Long(i64),
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema_inline = r#"{
    "type": "record", "name": "UserUpdated", "namespace": "accounts",
    "fields": [
        {"name": "user_id", "type": "long"},
        {"name": "plain", "type": ["string", "long"]},
        {"name": "never_null", "type": ["string", "long"]},
        {"name": "plain_or_null", "type": ["null", "string", "long"], "default": null},
        {"name": "null", "type": ["null", "string", "long"], "default": null},
        {"name": "plain_within", "type": {"type": "array", "items": ["string", "long"]}},
        {"name": "right", "type": ["string", "long"]},
        {"name": "right_or_null", "type": ["null", "string", "long"], "default": null}
    ]
}"#)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    plain: String,
    never_null: Option<Either>,
    plain_or_null: Option<i64>,
    null: String,
    plain_within: Vec<i64>,
    right: Either,
    right_or_null: Option<Either>,
}

fn main() {}
