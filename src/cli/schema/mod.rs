//! `tidings schema`: the schemas of events, their released versions, and whether they can live beside each other.

mod check;
mod diff;
mod export;
mod finding;
pub(super) mod history;
mod judge;
mod ls;
mod marks;
mod register;
mod registered;
mod release;
mod render;
mod show;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::printer::Printer;
use super::schemas;
use super::settings::{SchemasArguments, Settings};

/// Look after the schemas of events
///
/// A schema is a file, and so is each version of it that was released:
///   schemas/SOURCE/EVENT.avsc                     what is being worked on
///   schemas/SOURCE/released/EVENT/VERSION.avsc    what is, or was, on the topic
/// The schema states its version as "tidings.version": "1.2.0", and, where it
/// is not BACKWARD_TRANSITIVE, its mode as "tidings.compatibility": "FULL".
///
/// Versions rise by the kind of change: the major version for a break, the
/// minor version for a change that both sides can read, the last number for
/// documentation.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct SchemaArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Check(check::CheckArguments),
    Ls(ls::LsArguments),
    Show(show::ShowArguments),
    Diff(diff::DiffArguments),
    Release(release::ReleaseArguments),
    Register(register::RegisterArguments),
    Export(export::ExportArguments),
}

/// Which schemas are meant.
#[derive(Args)]
struct SelectionArguments {
    /// Only these: an event, accounts.UserUpdated or UserUpdated, or all of a source, accounts. Default: all.
    #[arg(value_name = "EVENT")]
    events: Vec<String>,

    #[command(flatten)]
    schemas: SchemasArguments,
}

impl SelectionArguments {
    fn histories(&self, settings: &Settings) -> Result<Vec<history::EventHistory>, CliError> {
        history::read(&schemas::folder(settings, &self.schemas), &self.events)
    }
}

pub(super) async fn run(arguments: SchemaArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    match arguments.action {
        Action::Check(arguments) => check::run(&arguments, settings, printer).await,
        Action::Ls(arguments) => ls::run(&arguments, settings, printer).await,
        Action::Show(arguments) => show::run(&arguments, settings, printer).await,
        Action::Diff(arguments) => diff::run(&arguments, settings, printer),
        Action::Release(arguments) => release::run(&arguments, settings, printer),
        Action::Register(arguments) => register::run(&arguments, settings, printer).await,
        Action::Export(arguments) => export::run(&arguments, settings, printer),
    }
}
