//! What `#[derive(Entity)]` names of a database, without one.
//!
//! With one, the fixtures would take minutes to compile. What the derive does on real databases is tested with the scenarios, and the
//! bounds on fields' types with the documentation.

use std::future::Future;

use tidings::Key;

/// A database's errors.
pub mod sqlx {
    /// An error.
    #[derive(Debug)]
    pub struct Error;
}

/// A connection.
#[derive(Debug)]
pub struct Connection<'c>(pub &'c str);

/// An entity and its version.
#[derive(Debug)]
pub struct Versioned<A> {
    /// The entity.
    pub entity: A,
    /// The version.
    pub version: u64,
}

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub enum Saved {
    /// It was written.
    Done,
}

/// As in `tidings::database`.
pub trait Entity: Clone + Send + Sync + 'static {
    /// What it is found by.
    type Key: Key + ?Sized;

    /// Its key.
    fn key(&self) -> &Self::Key;

    /// Read it.
    fn load(
        connection: Connection<'_>,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Versioned<Self>>, sqlx::Error>> + Send;

    /// Read it and lock it.
    fn load_for_update(
        connection: Connection<'_>,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Option<Versioned<Self>>, sqlx::Error>> + Send {
        Self::load(connection, key)
    }

    /// Write it.
    fn save(
        &self,
        connection: Connection<'_>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Saved, sqlx::Error>> + Send;
}

/// As in `tidings::database`.
pub trait DeleteEntity: Entity {
    /// Delete it.
    fn delete(
        &self,
        connection: Connection<'_>,
        expected: Option<u64>,
    ) -> impl Future<Output = Result<Saved, sqlx::Error>> + Send;
}
