//! `tidings schema show`.

use clap::Args;
use semver::Version;

use super::{history, registered};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings};
use crate::schema::SchemaRegistry as _;

/// Show the schema of an event, of one of its versions, or of an id.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema show accounts.UserUpdated
  tidings schema show UserUpdated --version 1.2.0
  tidings schema show --id 7 --registry http://localhost:8081")]
pub(super) struct ShowArguments {
    /// The event, accounts.UserUpdated or UserUpdated.
    #[arg(value_name = "EVENT", required_unless_present = "id", conflicts_with = "id")]
    event: Option<String>,

    /// A released version. Default: what is being worked on.
    #[arg(long, value_name = "VERSION", conflicts_with = "id")]
    version: Option<Version>,

    /// The schema that the registry knows under this id, as records carry it.
    #[arg(long, value_name = "ID")]
    id: Option<u32>,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

pub(super) async fn run(arguments: &ShowArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    if let Some(id) = arguments.id {
        let registry = registered::open(settings, &arguments.registry, |options| options).await?.ok_or_else(|| {
            CliError::usage("ids are the registry's: say where it is with --registry http://localhost:8081")
        })?;
        let schema = registry.schema(id).await.map_err(|error| CliError::failed(&error))?;
        return printer.line(schema.schema.trim_end());
    }
    let event = arguments.event.as_deref().unwrap_or_default();
    let history = history::one(&schemas::folder(settings, &arguments.schemas), event)?;
    let (_, text) = history.revision(arguments.version.as_ref())?;
    printer.line(text.trim_end())
}
