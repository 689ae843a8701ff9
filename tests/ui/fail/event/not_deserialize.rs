use serde::Serialize;
use tidings::Event;

#[derive(Event, Serialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
    nickname: String,
}

fn main() {}
