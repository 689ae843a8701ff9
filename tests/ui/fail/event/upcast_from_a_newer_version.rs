use serde::{Deserialize, Serialize};
use tidings::Event;
use tidings::upcast::Upcast;
use tidings_ui_tests::UserUpdatedV3;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
#[event(upcast_from = UserUpdatedV3)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    nickname: String,
}

impl Upcast<UserUpdatedV3> for UserUpdated {
    fn upcast(older: UserUpdatedV3) -> Self {
        Self { user_id: older.user_id, nickname: older.nickname.unwrap_or_default() }
    }
}

fn main() {}
