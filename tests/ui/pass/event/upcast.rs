//! An event of an older version is read by way of its own type, whatever the crate and the trait are called here.

use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings_ui_tests::UserUpdated;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "3.0.0", schema = "schemas/accounts/UserUpdatedV3.avsc")]
#[event(upcast_from = tidings_ui_tests::UserUpdated)]
#[serde(rename = "UserUpdated")]
struct UserUpdatedV3 {
    #[event(key)]
    user_id: i64,
    nickname: Option<String>,
}

impl tidings::upcast::Upcast<UserUpdated> for UserUpdatedV3 {
    fn upcast(older: UserUpdated) -> Self {
        Self { user_id: older.user_id, nickname: Some(older.nickname) }
    }
}

fn main() {
    let older = tidings::dispatch::PayloadInfo::of::<UserUpdatedV3>().older.expect("the type of version 1");
    assert_eq!((older.version, older.older.is_none()), ("1.3.0", true));
    assert!(UserUpdatedV3::UPCASTS.is_some());
}
