use tidings::prelude::*;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self) {}
}

fn main() {}
