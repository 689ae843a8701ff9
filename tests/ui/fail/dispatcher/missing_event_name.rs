use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on]
    async fn bare(&self, _event: UserUpdated) {}

    #[on()]
    async fn empty(&self, _event: UserUpdated) {}

    #[on(version = "^1")]
    async fn only_a_version(&self, _event: UserUpdated) {}

    #[on(UserUpdated)]
    async fn a_type(&self, _event: UserUpdated) {}
}

fn main() {}
