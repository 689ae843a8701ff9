//! A key can be a type of the user's own.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidings::{Event, Key};

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct UserId(i64);

impl Key for UserId {
    fn to_key(&self) -> Cow<'_, str> {
        Cow::Owned(format!("user-{}", self.0))
    }
}

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserDeleted", version = "1.0.0", schema = "schemas/accounts/UserDeleted.avsc")]
struct UserDeleted {
    #[event(key)]
    user_id: UserId,
}

fn main() {
    assert_eq!(UserDeleted { user_id: UserId(3) }.key(), "user-3");
}
