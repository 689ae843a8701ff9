use tidings::prelude::*;

struct Leaderboards;

struct Renamed {
    nickname: String,
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: Renamed) {}
}

fn main() {}
