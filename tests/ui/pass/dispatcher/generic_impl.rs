//! The block may be generic; each set of types is a dispatcher of its own.

use std::marker::PhantomData;

use tidings::prelude::*;
use tidings_ui_tests::{UserDeleted, UserUpdated};

trait Store: Send + Sync + 'static {
    fn remove(&self, user_id: i64) -> impl Future<Output = Result<()>> + Send;
}

struct Inventory<S, E, const LIMIT: usize>
where
    E: Event,
{
    store: S,
    event: PhantomData<E>,
}

#[dispatcher(source = "accounts")]
impl<S: Store, E, const LIMIT: usize> Inventory<S, E, LIMIT>
where
    E: Event,
{
    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, event: UserDeleted, _state: State<S>) -> Result {
        self.store.remove(event.user_id).await
    }

    #[on("accounts.UserUpdated")]
    async fn on_user_updated(&self, event: E) -> Result<(), std::fmt::Error> {
        drop(event);
        Ok(())
    }
}

struct Memory;

impl Store for Memory {
    async fn remove(&self, _: i64) -> Result<()> {
        Ok(())
    }
}

fn main() {
    let _ = Inventory::<Memory, UserUpdated, 3> { store: Memory, event: PhantomData };
    let routes = Inventory::<Memory, UserUpdated, 3>::routes();
    let payloads: Vec<_> = routes.infos().map(|route| route.payload.event).collect();
    assert_eq!(payloads, ["accounts.UserDeleted", "accounts.UserUpdated"]);
    assert_eq!(Inventory::<Memory, UserUpdated, 3>::NAME, "Inventory");
}
