use std::sync::Mutex;

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards {
    names: Mutex<Vec<String>>,
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: UserUpdated) {
        let mut names = self.names.lock().unwrap();
        self.rename(&event.nickname).await;
        names.push(event.nickname);
    }

    async fn rename(&self, _name: &str) {}
}

fn main() {}
