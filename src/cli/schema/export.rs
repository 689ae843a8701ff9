//! `tidings schema export`.

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::SelectionArguments;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::schema::contract::Contract;

/// Write every version of every schema as one JSON document, for other tools.
///
/// Of each version it has the source, the event, the version, the subject, whether it was released, the CRC-64-AVRO fingerprint
/// and the schema; the oldest version of an event comes first, which is the order to register them in.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema export > contracts.json
  tidings schema export accounts | jq '.[] | select(.released) | .schema'")]
pub(super) struct ExportArguments {
    #[command(flatten)]
    selection: SelectionArguments,

    /// The topic the events are on. Default: the source.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Leave out what was not released.
    #[arg(long)]
    released: bool,
}

#[derive(Serialize)]
struct Exported<'t> {
    source: &'t str,
    event: &'t str,
    version: Option<String>,
    released: bool,
    subject: String,
    /// As 16 hexadecimal digits.
    fingerprint: String,
    /// As it stands in its file.
    schema: &'t RawValue,
}

pub(super) fn run(arguments: &ExportArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let histories = arguments.selection.histories(settings)?;
    let mut exported = Vec::new();
    for history in &histories {
        let releases = history.releases.iter().map(|release| (Some(&release.version), true, release.text.as_str()));
        // What is released as it stands is there already.
        let changed = history.working.as_ref().filter(|working| {
            !arguments.released
                && history.releases.iter().all(|release| Some(&release.version) != working.version.as_ref())
        });
        let working = changed.map(|working| (working.version.as_ref(), false, working.text.as_str()));
        for (version, released, text) in releases.chain(working) {
            let schema = serde_json::from_str(text).map_err(|error| {
                CliError::usage(format!("a schema of {} is not JSON", history.event)).caused_by(&error)
            })?;
            exported.push(Exported {
                source: &history.source,
                event: &history.event,
                version: version.map(ToString::to_string),
                released,
                subject: history.subject(arguments.topic.as_ref()),
                fingerprint: format!("{:016x}", Contract::parse(text)?.fingerprint()),
                schema,
            });
        }
    }
    printer.line(&output::json(&exported, true)?)
}
