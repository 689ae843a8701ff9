use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", retry(max = "30s"))]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", retry(max_attempts = 0))]
    async fn never_attempted(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", retry(initial = "1m"))]
    async fn longer_than_the_longest(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^3", retry(attempts = 3, max_attempts = -1))]
    async fn unknown_and_negative(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^4", retry())]
    async fn says_nothing(&self, _event: UserUpdated) {}
}

fn main() {}
