use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
}

fn main() {}
