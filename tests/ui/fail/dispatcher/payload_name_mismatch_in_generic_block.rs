use std::marker::PhantomData;

use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

struct Leaderboards<E>(PhantomData<fn() -> E>);

#[dispatcher(source = "accounts")]
impl<E: Event> Leaderboards<E> {
    #[on("accounts.UserRenamed")]
    async fn on_user_renamed(&self, _event: E) {}
}

fn main() {
    Leaderboards::<UserUpdated>::routes();
}
