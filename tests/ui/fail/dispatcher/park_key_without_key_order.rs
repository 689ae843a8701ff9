use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts", on_exhausted = "park_key")]
impl Leaderboards {
    #[on("accounts.UserUpdated", version = "^1", order = "unordered")]
    async fn order_here(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", on_exhausted = "park_key", order = "partition")]
    async fn both_here(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^3", order = "partition", on_exhausted = "stop")]
    async fn neither(&self, _event: UserUpdated) {}
}

struct Inventory;

#[dispatcher(source = "accounts", on_exhausted = "park_key", order = "partition")]
impl Inventory {
    #[on("accounts.UserUpdated", version = "^1")]
    async fn inherits_both(&self, _event: UserUpdated) {}

    #[on("accounts.UserUpdated", version = "^2", order = "key")]
    async fn mends_it(&self, _event: UserUpdated) {}
}

fn main() {}
