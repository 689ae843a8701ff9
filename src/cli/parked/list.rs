//! `tidings parked ls`.

use clap::Args;
use serde::Serialize;

use super::StoreArguments;
use super::selection::{Found, SelectionArguments};
use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::output::{self, Cell, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::envelope::{EnvelopeView, rfc3339};

/// The most of an error's text that a table shows, in characters.
const SHOWN: usize = 80;

/// List parked keys: how many of their events wait, and why.
///
/// A key is written as text; a byte that is no text, and a control character, as an escape such as \xff.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings parked ls --group leaderboards.Leaderboards
  tidings parked ls -g leaderboards.Leaderboards --handler Leaderboards::on_score --error timeout
  tidings parked ls -g leaderboards.Leaderboards --database mysql://leaderboards@db.example/leaderboards -o jsonl")]
pub(super) struct ListArguments {
    /// At most so many; 0 for no bound.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1_000)]
    limit: usize,

    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    store: StoreArguments,
}

/// A parked key.
#[derive(Serialize)]
pub(super) struct KeyRow {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) key: Bytes,
    /// How many of its events wait.
    pub(super) events: u64,
    /// What is asked of it and not done yet.
    pub(super) request: Option<&'static str>,
    /// The first event: its offset, its name, and why it is parked.
    pub(super) offset: Option<i64>,
    pub(super) event: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) class: Option<String>,
    pub(super) error: Option<String>,
    pub(super) attempts: Option<u32>,
    pub(super) first_failure: Option<String>,
    pub(super) parked: Option<String>,
}

impl KeyRow {
    pub(super) fn of(Found { key, first }: &Found) -> Self {
        let cause = first.as_ref().and_then(|first| first.cause.clone());
        let event = first.as_ref().and_then(|first| EnvelopeView::new(&first.headers).event().map(str::to_owned));
        Self {
            topic: key.partition.topic.to_string(),
            partition: key.partition.partition,
            key: Bytes(key.key.to_vec()),
            events: key.records,
            request: key.request.map(crate::consumer::parked::ParkRequest::as_str),
            offset: first.as_ref().map(|first| first.offset),
            event,
            handler: cause.as_ref().and_then(|cause| cause.handler.clone()),
            class: cause.as_ref().map(|cause| cause.class.clone()),
            attempts: cause.as_ref().map(|cause| cause.attempts),
            first_failure: cause.as_ref().map(|cause| rfc3339(cause.first_failure)),
            parked: cause.as_ref().map(|cause| rfc3339(cause.parked_at)),
            error: cause.map(|cause| cause.error),
        }
    }
}

/// Keys as a table, or as JSON.
pub(super) fn write(printer: &Printer, format: OutputFormat, rows: &[KeyRow]) -> Result<(), CliError> {
    let text = |text: &Option<String>| Cell::Text(text.clone().unwrap_or_else(|| "-".to_owned()));
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let headings =
        ["TOPIC", "PARTITION", "KEY", "EVENTS", "REQUEST", "OFFSET", "EVENT", "HANDLER", "CLASS", "PARKED", "ERROR"];
    output::rows(printer, format, rows, headings, |row| {
        [
            row.topic.clone().into(),
            row.partition.to_string().into(),
            Cell::Line(row.key.to_line()),
            row.events.to_string().into(),
            row.request.unwrap_or("-").to_owned().into(),
            number(row.offset).into(),
            text(&row.event),
            text(&row.handler),
            text(&row.class),
            text(&row.parked),
            shortened(row.error.as_deref().unwrap_or("-")).into(),
        ]
    })
}

pub(super) async fn run(arguments: &ListArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let parked = arguments.store.open(settings, printer).await?;
    let limit = if arguments.limit == 0 { usize::MAX } else { arguments.limit };
    let (found, count) = arguments.selection.find(&parked, limit).await?;
    let rows: Vec<_> = found.iter().map(KeyRow::of).collect();
    write(printer, arguments.store.output, &rows)?;
    if rows.is_empty() {
        printer.note(&format!("no such key is parked in the group {}", parked.group));
    }
    if count > rows.len() {
        printer.note(&format!("{} more keys are not shown; raise --limit or narrow the selection", count - rows.len()));
    }
    Ok(())
}

/// The beginning of a text, on one line.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.len() < text.len() => format!("{line}…"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_in_a_table_and_stays_on_one_line() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened("one\ntwo"), "one…");
        assert_eq!(shortened(&"é".repeat(100)).chars().count(), SHOWN + 1);
    }
}
