use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts" timeout = "5s")]
impl Leaderboards {
    #[on("accounts.UserUpdated" version = "^1")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
