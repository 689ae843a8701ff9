//! A handler says which field its shard is found by, whatever the payload is called or destructured into.

use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated};

type Payload = UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", shard = nickname)]
    async fn on_user_updated(&self, Payload { user_id, .. }: Payload) {
        assert!(user_id > 0);
    }

    #[on("accounts.UserDeleted", shard = user_id)]
    async fn on_user_deleted(&self, event: UserDeleted, message: Message) {
        let _ = (event, message);
    }
}

fn main() {
    assert_eq!(Leaderboards::routes().len(), 2);
}
