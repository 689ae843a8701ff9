use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "latest")]
    async fn on_user_updated(&mut self, _event: UserUpdated) {}

    fn helper(&self) -> u32 {
        5
    }
}

// Neither the helper nor the trait is missing: there are two errors, not four.
fn main() {
    let _: u32 = Leaderboards.helper();
    Leaderboards::routes();
}
