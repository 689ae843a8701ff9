//! The connection an entity is read and written through.

/// A connection of whichever kind the database is.
#[derive(Debug)]
#[non_exhaustive]
pub enum Connection<'c> {
    /// MySQL or MariaDB.
    #[cfg(feature = "mysql")]
    MySql(&'c mut sqlx::MySqlConnection),
    /// SQLite.
    #[cfg(feature = "sqlite")]
    Sqlite(&'c mut sqlx::SqliteConnection),
}

impl<'c> Connection<'c> {
    /// `MySQL` or `SQLite`.
    pub const fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => "MySQL",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "SQLite",
        }
    }

    /// Whether this is MySQL or MariaDB.
    pub const fn is_mysql(&self) -> bool {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// The MySQL connection.
    ///
    /// # Errors
    /// [`sqlx::Error::Configuration`]: the database is of another kind.
    #[cfg(feature = "mysql")]
    pub fn mysql(self) -> Result<&'c mut sqlx::MySqlConnection, sqlx::Error> {
        match self {
            Self::MySql(connection) => Ok(connection),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Err(wrong_kind("MySQL", "SQLite")),
        }
    }

    /// The SQLite connection.
    ///
    /// # Errors
    /// [`sqlx::Error::Configuration`]: the database is of another kind.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(self) -> Result<&'c mut sqlx::SqliteConnection, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => Ok(connection),
            #[cfg(feature = "mysql")]
            Self::MySql(_) => Err(wrong_kind("SQLite", "MySQL")),
        }
    }
}

#[cfg(all(feature = "mysql", feature = "sqlite"))]
fn wrong_kind(wanted: &'static str, actual: &'static str) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(super::Error::WrongKind { wanted, actual }))
}
