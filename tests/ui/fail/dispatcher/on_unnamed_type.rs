use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

trait Handles {}

#[dispatcher(source = "accounts")]
impl dyn Handles {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
