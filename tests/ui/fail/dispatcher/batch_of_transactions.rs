//! A handler of batches has one transaction for all of its events, not one for each.

use tidings::dispatch::FromDelivery;
use tidings::prelude::*;
use tidings_ui_tests::UserUpdated;

/// Something that opens the handler's transaction.
struct Ledger;

impl FromDelivery for Ledger {
    const USES_TRANSACTION: bool = true;

    async fn from_delivery(_: &Delivery) -> Result<Self> {
        Ok(Self)
    }
}

struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    #[on("accounts.UserUpdated", batch(max = 10, wait = "1s"))]
    async fn on_updates(&self, _events: Vec<UserUpdated>, _ledgers: Vec<Ledger>) {}
}

fn main() {}
