//! Transactions that change entities and publish their events, on MySQL, MariaDB or SQLite.
//!
//! [`Database::atomically`] reads an entity, runs the caller's logic, and then writes the entity and its events in **one
//! short transaction**. Nothing is open while the logic runs, unless it asks for the connection.
//!
//! ```no_run
//! # use serde::{Deserialize, Serialize};
//! use tidings::database::{Database, Entity, Error, Transaction};
//! # use tidings::prelude::*;
//! # #[derive(Event, Serialize, Deserialize)]
//! # #[event(name = "accounts.Renamed", version = "1.0.0", entity = "Account")]
//! # #[event(schema_inline = r#"{"type": "record", "name": "Renamed", "namespace": "accounts",
//! #   "fields": [{"name": "id", "type": "long"}, {"name": "nickname", "type": "string"}]}"#)]
//! # struct Renamed { #[event(key)] id: i64, nickname: String }
//!
//! #[derive(Entity, Clone)]
//! #[entity(table = "account")]
//! struct Account {
//!     #[entity(key)]
//!     id: i64,
//!     nickname: String,
//! }
//!
//! async fn rename(db: &Database, id: i64, nickname: &str) -> std::result::Result<(), Error> {
//!     db.atomically(&id, async |tx: Transaction, account: Option<Account>| {
//!         let Some(account) = account else { return Ok(()) };
//!         let account = Account { nickname: nickname.to_owned(), ..account };
//!         tx.save(&account);
//!         tx.publish(&Renamed { id, nickname: nickname.to_owned() });
//!         Ok(())
//!     })
//!     .await
//! }
//! ```

mod atomically;
pub(crate) mod bounded;
pub(crate) mod columns;
mod commit;
mod connection;
#[doc(hidden)]
pub mod derived;
mod entity;
mod error;
mod events;
#[cfg(feature = "mysql")]
mod held;
pub mod inbox;
mod migrate;
#[cfg(feature = "mysql")]
mod mysql;
pub(crate) mod open;
mod options;
pub(crate) mod pool;
mod recorder;
pub(crate) mod session;
pub mod shards;
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transaction;

pub(crate) use atomically::{Attempts, execute_again};
pub use atomically::{Locking, TransactionOptions};
pub use connection::Connection;
pub use entity::{DeleteEntity, Entity, Saved, Versioned};
pub use error::Error;
pub(crate) use error::Failure;
#[cfg(all(any(feature = "consumer", feature = "store"), any(feature = "mysql", feature = "sqlite")))]
pub(crate) use error::check_name;
#[cfg(all(feature = "consumer", any(feature = "mysql", feature = "sqlite")))]
pub(crate) use error::may_run_again;
pub use inbox::Inbox;
#[cfg(feature = "store")]
pub(crate) use migrate::TableSet;
pub use options::DatabaseOptions;
pub use pool::Database;
pub use shards::Shards;
pub use transaction::{Transaction, TransactionConnection};

#[cfg(feature = "macros")]
#[doc = include_str!("../docs/entity.md")]
pub use tidings_macros::Entity;

pub use sqlx;
