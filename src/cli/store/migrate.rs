//! `tidings store migrate`: create or change the event store's tables.

use clap::Args;

use crate::cli::database;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::settings::{DatabaseArguments, Settings};
use crate::store::DatabaseStore;

/// Create or change the event store's tables in its database, and those of the outbox it forwards from.
///
/// The store has a database of its own: services do not get these tables. Creating the triggers that keep events as they are
/// needs, on MySQL with a binary log, log_bin_trust_function_creators = ON, or a user who may set it.
#[derive(Args)]
pub(super) struct MigrateArguments {
    #[command(flatten)]
    database: DatabaseArguments,
}

pub(super) async fn run(arguments: MigrateArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let options = database::options(settings, &arguments.database, true)?;
    let place = options.redacted_url();
    let database = database::connect(options.check_migrated(false)).await?;
    let migrated = DatabaseStore::migrate(&database).await;
    database.close().await;
    migrated?;
    printer.line(&format!("the event store's tables in {place} are up to date"))
}
