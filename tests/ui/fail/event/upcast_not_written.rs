use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings_ui_tests::UserUpdated;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "3.0.0", schema = "schemas/accounts/UserUpdatedV3.avsc")]
#[event(upcast_from = UserUpdated)]
#[serde(rename = "UserUpdated")]
struct UserUpdatedV3 {
    #[event(key)]
    user_id: i64,
    nickname: Option<String>,
}

fn main() {}
