use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
struct UserUpdatedV2 {
    #[event(key)]
    user_id: i64,
    nickname: String,
}

fn main() {}
