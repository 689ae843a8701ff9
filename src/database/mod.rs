//! Transactions that change entities and publish their events, on MySQL, MariaDB or SQLite.
//!
//! [`Database::atomically`] reads an entity, runs the caller's logic, and then writes the entity and its events in **one
//! short transaction**. Nothing is open while the logic runs, unless it asks for the connection.
//!
//! ```no_run
//! # use tidings::database::{Database, Connection, Entity, Saved, Transaction, Versioned};
//! # #[derive(Clone)]
//! # struct Account { id: i64, nickname: String }
//! # impl Entity for Account {
//! #     type Key = i64;
//! #     fn key(&self) -> &i64 { &self.id }
//! #     async fn load(_: Connection<'_>, _: &i64) -> Result<Option<Versioned<Self>>, sqlx::Error> { Ok(None) }
//! #     async fn save(&self, _: Connection<'_>, _: Option<u64>) -> Result<Saved, sqlx::Error> { Ok(Saved::Done) }
//! # }
//! # async fn rename<U: tidings::Event>(db: &Database, user_id: i64, event: U) -> Result<(), tidings::database::Error> {
//! db.atomically(&user_id, async |tx: Transaction, account: Option<Account>| {
//!     let account = Account { nickname: "Kim".into(), ..account.unwrap_or(Account { id: user_id, nickname: String::new() }) };
//!     tx.save(&account);
//!     tx.publish(&event);
//!     Ok(())
//! })
//! .await
//! # }
//! ```

mod atomically;
mod commit;
mod connection;
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
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transaction;

pub use atomically::{Locking, TransactionOptions};
pub use connection::Connection;
pub use entity::{Entity, Saved, Versioned};
pub use error::Error;
#[cfg(feature = "mysql")]
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
pub use transaction::{Transaction, TransactionConnection};

pub use sqlx;
