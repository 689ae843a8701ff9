use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = ">=1.x.")]
    async fn unreadable(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = ">2, <1")]
    async fn matches_nothing(&self, _event: UserUpdated) {}
}

fn main() {}
