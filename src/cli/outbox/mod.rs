//! `tidings outbox`: what waits to be published, and what Kafka refused.

mod list;
mod new_epoch;
mod release;
mod show;
mod status;

use clap::{Args, Subcommand};

use super::database;
use super::error::CliError;
use super::output::OutputFormat;
use super::printer::Printer;
use super::settings::{DatabaseArguments, Settings};
use crate::database::Database;

/// Look at an outbox, and decide what becomes of its parked events
///
/// An event that Kafka refuses is parked with the reason, and what comes
/// behind it in its stream waits there too, in order, until somebody decides.
/// All other streams go on.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct OutboxArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Status(status::StatusArguments),
    Ls(list::ListArguments),
    Show(show::ShowArguments),
    Retry(release::RetryArguments),
    Skip(release::SkipArguments),
    NewEpoch(new_epoch::NewEpochArguments),
}

/// Whose outbox, and how the result is written.
#[derive(Args)]
struct PlaceArguments {
    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    database: DatabaseArguments,
}

impl PlaceArguments {
    async fn open(&self, settings: &Settings) -> Result<Database, CliError> {
        database::connect(database::options(settings, &self.database, false)?).await
    }
}

pub(super) async fn run(arguments: OutboxArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    match arguments.action {
        Action::Status(arguments) => status::run(&arguments, settings, printer).await,
        Action::Ls(arguments) => list::run(&arguments, settings, printer).await,
        Action::Show(arguments) => show::run(&arguments, settings, printer).await,
        Action::Retry(arguments) => release::retry(&arguments, settings, printer).await,
        Action::Skip(arguments) => release::skip(&arguments, settings, printer).await,
        Action::NewEpoch(arguments) => new_epoch::run(&arguments, settings, printer).await,
    }
}

/// A number and what it counts.
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
