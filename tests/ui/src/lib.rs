//! The events that the fixtures share. What must, or must not, compile is in `pass/` and `fail/`.
//!
//! This crate is linted more strictly than a user's would be: generated code may not give rise to a warning.
#![warn(clippy::nursery, unused_qualifications, unused_crate_dependencies, single_use_lifetimes, unused_lifetimes)]
// The fixtures use it.
#![cfg_attr(test, allow(unused_crate_dependencies))]

pub mod database;
pub mod derived_entity;

/// What generated code calls.
#[doc(hidden)]
pub mod __private {
    pub use crate::derived_entity as entity;
}

use serde::{Deserialize, Serialize};
use tidings::prelude::*;
pub use tidings_macros::Entity;

/// A player's profile changed.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.UserUpdated", version = "1.3.0", schema = "schemas/accounts/UserUpdated.avsc")]
pub struct UserUpdated {
    /// The player.
    #[event(key)]
    pub user_id: i64,
    /// What others see.
    pub nickname: String,
}

/// A player's profile changed, as of version 3.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.UserUpdated", version = "3.0.0", schema = "schemas/accounts/UserUpdatedV3.avsc")]
#[serde(rename = "UserUpdated")]
pub struct UserUpdatedV3 {
    /// The player.
    #[event(key)]
    pub user_id: i64,
    /// What others see.
    pub nickname: Option<String>,
}

/// A player left for good.
#[derive(Event, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[event(name = "accounts.UserDeleted", version = "1.0.0", schema = "schemas/accounts/UserDeleted.avsc")]
pub struct UserDeleted {
    /// The player.
    #[event(key)]
    pub user_id: i64,
}

/// Handles all of them, so that clippy sees what the macros write.
#[derive(Debug, Default)]
pub struct Audit {
    prefix: String,
}

#[dispatcher(source = "accounts", retry(max_attempts = 3), timeout = "5s")]
impl Audit {
    /// Notes a new nickname.
    #[on("accounts.UserUpdated", version = "<3")]
    async fn on_user_updated(&self, event: UserUpdated, message: Message) -> Result<()> {
        self.note(&event.nickname, message.id()).terminal()
    }

    /// Notes a new nickname, or none.
    #[on("accounts.UserUpdated", version = ">=3", on_exhausted = "stop")]
    pub async fn on_user_updated_v3(&self, UserUpdatedV3 { nickname, .. }: UserUpdatedV3) -> Outcome {
        match self.note(nickname.as_deref().unwrap_or_default(), None) {
            Ok(()) => Outcome::Done,
            Err(error) => Outcome::dead_letter(error),
        }
    }

    #[on("accounts.UserDeleted")]
    async fn on_user_deleted(&self, event: UserDeleted) {
        let _ = self.note(&event.user_id.to_string(), None);
    }

    fn note(&self, nickname: &str, id: Option<&str>) -> Result<(), std::fmt::Error> {
        use std::fmt::Write as _;
        write!(String::new(), "{}{nickname}{id:?}", self.prefix)
    }
}

/// A player, so that clippy sees what the macro writes.
#[derive(Entity, Debug, Clone, PartialEq, Eq)]
#[entity(table = "account", delete, crate = crate)]
pub struct Account {
    /// The player.
    #[entity(key)]
    pub id: i64,
    /// What others see.
    pub nickname: String,
}
