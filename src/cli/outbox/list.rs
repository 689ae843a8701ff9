//! `tidings outbox ls`.

use clap::Args;
use serde::Serialize;

use super::{PlaceArguments, counted};
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::outbox::{ParkedStream, parked_streams};

/// List the streams that have parked events: how many, and why the first was refused.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings outbox ls --database mysql://accounts@db.example/accounts
  tidings outbox ls -o jsonl | jq -r .stream")]
pub(super) struct ListArguments {
    /// At most so many.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1_000)]
    limit: u32,

    #[command(flatten)]
    place: PlaceArguments,
}

/// A stream with parked events.
#[derive(Serialize)]
pub(super) struct StreamRow {
    pub(super) stream: String,
    /// Whose stream it is.
    pub(super) source: String,
    pub(super) events: u64,
    /// The first event, which holds the others back.
    pub(super) event: String,
    pub(super) event_id: String,
    pub(super) epoch: u32,
    pub(super) sequence: u64,
    pub(super) topic: String,
    pub(super) parked_seconds: f64,
    pub(super) reason: String,
}

impl StreamRow {
    pub(super) fn of(stream: &ParkedStream) -> Self {
        let first = &stream.first;
        Self {
            stream: first.stream.stream.to_string(),
            source: first.stream.source.to_string(),
            events: stream.events,
            event: first.event.clone(),
            event_id: first.event_id.clone(),
            epoch: first.epoch,
            sequence: first.sequence,
            topic: first.topic.clone(),
            parked_seconds: first.parked_for.as_secs_f64(),
            reason: first.reason.clone(),
        }
    }
}

/// Streams as a table, or as JSON.
pub(super) fn write(printer: &Printer, format: OutputFormat, rows: &[StreamRow]) -> Result<(), CliError> {
    let headings = ["STREAM", "EVENTS", "SEQUENCE", "EVENT", "TOPIC", "PARKED FOR", "REASON"];
    output::rows(printer, format, rows, headings, |row| {
        let age = format!("{:.0} s", row.parked_seconds);
        let position = match row.epoch {
            0 => row.sequence.to_string(),
            epoch => format!("{epoch}:{}", row.sequence),
        };
        let (event, topic, reason) = (row.event.clone(), row.topic.clone(), row.reason.clone());
        [row.stream.clone(), row.events.to_string(), position, event, topic, age, reason]
    })
}

pub(super) async fn run(arguments: &ListArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let database = arguments.place.open(settings).await?;
    let streams = parked_streams(&database, arguments.limit).await;
    database.close().await;
    let rows: Vec<_> = streams?.iter().map(StreamRow::of).collect();
    write(printer, arguments.place.output, &rows)?;
    match rows.len() {
        0 => printer.note("no event is parked"),
        shown if u32::try_from(shown).is_ok_and(|shown| shown == arguments.limit) => {
            printer.note(&format!(
                "these are the first {}; there may be more: raise --limit",
                counted(shown as u64, "stream")
            ));
        }
        _ => {}
    }
    Ok(())
}
