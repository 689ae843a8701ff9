//! A method whose condition does not hold is no route, and its types need not exist.

use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated};

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[cfg(all())]
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: UserUpdated, #[cfg(any())] missing: Missing, _message: Message) {
        drop(event);
    }

    // The two exclude each other, which the macro cannot know: they are compared when the consumer starts.
    #[cfg(any())]
    #[on("accounts.UserUpdated")]
    async fn on_user_updated_elsewhere(&self, event: Missing) {}

    #[cfg_attr(all(), cfg(any()))]
    #[on("accounts.UserRenamed")]
    async fn on_user_renamed(&self, event: Missing) {}

    #[cfg_attr(all(), allow(unused_variables), doc = "Ignored.")]
    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, event: UserDeleted) {}
}

struct Nothing;

#[dispatcher(source = "accounts")]
impl Nothing {
    #[cfg(any())]
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: Missing) {}
}

fn main() {
    let routes = Leaderboards::routes();
    let handlers: Vec<_> = routes.infos().map(|route| route.handler).collect();
    assert_eq!(handlers, ["on_user_updated", "on_user_deleted"]);
    assert!(routes.check().is_ok());
    assert!(Nothing::routes().is_empty());
}
