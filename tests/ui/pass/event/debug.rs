//! A `Debug` shows nothing that the schema marks.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Serialize, Deserialize, Debug)]
struct Home {
    street: String,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.Moved", version = "1.0.0", debug)]
#[event(schema_inline = r#"{"type": "record", "name": "Moved", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"},
    {"name": "mail", "type": ["null", "string"], "default": null, "pii": true},
    {"name": "home", "type": {"type": "record", "name": "Home", "fields": [{"name": "street", "type": "string", "pii": true}]}}]}"#)]
struct Moved {
    #[event(key)]
    user_id: i64,
    mail: Option<String>,
    home: Home,
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.Renamed", version = "1.0.0", debug = "own")]
#[event(schema_inline = r#"{"type": "record", "name": "Renamed", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"}, {"name": "name", "type": "string", "pii": true}]}"#)]
struct Renamed {
    #[event(key)]
    user_id: i64,
    name: String,
}

impl fmt::Debug for Renamed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Renamed({}, {} letters)", self.user_id, self.name.len())
    }
}

/// Has none, and needs none.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.Left", version = "1.0.0")]
#[event(schema_inline = r#"{"type": "record", "name": "Left", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"}, {"name": "reason", "type": "string", "pii": true}]}"#)]
struct Left {
    #[event(key)]
    user_id: i64,
    reason: String,
}

fn main() {
    let home = Home { street: "Piotrkowska 1".to_owned() };
    let moved = Moved { user_id: 42, mail: Some("zoe@mail.example".to_owned()), home };
    assert_eq!(format!("{moved:?}"), "Moved { user_id: 42, mail: ***, home: *** }");
    let renamed = Renamed { user_id: 42, name: "Zoë".to_owned() };
    assert_eq!(format!("{renamed:?}"), "Renamed(42, 4 letters)");
    let left = Left { user_id: 42, reason: "r".to_owned() };
    assert_eq!((left.key().as_ref(), left.reason.as_str()), ("42", "r"));
}
