//! Databases of these tests' own, as those of the scenarios have them.

#[path = "../scenarios/account.rs"]
pub(crate) mod account;
#[cfg(feature = "store")]
#[path = "../scenarios/event_store.rs"]
pub(crate) mod event_store;
#[path = "../scenarios/stage.rs"]
pub(crate) mod stage;
