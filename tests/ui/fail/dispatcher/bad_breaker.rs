use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", breaker(pause = "5s"))]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", breaker())]
    async fn says_nothing(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", breaker(max_pause = "1s"))]
    async fn shorter_than_the_first(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^3", breaker(pause = "2m", max_pause = "1m"))]
    async fn longer_than_the_longest(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^4", breaker(key = 3, keys = -1))]
    async fn unknown_and_negative(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^5", breaker = 3)]
    async fn no_list(&self, _event: UserUpdated) {}
}

fn main() {}
