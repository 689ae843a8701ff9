//! The database a verb works on.

use super::error::CliError;
use super::settings::{DatabaseArguments, Settings};
use crate::database::{Database, DatabaseOptions, Error};

/// The database that is named. A file of SQLite's is made only where that is wanted: it would hide a wrong path.
pub(super) fn options(
    settings: &Settings,
    arguments: &DatabaseArguments,
    may_create: bool,
) -> Result<DatabaseOptions, CliError> {
    let url = settings.database(arguments)?;
    let url = if may_create { url } else { existing(url) };
    Ok(DatabaseOptions::new(url))
}

/// The database at `url`, which must be there.
pub(super) fn named(url: String) -> DatabaseOptions {
    DatabaseOptions::new(existing(url))
}

pub(super) async fn connect(options: DatabaseOptions) -> Result<Database, CliError> {
    Ok(Database::connect(options).await?)
}

fn existing(url: String) -> String {
    if !url.starts_with("sqlite:") || url.contains("mode=") || url.contains(":memory:") {
        return url;
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}mode=rw")
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        match error {
            Error::Url { .. } => Self::unusable(&error),
            _ => Self::failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_sqlites_is_told_not_to_be_made() {
        for (url, expected) in [
            ("sqlite:a.db", "sqlite:a.db?mode=rw"),
            ("sqlite:a.db?cache=shared", "sqlite:a.db?cache=shared&mode=rw"),
            ("sqlite:a.db?mode=rwc", "sqlite:a.db?mode=rwc"),
            ("mysql://h/d", "mysql://h/d"),
        ] {
            assert_eq!(existing(url.to_owned()), expected);
        }
    }
}
