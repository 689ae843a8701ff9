use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event()]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
}

fn main() {}
