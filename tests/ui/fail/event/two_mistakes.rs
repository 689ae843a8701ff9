use serde::{Deserialize, Serialize};
use tidings::Event;

#[derive(Event, Serialize, Deserialize)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
struct UserUpdated {
    user_id: u64,
    nick: String,
}

struct Leaderboards;

#[tidings::dispatcher(source = "accounts")]
impl Leaderboards {
    // No further error here: the struct is an event for the rest of the program.
    #[tidings::on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
