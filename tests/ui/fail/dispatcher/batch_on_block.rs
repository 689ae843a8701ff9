use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", batch(max = 100, wait = "50ms"), order = "key")]
impl Leaderboards {
    #[on("accounts.UserUpdated", timeout = "5s")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
