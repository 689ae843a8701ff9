use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("UserUpdated")]
    async fn without_a_dot(&self, _event: UserUpdated) {}

    #[on("accounts.user-updated")]
    async fn with_a_hyphen(&self, _event: UserUpdated) {}
}

fn main() {}
