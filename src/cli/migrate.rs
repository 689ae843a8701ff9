//! `tidings migrate`: create or change the tables that tidings keeps in a service's database.

use clap::Args;

use super::database;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{DatabaseArguments, Settings};
use crate::database::Error;

/// Create or change tidings' own tables in a database: the outbox and what goes with it.
///
/// Does nothing where they are up to date. Processes that do it at once wait for each other, and a service that runs with
/// an older version goes on: migrations only add.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings migrate --database mysql://accounts@db.example/accounts
  tidings migrate --check && ./accounts")]
pub(super) struct MigrateArguments {
    /// Change nothing; exit with 1 when there is something to change.
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    database: DatabaseArguments,
}

pub(super) async fn run(arguments: MigrateArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let options = database::options(settings, &arguments.database, !arguments.check)?;
    let place = options.redacted_url();
    let database = database::connect(options.check_migrated(false)).await?;
    let result = match database.check_migrated().await {
        Ok(()) => printer.line(&format!("the tables in {place} are up to date")),
        Err(error @ Error::NotMigrated { .. }) if arguments.check => Err(error.into()),
        Err(Error::NotMigrated { found, .. }) => match database.migrate().await {
            Ok(version) if found == 0 => {
                printer.line(&format!("the tables in {place} were created, at version {version}"))
            }
            Ok(version) => printer.line(&format!("the tables in {place} went from version {found} to {version}")),
            Err(error) => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    };
    database.close().await;
    result
}
