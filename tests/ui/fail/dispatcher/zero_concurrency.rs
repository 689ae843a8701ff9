use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", concurrency = 0)]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", concurrency = 0)]
    async fn on_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", concurrency = -1)]
    async fn on_second(&self, _event: UserUpdated) {}
}

fn main() {}
