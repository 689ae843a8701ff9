use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = ">=1.2.3")]
    async fn on_user_updated(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = ">=2")]
    async fn on_user_updated_v2(&self, _event: UserUpdated) {}
}

fn main() {}
