//! Parameters are patterns.

use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated};

struct Score(u32);

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, UserUpdated { mut nickname, .. }: UserUpdated, State(score): State<Score>) {
        nickname.push_str(&score.0.to_string());
    }

    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, _: UserDeleted) {}
}

fn main() {
    assert_eq!(Leaderboards::routes().len(), 2);
}
