use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", max_waiting = "many")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", max_waiting = -1)]
    async fn on_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", max_waiting = 5_000_000_000)]
    async fn on_second(&self, _event: UserUpdated) {}
}

fn main() {}
