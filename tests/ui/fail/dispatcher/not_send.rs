use std::rc::Rc;

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: UserUpdated) {
        let name = Rc::new(event.nickname);
        self.rename(&name).await;
        drop(name);
    }

    async fn rename(&self, _name: &str) {}
}

fn main() {}
