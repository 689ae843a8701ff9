use tidings::prelude::*;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, _event: impl Event, _state: State<Option<impl Send>>) {}
}

fn main() {}
