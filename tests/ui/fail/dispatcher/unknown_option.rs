use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", retries = 5)]
impl Leaderboards {
    #[on("accounts.UserUpdated", versions = ">=1.2.3")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
