//! `tidings schema ls`.

use clap::Args;
use serde::Serialize;

use super::{SelectionArguments, registered};
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::{RegistryArguments, Settings};
use crate::schema::compatibility::Change;

/// List events with the versions of their schemas.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema ls
  tidings schema ls accounts --registry http://localhost:8081 -o jsonl")]
pub(super) struct LsArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    /// The topic the events are on. Default: the source.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Serialize)]
struct Row {
    source: String,
    event: String,
    /// The version being worked on.
    version: Option<String>,
    /// What changed since the last release: `no change`, `patch`, `minor`, `major`.
    change: Option<String>,
    released: Vec<String>,
    /// How many versions the registry has; `None` without a registry.
    registered: Option<usize>,
}

pub(super) async fn run(arguments: &LsArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let registry = registered::open(settings, &arguments.registry, |options| options).await?;
    let mut rows = Vec::new();
    for history in arguments.selection.histories(settings)? {
        let change = match (&history.working, history.last()) {
            (Some(working), Some(last)) => Some(Change::between(&last.text, &working.text)?.to_string()),
            _ => None,
        };
        let registered = match &registry {
            Some(registry) => {
                let subject = history.subject(arguments.topic.as_ref());
                Some(registry.versions(&subject).await.map_err(|error| CliError::failed(&error))?.len())
            }
            None => None,
        };
        rows.push(Row {
            version: history.working.as_ref().and_then(|working| working.version.as_ref()).map(ToString::to_string),
            change,
            released: history.releases.iter().map(|release| release.version.to_string()).collect(),
            registered,
            source: history.source,
            event: history.event,
        });
    }
    let headings = ["SOURCE", "EVENT", "VERSION", "CHANGE", "RELEASED", "REGISTERED"];
    output::rows(printer, arguments.output, &rows, headings, |row| {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let released = if row.released.is_empty() { "-".to_owned() } else { row.released.join(", ") };
        let registered = row.registered.map_or_else(|| "-".to_owned(), |count| count.to_string());
        [row.source.clone(), row.event.clone(), text(&row.version), text(&row.change), released, registered]
    })
}
