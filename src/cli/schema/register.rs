//! `tidings schema register`.

use clap::Args;
use serde::Serialize;

use super::{SelectionArguments, registered};
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::{RegistryArguments, Settings};
use crate::schema::{RegistryError, SchemaRegistry as _};

/// Register released schemas with a registry, the oldest version first.
///
/// What is registered already stays as it is, so that it can be run at every deployment.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema register --registry http://localhost:8081
  tidings schema register accounts.UserUpdated --dry-run")]
pub(super) struct RegisterArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    /// The topic the events are on. Default: the source.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Register what is being worked on too.
    #[arg(long)]
    working: bool,

    /// Say what would be registered, and register nothing.
    #[arg(long)]
    dry_run: bool,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Serialize)]
struct Row {
    subject: String,
    version: Option<String>,
    id: Option<u32>,
    registered_version: Option<u32>,
    /// `registered` now, `unchanged`, or `missing` in a dry run.
    result: &'static str,
}

pub(super) async fn run(arguments: &RegisterArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let registry = registered::open(settings, &arguments.registry, |options| options).await?.ok_or_else(|| {
        CliError::usage("there is no registry: say where it is with --registry http://localhost:8081")
    })?;
    let mut rows = Vec::new();
    for history in arguments.selection.histories(settings)? {
        let subject = history.subject(arguments.topic.as_ref());
        let releases = history.releases.iter().map(|release| (Some(&release.version), release.text.as_str()));
        let working = history.working.as_ref().filter(|_| arguments.working);
        let working = working.map(|working| (working.version.as_ref(), working.text.as_str()));
        if history.releases.is_empty() && working.is_none() {
            let event = &history.event;
            printer.note(&format!("{event} was not released yet: `tidings schema release`, or --working"));
        }
        for (version, text) in releases.chain(working) {
            let (registration, result) = match registry.find(&subject, text).await {
                Ok(found) => (Some(found), "unchanged"),
                Err(RegistryError::NotRegistered { .. }) if arguments.dry_run => (None, "missing"),
                Err(RegistryError::NotRegistered { .. }) => match registry.register(&subject, text).await {
                    Ok(registration) => (Some(registration), "registered"),
                    Err(error) => return Err(CliError::failed(&error)),
                },
                Err(error) => return Err(CliError::failed(&error)),
            };
            rows.push(Row {
                subject: subject.clone(),
                version: version.map(ToString::to_string),
                id: registration.as_ref().map(|registration| registration.id),
                registered_version: registration.as_ref().map(|registration| registration.version),
                result,
            });
        }
    }
    let headings = ["SUBJECT", "VERSION", "ID", "REGISTERED AS", "RESULT"];
    output::rows(printer, arguments.output, &rows, headings, |row| {
        let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let version = row.version.clone().unwrap_or_else(|| "-".to_owned());
        [row.subject.clone(), version, number(row.id), number(row.registered_version), row.result.to_owned()]
    })
}
