//! What the code of `#[derive(Entity)]` calls, keeping what it is told.
#![allow(clippy::unused_async, reason = "as in `tidings`, where they wait for a database")]

use crate::database::sqlx::Error;
use crate::database::{Connection, Entity, Saved, Versioned};

/// As in `tidings`.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Statements {
    pub load: &'static str,
    pub load_for_update: &'static str,
    pub insert: &'static str,
    pub update: &'static str,
    pub delete: &'static str,
    pub delete_version: &'static str,
    pub deletes: bool,
}

/// As in `tidings`.
pub trait Table: Entity {
    /// The statements.
    const STATEMENTS: Statements;
    /// Bind all but the key.
    fn add_columns(&self, values: &mut Values) -> Result<(), Error>;
    /// Bind the key.
    fn add_key(key: &Self::Key, values: &mut Values) -> Result<(), Error>;
    /// The entity of a row.
    fn read(row: &Row) -> Result<Self, Error>;
}

/// The values that were bound.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Values(pub Vec<String>);

impl Values {
    /// Bind a value.
    pub fn add<T: ToString + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.push(value.to_string());
        Ok(())
    }

    /// Bind a value.
    pub fn add_mysql<T: ToString + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.add(value)
    }

    /// Bind a value.
    pub fn add_sqlite<T: ToString + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.add(value)
    }
}

/// A row of defaults.
#[derive(Debug)]
pub struct Row;

impl Row {
    /// A default.
    pub fn get<T: Default>(&self, _: usize, _: &str) -> Result<T, Error> {
        Ok(T::default())
    }

    /// A default.
    pub fn get_mysql<T: Default>(&self, index: usize, column: &str) -> Result<T, Error> {
        self.get(index, column)
    }

    /// A default.
    pub fn get_sqlite<T: Default>(&self, index: usize, column: &str) -> Result<T, Error> {
        self.get(index, column)
    }
}

/// Finds a row of defaults.
pub async fn load<T: Table>(_: Connection<'_>, _: &T::Key) -> Result<Option<Versioned<T>>, Error> {
    Ok(Some(Versioned { entity: T::read(&Row)?, version: 1 }))
}

/// Finds a row of defaults.
pub async fn load_for_update<T: Table>(
    connection: Connection<'_>,
    key: &T::Key,
) -> Result<Option<Versioned<T>>, Error> {
    load(connection, key).await
}

/// Does nothing.
pub async fn save<T: Table>(_: &T, _: Connection<'_>, _: Option<u64>) -> Result<Saved, Error> {
    std::future::ready(Ok(Saved::Done)).await
}

/// Does nothing.
pub async fn delete<T: Table>(_: &T, _: Connection<'_>, _: Option<u64>) -> Result<Saved, Error> {
    std::future::ready(Ok(Saved::Done)).await
}
