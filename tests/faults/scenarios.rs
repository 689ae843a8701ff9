//! Databases of these tests' own, as those of the scenarios have them.

#[path = "../scenarios/account.rs"]
pub(crate) mod account;
#[path = "../scenarios/stage.rs"]
pub(crate) mod stage;
