use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated<E: Event>(&self, _event: E) {}

    #[on("accounts.UserDeleted")]
    async fn on_user_deleted<'a>(&'a self, _event: UserUpdated) {}
}

fn main() {}
