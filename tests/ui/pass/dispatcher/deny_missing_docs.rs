//! Generated code needs no documentation, and gives rise to no other warning.
#![deny(missing_docs, warnings, unreachable_pub, missing_debug_implementations, rust_2018_idioms, unused_qualifications)]
#![deny(single_use_lifetimes, unused_lifetimes, let_underscore_drop, trivial_casts, unused_results, non_snake_case)]
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};
use tidings::prelude::*;

/// A player left for good.
#[derive(Event, Serialize, Deserialize, Debug)]
#[event(name = "accounts.UserDeleted", version = "1.0.0", schema = "schemas/accounts/UserDeleted.avsc")]
pub struct UserDeleted {
    /// The player.
    #[event(key)]
    pub user_id: i64,
}

/// The best players.
#[derive(Debug)]
pub struct Leaderboards;

#[dispatcher(source = "accounts")]
impl Leaderboards {
    /// Forgets a player.
    #[on("accounts.UserDeleted")]
    pub async fn on_user_deleted(&self, _event: UserDeleted) {}

    #[on("accounts.UserErased")]
    #[cfg(any())]
    async fn private_ones_need_none(&self, _event: UserDeleted) {}
}

fn main() {
    assert_eq!(Leaderboards::routes().len(), 1);
}
