use tidings::prelude::*;
use tidings_ui_tests::UserDeleted;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", batch(max = 100, wait = "50ms"))]
    async fn on_user_updated(&self, _events: Vec<UserDeleted>) {}
}

fn main() {}
