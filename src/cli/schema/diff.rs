//! `tidings schema diff`.

use clap::Args;
use semver::Version;
use serde::Serialize;

use super::history;
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::schemas;
use crate::cli::settings::{SchemasArguments, Settings};
use crate::schema::compatibility::{Change, Difference, breaks, differences, least_version};

/// Show what differs between two versions of an event, and what it means for its readers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings schema diff accounts.UserUpdated
  tidings schema diff UserUpdated --from 1.0.0 --to 2.0.0")]
pub(super) struct DiffArguments {
    /// The event, accounts.UserUpdated or UserUpdated.
    #[arg(value_name = "EVENT")]
    event: String,

    /// The older version. Default: the last release.
    #[arg(long, value_name = "VERSION")]
    from: Option<Version>,

    /// The newer version. Default: what is being worked on.
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    schemas: SchemasArguments,
}

#[derive(Serialize)]
struct Shown {
    event: String,
    from: String,
    to: String,
    change: String,
    /// The least version after such a change.
    least_version: Option<String>,
    differences: Vec<Difference>,
    /// What the newer version cannot read of the older one.
    backward: Vec<String>,
    /// What the older version cannot read of the newer one.
    forward: Vec<String>,
}

pub(super) fn run(arguments: &DiffArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let history = history::one(&schemas::folder(settings, &arguments.schemas), &arguments.event)?;
    let before = match (&arguments.from, history.last()) {
        (None, None) => {
            return Err(CliError::usage(format!(
                "{} was not released yet: there is nothing to compare with",
                history.event
            )));
        }
        (None, Some(last)) => Some(&last.version),
        (from, _) => from.as_ref(),
    };
    let ((from, old), (to, new)) = (history.revision(before)?, history.revision(arguments.to.as_ref())?);
    let change = Change::between(old, new)?;
    let told = |writer, reader| -> Result<Vec<String>, CliError> {
        Ok(breaks(writer, reader)?.iter().map(ToString::to_string).collect())
    };
    let shown = Shown {
        event: history.event.clone(),
        change: change.to_string(),
        least_version: before.map(|before| least_version(before, change).to_string()),
        differences: differences(old, new)?,
        backward: told(old, new)?,
        forward: told(new, old)?,
        from,
        to,
    };
    match arguments.output {
        OutputFormat::Json => printer.line(&output::json(&shown, true)?),
        OutputFormat::Jsonl => printer.line(&output::json(&shown, false)?),
        OutputFormat::Table => table(&shown, printer),
    }
}

fn table(shown: &Shown, printer: &Printer) -> Result<(), CliError> {
    printer.heading(&format!("{} from {} to {}: {}", shown.event, shown.from, shown.to, shown.change))?;
    shown.differences.iter().try_for_each(|difference| printer.line(&difference.to_string()))?;
    for (reader, writer, breaks) in
        [(&shown.to, &shown.from, &shown.backward), (&shown.from, &shown.to, &shown.forward)]
    {
        for found in breaks {
            printer.line(&format!("! {reader} cannot read what {writer} writes: {found}"))?;
        }
    }
    Ok(())
}
