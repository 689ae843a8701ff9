use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

struct NotFound;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: UserUpdated) -> Result<(), NotFound> {
        Err(NotFound)
    }
}

fn main() {}
