use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

// Reported once, not again for each handler that inherits it.
#[dispatcher(source = "accounts", retry(initial = "1m", max = "1s"), breaker(pause = "2m", max_pause = "1m"))]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1")]
    async fn on_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", rate = 5)]
    async fn on_second(&self, _event: UserUpdated) {}
}

fn main() {}
