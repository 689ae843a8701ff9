use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", timeout = "30", retry(initial = "1.5s", max = "0ms", max_age = "ten minutes"))]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
