use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", batch(max = 100))]
    async fn on_user_updated(&self, _events: Vec<UserUpdated>) {}
}

fn main() {}
