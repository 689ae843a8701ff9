use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", rate = 0)]
    async fn on_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", rate = -1)]
    async fn on_second(&self, _event: UserUpdated) {}
}

fn main() {}
