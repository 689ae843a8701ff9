//! `tidings migrate`: create or change the tables that tidings keeps in a service's database.

use clap::Args;

use super::database;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{DatabaseArguments, Settings};
use crate::database::{Database, Error};

/// Create or change tidings' own tables in a database: the outbox, the inbox and what goes with them.
///
/// Does nothing where they are up to date. Processes that do it at once wait for each other, and a service that runs with
/// an older version goes on: migrations only add.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings migrate --database mysql://accounts@db.example/accounts
  tidings migrate --check && ./accounts")]
pub(super) struct MigrateArguments {
    /// Change nothing; exit with 1 when there is something to change, and with 2 when the database does not say.
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    database: DatabaseArguments,
}

pub(super) async fn run(arguments: MigrateArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let options = database::options(settings, &arguments.database, !arguments.check)?;
    let place = options.redacted_url();
    let connected = database::connect(options.check_migrated(false)).await;
    let database = if arguments.check { connected.map_err(CliError::leaves_open)? } else { connected? };
    let found = database.check_migrated().await;
    let result =
        if arguments.check { check(found, &place, printer) } else { change(found, &database, &place, printer).await };
    database.close().await;
    result
}

fn check(found: Result<(), Error>, place: &str, printer: &Printer) -> Result<(), CliError> {
    match found {
        Ok(()) => up_to_date(place, printer),
        Err(error @ Error::NotMigrated { .. }) => Err(error.into()),
        Err(error) => Err(CliError::from(error).leaves_open()),
    }
}

async fn change(found: Result<(), Error>, database: &Database, place: &str, printer: &Printer) -> Result<(), CliError> {
    match found {
        Ok(()) => up_to_date(place, printer),
        Err(Error::NotMigrated { found: 0, .. }) => {
            let version = database.migrate().await?;
            printer.line(&format!("the tables in {place} were created, at version {version}"))
        }
        Err(Error::NotMigrated { found, .. }) => {
            let version = database.migrate().await?;
            printer.line(&format!("the tables in {place} went from version {found} to {version}"))
        }
        Err(error) => Err(error.into()),
    }
}

fn up_to_date(place: &str, printer: &Printer) -> Result<(), CliError> {
    printer.line(&format!("the tables in {place} are up to date"))
}
