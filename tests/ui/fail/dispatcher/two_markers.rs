use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1")]
    #[on("accounts.UserUpdated", version = "^3")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
