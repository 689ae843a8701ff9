use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source, crate = "events")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version, timeout = 30, on_exhausted("stop"), retry = 5)]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
