//! What is read, changed and saved in a transaction.

use std::future::Future;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Connection;
use crate::event::Key;

/// Something with a key and a version, kept in the database.
///
/// The version is how two writers notice each other: [`save`](Self::save) writes only where the version is still the one
/// that was read.
///
/// Where it is the row of one table, [derive](macro@super::Entity) it. By hand:
///
/// ```
/// use tidings::database::{Connection, Entity, Saved, Versioned};
/// use tidings::database::sqlx::{self, Row as _};
///
/// #[derive(Clone)]
/// struct Account {
///     id: i64,
///     nickname: String,
/// }
///
/// # #[cfg(feature = "mysql")]
/// impl Entity for Account {
///     type Key = i64;
///
///     fn key(&self) -> &i64 {
///         &self.id
///     }
///
///     async fn load(connection: Connection<'_>, id: &i64) -> Result<Option<Versioned<Self>>, sqlx::Error> {
///         let query = sqlx::query("SELECT nickname, version FROM account WHERE id = ?").bind(id);
///         let row = query.fetch_optional(connection.mysql()?).await?;
///         row.map(|row| {
///             let account = Self { id: *id, nickname: row.try_get("nickname")? };
///             Ok(Versioned { entity: account, version: row.try_get("version")? })
///         })
///         .transpose()
///     }
///
///     async fn save(&self, connection: Connection<'_>, expected: Option<u64>) -> Result<Saved, sqlx::Error> {
///         let query = match expected {
///             None => sqlx::query("INSERT INTO account (nickname, id, version) VALUES (?, ?, 1)")
///                 .bind(&self.nickname)
///                 .bind(self.id),
///             Some(version) => sqlx::query("UPDATE account SET nickname = ?, version = version + 1 WHERE id = ? AND version = ?")
///                 .bind(&self.nickname)
///                 .bind(self.id)
///                 .bind(version),
///         };
///         let done = query.execute(connection.mysql()?).await?;
///         Ok(Saved::if_one_row(done.rows_affected()))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an entity",
    label = "this type does not implement `Entity`",
    note = "derive it: `#[derive(Entity, Clone)]` with `#[entity(table = \"…\")]`, and `#[entity(key)]` on a field"
)]
pub trait Entity: Clone + Send + Sync + 'static {
    /// What it is found by.
    type Key: Key + ?Sized;

    /// Its key.
    fn key(&self) -> &Self::Key;

    /// Read it, if it exists.
    ///
    /// # Errors
    /// The database's.
    fn load(
        connection: Connection<'_>,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Versioned<Self>>, sqlx::Error>> + Send;

    /// Read it and lock it until the transaction ends, for [`Locking::ForUpdate`](super::Locking::ForUpdate).
    /// Default: [`load`](Self::load), which locks nothing; the version still guards the write.
    ///
    /// # Errors
    /// The database's.
    fn load_for_update(
        connection: Connection<'_>,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Versioned<Self>>, sqlx::Error>> + Send {
        Self::load(connection, key)
    }

    /// Write it if its version is still `expected`, and raise its version; insert it where `expected` is `None`.
    /// A row that exists already may be reported as the database's unique violation.
    ///
    /// # Errors
    /// The database's.
    fn save(
        &self,
        connection: Connection<'_>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Saved, sqlx::Error>> + Send;
}

/// An entity that can be deleted, with [`Transaction::delete`](super::Transaction::delete).
///
/// Derive it with `#[entity(.., delete)]`. By hand, see to it that an entity that is created anew under the same key begins at a
/// version that nobody can have read before; else somebody who read the old one may write over the new one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be deleted",
    label = "this type does not implement `DeleteEntity`",
    note = "where `Entity` is derived, say so: `#[entity(table = \"…\", delete)]`"
)]
pub trait DeleteEntity: Entity {
    /// Delete it if its version is still `expected`; whatever its version is, and whether or not it exists, where that is `None`.
    ///
    /// # Errors
    /// The database's.
    fn delete(
        &self,
        connection: Connection<'_>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Saved, sqlx::Error>> + Send;
}

/// An entity as it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<A> {
    /// The entity.
    pub entity: A,
    /// Its version; rises with every save.
    pub version: u64,
}

/// What became of a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Saved {
    /// It was written.
    Done,
    /// Its version is no longer the expected one: somebody else wrote it.
    Conflict,
}

impl Saved {
    /// Done if the statement changed one row.
    pub const fn if_one_row(rows: u64) -> Self {
        if rows == 1 { Self::Done } else { Self::Conflict }
    }
}

/// An entity to be written, its type forgotten.
pub(crate) trait WriteEntity: Send + Sync {
    fn write_in<'a>(
        &'a self,
        connection: Connection<'a>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<Saved, sqlx::Error>>;
}

/// An entity that is to be as it is here.
pub(crate) struct Save<A>(pub(crate) A);

/// An entity that is to be gone.
pub(crate) struct Delete<A>(pub(crate) A);

impl<A: Entity> WriteEntity for Save<A> {
    fn write_in<'a>(
        &'a self,
        connection: Connection<'a>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<Saved, sqlx::Error>> {
        self.0.save(connection, expected).boxed()
    }
}

impl<A: DeleteEntity> WriteEntity for Delete<A> {
    fn write_in<'a>(
        &'a self,
        connection: Connection<'a>,
        expected: Option<u64>,
    ) -> BoxFuture<'a, Result<Saved, sqlx::Error>> {
        self.0.delete(connection, expected).boxed()
    }
}
