use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[cfg_attr(unix, on("accounts.UserUpdated"))]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
