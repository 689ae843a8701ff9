use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards<'a>(&'a str);

#[dispatcher(source = "accounts")]
impl<'a> Leaderboards<'a> {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) {}
}

fn main() {}
