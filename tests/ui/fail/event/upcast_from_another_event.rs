use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings_ui_tests::UserDeleted;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "3.0.0", schema = "schemas/accounts/UserUpdatedV3.avsc")]
#[event(upcast_from = UserDeleted)]
#[serde(rename = "UserUpdated")]
struct UserUpdatedV3 {
    #[event(key)]
    user_id: i64,
    nickname: Option<String>,
}

impl tidings::upcast::Upcast<UserDeleted> for UserUpdatedV3 {
    fn upcast(older: UserDeleted) -> Self {
        Self { user_id: older.user_id, nickname: None }
    }
}

fn main() {}
