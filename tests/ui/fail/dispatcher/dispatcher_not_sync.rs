use std::cell::RefCell;

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards {
    names: RefCell<Vec<String>>,
}

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: UserUpdated) {
        self.names.borrow_mut().push(event.nickname);
    }
}

fn main() {}
