use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

trait Handles {
    fn on_user_updated(&self, event: UserUpdated) -> impl Future<Output = ()>;
}

#[dispatcher(source = "accounts")]
impl Handles for Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
