use std::marker::PhantomData;

use tidings::prelude::*;
use tidings_ui_tests::UserDeleted;

struct Inventory<E>(PhantomData<E>);

#[dispatcher(source = "accounts")]
impl<E: Event> Inventory<E> {
    #[on("accounts.UserUpdated", batch(max = 100, wait = "50ms"))]
    async fn on_users_updated(&self, _events: Vec<E>) {}
}

fn main() {
    Inventory::<UserDeleted>::routes();
}
