use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", shard = user_id, batch(max = 10, wait = "50ms"))]
    async fn on_user_updated(&self, _events: Vec<UserUpdated>) {}
}

fn main() {}
