//! What `#[derive(Entity)]` writes its code against. Not part of the public interface: it changes without notice.

use rand::RngExt as _;
#[cfg(feature = "mysql")]
use sqlx::MySql;
#[cfg(feature = "sqlite")]
use sqlx::Sqlite;
use sqlx::error::BoxDynError;
use sqlx::{Decode, Encode, Type};

use super::{Connection, Entity, Error, Saved, Versioned};

/// The statements of an entity. Values are bound in this order: the columns, the key, the version.
#[derive(Debug)]
#[allow(missing_docs, reason = "generated code fills them")]
pub struct Statements {
    pub load: &'static str,
    pub load_for_update: &'static str,
    pub insert: &'static str,
    pub update: &'static str,
    pub delete: &'static str,
    pub delete_version: &'static str,
    /// Whether entities of this table are deleted, and may be created again under the same key.
    pub deletes: bool,
}

/// An entity that is a row of a table.
pub trait Table: Entity {
    /// Its statements.
    const STATEMENTS: Statements;

    /// Bind all but the key.
    ///
    /// # Errors
    /// A value cannot be encoded.
    fn add_columns(&self, values: &mut Values) -> Result<(), sqlx::Error>;

    /// Bind the key.
    ///
    /// # Errors
    /// A value cannot be encoded.
    fn add_key(key: &Self::Key, values: &mut Values) -> Result<(), sqlx::Error>;

    /// The entity of a row.
    ///
    /// # Errors
    /// A value cannot be decoded.
    fn read(row: &Row) -> Result<Self, sqlx::Error>;
}

/// Values to be bound, for whichever kind the database is.
#[derive(Debug)]
pub enum Values {
    #[cfg(feature = "mysql")]
    #[doc(hidden)]
    MySql(sqlx::mysql::MySqlArguments),
    #[cfg(feature = "sqlite")]
    #[doc(hidden)]
    Sqlite(sqlx::sqlite::SqliteArguments),
}

/// A row of whichever kind the database is.
#[derive(Debug)]
pub enum Row {
    #[cfg(feature = "mysql")]
    #[doc(hidden)]
    MySql(sqlx::mysql::MySqlRow),
    #[cfg(feature = "sqlite")]
    #[doc(hidden)]
    Sqlite(sqlx::sqlite::SqliteRow),
}

/// What can be bound as the value of a column, on every kind of database this crate is built for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a column on every database that tidings is built for",
    note = "it needs sqlx's `Type`, `Encode` and `Decode`, for MySQL and for SQLite where the features `mysql` and `sqlite` are both on",
    note = "a type that only one of them has, such as `u64`, needs `#[entity(database = \"mysql\")]` or \"sqlite\" on the struct"
)]
pub trait Value: MySqlValue + SqliteValue {}

#[diagnostic::do_not_recommend]
impl<T: MySqlValue + SqliteValue + ?Sized> Value for T {}

/// What can be read from a column, on every kind of database this crate is built for.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column on every database that tidings is built for",
    note = "it needs sqlx's `Type`, `Encode` and `Decode`, for MySQL and for SQLite where the features `mysql` and `sqlite` are both on",
    note = "a type that only one of them has, such as `u64`, needs `#[entity(database = \"mysql\")]` or \"sqlite\" on the struct"
)]
pub trait Read: MySqlRead + SqliteRead {}

#[diagnostic::do_not_recommend]
impl<T: MySqlRead + SqliteRead> Read for T {}

macro_rules! kind {
    ($feature:literal, $name:literal, $database:ident, $arguments:ty, $row:ty, $value:ident, $read:ident, $add:ident, $get:ident) => {
        #[doc = concat!("What can be bound on ", $name, ".")]
        #[diagnostic::on_unimplemented(
            message = "`{Self}` cannot be the value of a column of this database",
            note = "it needs sqlx's `Type`, `Encode` and `Decode`"
        )]
        pub trait $value {
            #[cfg(feature = $feature)]
            #[doc(hidden)]
            fn add_to(&self, arguments: &mut $arguments) -> Result<(), BoxDynError>;
        }

        #[cfg(feature = $feature)]
        #[diagnostic::do_not_recommend]
        impl<T: ?Sized> $value for T
        where
            for<'v> &'v T: Encode<'v, $database> + Type<$database>,
        {
            fn add_to(&self, arguments: &mut $arguments) -> Result<(), BoxDynError> {
                sqlx::Arguments::add(arguments, self)
            }
        }

        #[cfg(not(feature = $feature))]
        impl<T: ?Sized> $value for T {}

        #[doc = concat!("What can be read on ", $name, ".")]
        #[diagnostic::on_unimplemented(
            message = "`{Self}` cannot be read from a column of this database",
            note = "it needs sqlx's `Type`, `Encode` and `Decode`"
        )]
        pub trait $read: Sized {
            #[cfg(feature = $feature)]
            #[doc(hidden)]
            fn get_from(row: &$row, index: usize) -> Result<Self, sqlx::Error>;
        }

        #[cfg(feature = $feature)]
        #[diagnostic::do_not_recommend]
        impl<T> $read for T
        where
            T: for<'r> Decode<'r, $database> + Type<$database>,
        {
            fn get_from(row: &$row, index: usize) -> Result<Self, sqlx::Error> {
                sqlx::Row::try_get(row, index)
            }
        }

        #[cfg(not(feature = $feature))]
        impl<T> $read for T {}

        #[cfg(feature = $feature)]
        impl Values {
            #[doc = concat!("Bind `value`, where the database is ", $name, ".")]
            ///
            /// # Errors
            /// It cannot be encoded, or the database is of another kind.
            pub fn $add<T: $value + ?Sized>(&mut self, value: &T) -> Result<(), sqlx::Error> {
                match self {
                    Self::$database(arguments) => value.add_to(arguments).map_err(sqlx::Error::Encode),
                    #[allow(unreachable_patterns, reason = "there may be only one kind")]
                    _ => Err(only($name, self.kind())),
                }
            }
        }

        #[cfg(feature = $feature)]
        impl Row {
            #[doc = concat!("The value in a column, where the database is ", $name, ".")]
            ///
            /// # Errors
            /// It cannot be decoded, or the database is of another kind.
            pub fn $get<T: $read>(&self, index: usize, column: &'static str) -> Result<T, sqlx::Error> {
                match self {
                    Self::$database(row) => T::get_from(row, index).map_err(|error| named(error, column)),
                    #[allow(unreachable_patterns, reason = "there may be only one kind")]
                    _ => Err(only($name, self.kind())),
                }
            }
        }
    };
}

kind!(
    "mysql",
    "MySQL",
    MySql,
    sqlx::mysql::MySqlArguments,
    sqlx::mysql::MySqlRow,
    MySqlValue,
    MySqlRead,
    add_mysql,
    get_mysql
);
kind!(
    "sqlite",
    "SQLite",
    Sqlite,
    sqlx::sqlite::SqliteArguments,
    sqlx::sqlite::SqliteRow,
    SqliteValue,
    SqliteRead,
    add_sqlite,
    get_sqlite
);

impl Values {
    fn of(connection: &Connection<'_>) -> Self {
        match connection {
            #[cfg(feature = "mysql")]
            Connection::MySql(_) => Self::MySql(sqlx::mysql::MySqlArguments::default()),
            #[cfg(feature = "sqlite")]
            Connection::Sqlite(_) => Self::Sqlite(sqlx::sqlite::SqliteArguments::default()),
        }
    }

    const fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => "MySQL",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "SQLite",
        }
    }

    /// Bind `value`.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn add<T: Value + ?Sized>(&mut self, value: &T) -> Result<(), sqlx::Error> {
        let added = match self {
            #[cfg(feature = "mysql")]
            Self::MySql(arguments) => MySqlValue::add_to(value, arguments),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(arguments) => SqliteValue::add_to(value, arguments),
        };
        added.map_err(sqlx::Error::Encode)
    }

    /// Bind a version.
    fn add_version(&mut self, version: u64) -> Result<(), sqlx::Error> {
        self.add(&i64::try_from(version).map_err(|error| sqlx::Error::Encode(error.into()))?)
    }
}

impl Row {
    const fn kind(&self) -> &'static str {
        match self {
            #[cfg(feature = "mysql")]
            Self::MySql(_) => "MySQL",
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => "SQLite",
        }
    }

    /// The value in a column.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub fn get<T: Read>(&self, index: usize, column: &'static str) -> Result<T, sqlx::Error> {
        let read = match self {
            #[cfg(feature = "mysql")]
            Self::MySql(row) => <T as MySqlRead>::get_from(row, index),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => <T as SqliteRead>::get_from(row, index),
        };
        read.map_err(|error| named(error, column))
    }

    /// The version, which is the last column, signed or unsigned.
    fn version(&self) -> Result<u64, sqlx::Error> {
        use sqlx::Row as _;
        let (version, last) = match self {
            #[cfg(feature = "mysql")]
            Self::MySql(row) => {
                let last = row.columns().len().saturating_sub(1);
                (row.try_get_unchecked::<i64, _>(last)?, last)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(row) => {
                let last = row.columns().len().saturating_sub(1);
                (row.try_get::<i64, _>(last)?, last)
            }
        };
        u64::try_from(version).map_err(|_| sqlx::Error::ColumnDecode {
            index: last.to_string(),
            source: format!("the version {version} is negative").into(),
        })
    }
}

/// The entity of `key`.
///
/// # Errors
/// The database's.
pub async fn load<T: Table>(connection: Connection<'_>, key: &T::Key) -> Result<Option<Versioned<T>>, sqlx::Error> {
    fetch(connection, T::STATEMENTS.load, key).await
}

/// The entity of `key`, locked where the database has locks of rows.
///
/// # Errors
/// The database's.
pub async fn load_for_update<T: Table>(
    connection: Connection<'_>,
    key: &T::Key,
) -> Result<Option<Versioned<T>>, sqlx::Error> {
    // SQLite locks the whole database when the transaction begins.
    let sql = if connection.is_mysql() { T::STATEMENTS.load_for_update } else { T::STATEMENTS.load };
    fetch(connection, sql, key).await
}

async fn fetch<T: Table>(
    connection: Connection<'_>,
    sql: &'static str,
    key: &T::Key,
) -> Result<Option<Versioned<T>>, sqlx::Error> {
    let mut values = Values::of(&connection);
    T::add_key(key, &mut values)?;
    let row = match (connection, values) {
        #[cfg(feature = "mysql")]
        (Connection::MySql(connection), Values::MySql(values)) => {
            sqlx::query_with(sql, values).fetch_optional(connection).await?.map(Row::MySql)
        }
        #[cfg(feature = "sqlite")]
        (Connection::Sqlite(connection), Values::Sqlite(values)) => {
            sqlx::query_with(sql, values).fetch_optional(connection).await?.map(Row::Sqlite)
        }
        #[allow(unreachable_patterns, reason = "there may be only one kind")]
        (connection, values) => return Err(only(values.kind(), connection.kind())),
    };
    row.map(|row| Ok(Versioned { entity: T::read(&row)?, version: row.version()? })).transpose()
}

/// Insert `entity`, or write it over the version `expected`.
///
/// # Errors
/// The database's.
pub async fn save<T: Table>(
    entity: &T,
    connection: Connection<'_>,
    expected: Option<u64>,
) -> Result<Saved, sqlx::Error> {
    let mut values = Values::of(&connection);
    entity.add_columns(&mut values)?;
    T::add_key(entity.key(), &mut values)?;
    let (sql, version) = match expected {
        Some(version) => (T::STATEMENTS.update, version),
        // An entity that is deleted and created again must not come to a version that somebody has read before.
        None if T::STATEMENTS.deletes => (T::STATEMENTS.insert, rand::rng().random_range(1..1 << 62)),
        None => (T::STATEMENTS.insert, 1),
    };
    values.add_version(version)?;
    Ok(Saved::if_one_row(execute(connection, sql, values).await?))
}

/// Delete `entity` if its version is still `expected`; whatever it is, and if it exists at all, where that is not said.
///
/// # Errors
/// The database's.
pub async fn delete<T: Table>(
    entity: &T,
    connection: Connection<'_>,
    expected: Option<u64>,
) -> Result<Saved, sqlx::Error> {
    let mut values = Values::of(&connection);
    T::add_key(entity.key(), &mut values)?;
    let Some(version) = expected else {
        execute(connection, T::STATEMENTS.delete, values).await?;
        return Ok(Saved::Done);
    };
    values.add_version(version)?;
    Ok(Saved::if_one_row(execute(connection, T::STATEMENTS.delete_version, values).await?))
}

async fn execute(connection: Connection<'_>, sql: &'static str, values: Values) -> Result<u64, sqlx::Error> {
    match (connection, values) {
        #[cfg(feature = "mysql")]
        (Connection::MySql(connection), Values::MySql(values)) => {
            Ok(sqlx::query_with(sql, values).execute(connection).await?.rows_affected())
        }
        #[cfg(feature = "sqlite")]
        (Connection::Sqlite(connection), Values::Sqlite(values)) => {
            Ok(sqlx::query_with(sql, values).execute(connection).await?.rows_affected())
        }
        #[allow(unreachable_patterns, reason = "there may be only one kind")]
        (connection, values) => Err(only(values.kind(), connection.kind())),
    }
}

/// The same error with the column's name rather than its number.
fn named(error: sqlx::Error, column: &str) -> sqlx::Error {
    match error {
        sqlx::Error::ColumnDecode { source, .. } => sqlx::Error::ColumnDecode { index: column.to_owned(), source },
        error => error,
    }
}

fn only(wanted: &'static str, actual: &'static str) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(Error::WrongKind { wanted, actual }))
}
