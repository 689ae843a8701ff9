use tidings::prelude::*;
use tidings_ui_tests as _;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", batch(max = 100, wait = "50ms"))]
    async fn on_user_updated(&self, _events: Vec<String>) {}
}

fn main() {}
