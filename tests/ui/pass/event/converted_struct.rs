//! A struct that serde writes as another type is checked by its schema only.

use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize, Clone)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
#[serde(from = "Wire", into = "Wire")]
struct Renamed {
    #[event(key)]
    user: i64,
    name: (String, u64),
}

#[derive(Serialize, Deserialize)]
#[serde(rename = "UserUpdated")]
struct Wire {
    user_id: i64,
    nickname: String,
}

impl From<Wire> for Renamed {
    fn from(wire: Wire) -> Self {
        Self { user: wire.user_id, name: (wire.nickname, 0) }
    }
}

impl From<Renamed> for Wire {
    fn from(renamed: Renamed) -> Self {
        Self { user_id: renamed.user, nickname: renamed.name.0 }
    }
}

fn main() {
    assert_eq!(Renamed { user: 5, name: (String::new(), 1) }.key(), "5");
}
