//! Handlers with a condition are not compared by the macro, but by `Routes::check`.

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) {}

    #[cfg(all())]
    #[on("accounts.UserUpdated", version = "^2")]
    async fn on_user_updated_v2(&self, _event: UserUpdated) {}
}

fn main() {
    let conflict = Leaderboards::routes().check().unwrap_err();
    assert_eq!((conflict.left, conflict.right), ("on_user_updated", "on_user_updated_v2"));
}
