//! The crate may go by another name, or be reached through another crate.

extern crate tidings as domain_events;

use crate::domain_events::prelude::*;
use serde::{Deserialize, Serialize};

mod facade {
    pub use ::tidings as domain_events;
}

#[derive(Event, Serialize, Deserialize)]
#[event(
    crate = domain_events,
    name = "accounts.UserDeleted",
    version = "1.0.0",
    schema = "schemas/accounts/UserDeleted.avsc"
)]
struct UserDeleted {
    #[event(key)]
    user_id: i64,
}

struct Leaderboards;

#[dispatcher(source = "accounts", crate = crate::facade::domain_events)]
impl Leaderboards {
    #[on("accounts.UserDeleted", version = "<2")]
    async fn on_user_deleted(&self, event: UserDeleted) {
        let _ = event.user_id;
    }

    #[on("accounts.UserDeleted", version = "^2", batch(max = 5, wait = "1s"))]
    async fn on_users_deleted(&self, events: Vec<UserDeleted>, _messages: Vec<Message>) {
        let _ = events;
    }
}

fn main() {
    assert_eq!(Leaderboards::routes().len(), 2);
}
