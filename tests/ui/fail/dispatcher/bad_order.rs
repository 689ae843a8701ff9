use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", order = "none")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", order = "keys")]
    async fn on_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", order = partition)]
    async fn on_second(&self, _event: UserUpdated) {}
}

fn main() {}
