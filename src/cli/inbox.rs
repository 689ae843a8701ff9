//! `tidings inbox`: what handlers remember of the events they have handled.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::database;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{DatabaseArguments, Settings};
use crate::database::inbox::Purge;
use crate::transport::kafka::Retention;

/// Look after the inbox: what handlers that work in transactions remember of the events they have handled.
#[derive(Args)]
pub(super) struct InboxArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Purge(PurgeArguments),
}

/// Delete from the inbox what is old. Nothing is deleted that is not named.
///
/// An event that is delivered again after it was forgotten is handled again. So name ages above the topic's retention, and above
/// the longest time that a dead letter may wait to be redriven. It takes a thousand rows at a time, and may run beside handlers.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings inbox purge --streams 90d --database mysql://totals@db.example/totals
  tidings inbox purge --streams 90d --passed-over 365d --group totals.Totals")]
#[group(required = true, multiple = true, id = "what", args = ["streams", "events", "passed_over"])]
struct PurgeArguments {
    /// The streams of which no event was handled for so long: 90d, 36h, 30m or 90s.
    #[arg(long, value_name = "TIME", value_parser = age)]
    streams: Option<Duration>,

    /// The ids of events without a sequence that were handled so long ago. A running consumer deletes them by itself.
    #[arg(long, value_name = "TIME", value_parser = age)]
    events: Option<Duration>,

    /// The notes of dead letters and skipped events that were passed over so long ago: these can then not be handled any more.
    #[arg(long, value_name = "TIME", value_parser = age)]
    passed_over: Option<Duration>,

    /// Only what this consumer group remembers. Default: all of them.
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    #[command(flatten)]
    database: DatabaseArguments,
}

pub(super) async fn run(arguments: InboxArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let Action::Purge(arguments) = arguments.action;
    let options = database::options(settings, &arguments.database, false)?;
    let place = options.redacted_url();
    let database = database::connect(options).await?;
    let mut purge = Purge::default();
    purge = arguments.group.into_iter().fold(purge, Purge::group);
    purge = arguments.streams.into_iter().fold(purge, Purge::streams);
    purge = arguments.events.into_iter().fold(purge, Purge::events);
    purge = arguments.passed_over.into_iter().fold(purge, Purge::passed_over);
    let purged = database.purge_inbox(&purge).await;
    database.close().await;
    let purged = purged?;
    printer.line(&format!(
        "deleted from the inbox in {place}: {} streams, {} ids of events, {} notes of events passed over",
        purged.streams, purged.events, purged.passed_over
    ))
}

/// An age, written as a retention is.
fn age(text: &str) -> Result<Duration, String> {
    match Retention::try_from(text.to_owned()) {
        Ok(Retention::For(age)) => Ok(age),
        _ => Err(format!("`{text}` is no age: write a number with d, h, m or s behind it, such as 90d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_a_unit_and_an_end() {
        assert_eq!(age("90d"), Ok(Duration::from_hours(90 * 24)));
        for text in ["forever", "90", "", "soon"] {
            assert!(age(text).unwrap_err().contains("is no age"), "{text}");
        }
    }
}
