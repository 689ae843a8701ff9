use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

macro_rules! handlers {
    () => {
        #[on("accounts.UserUpdated")]
        async fn on_user_updated(&self, _event: UserUpdated) {}
    };
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    handlers!();
}

fn main() {}
