use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", source = "players")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", version = "^2")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
