//! `tidings dead-letters ls`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::TopicArguments;
use super::breakdown::{self, GroupRow};
use super::selection::SelectionArguments;
use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::output::{self, Cell};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::dead_letters::{Breakdown, Letter};
use crate::envelope::rfc3339;

/// The most of an error's text that a table shows, in characters.
const SHOWN: usize = 80;

/// List dead letters, oldest first, or count them by what they have in common.
///
/// Letters that were redriven are left out, unless --all is given.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings dead-letters ls --group leaderboards.Leaderboards
  tidings dead-letters ls -g leaderboards.Leaderboards --by error
  tidings dead-letters ls -g leaderboards.Leaderboards --class timeout --from @-1h -o jsonl
  tidings dead-letters ls --topic orders.DLT")]
pub(super) struct ListArguments {
    /// Count letters by what they have in common, in place of listing them.
    #[arg(long, value_enum, value_name = "WHAT")]
    by: Option<By>,

    /// Also those that were redriven.
    #[arg(long, short)]
    all: bool,

    /// At most so many, the oldest; 0 for no bound. Counts are of all letters.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1_000)]
    limit: usize,

    #[command(flatten)]
    topic: TopicArguments,

    #[command(flatten)]
    selection: SelectionArguments,
}

/// What letters can have in common.
#[derive(Clone, Copy, ValueEnum)]
enum By {
    /// The error's class, and the beginning of its text.
    Error,
    /// The handler that failed.
    Handler,
    /// The record's key.
    Key,
    /// The event's name.
    Event,
}

/// A letter.
#[derive(Serialize)]
pub(super) struct LetterRow {
    /// Its place in the dead-letter topic, PARTITION:OFFSET.
    pub(super) letter: String,
    pub(super) original_topic: Option<String>,
    pub(super) original_partition: Option<i32>,
    pub(super) original_offset: Option<i64>,
    pub(super) event: Option<String>,
    pub(super) key: Option<Bytes>,
    pub(super) group: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) class: Option<String>,
    pub(super) message: Option<String>,
    pub(super) attempts: Option<u32>,
    pub(super) first_failure: Option<String>,
    /// When it was given up, as the letter says, else when the letter was written.
    pub(super) given_up: Option<String>,
    pub(super) redrives: u32,
    pub(super) redriven: Option<String>,
}

impl LetterRow {
    pub(super) fn of(letter: &Letter) -> Self {
        let circumstances = letter.circumstances().clone();
        let origin = circumstances.origin;
        Self {
            letter: letter.place().to_string(),
            original_partition: origin.as_ref().and_then(|origin| origin.partition),
            original_offset: origin.as_ref().and_then(|origin| origin.offset),
            original_topic: origin.map(|origin| origin.topic),
            event: letter.event().map(str::to_owned),
            key: letter.record().key.as_deref().map(|key| Bytes(key.to_vec())),
            group: circumstances.group,
            handler: circumstances.handler,
            class: circumstances.class,
            message: circumstances.message,
            attempts: circumstances.attempts,
            first_failure: circumstances.first_failure.map(rfc3339),
            given_up: circumstances.given_up.or_else(|| letter.written()).map(rfc3339),
            redrives: circumstances.redrives,
            redriven: letter.redriven().map(rfc3339),
        }
    }

    /// `accounts 3:17`, as far as it is known.
    pub(super) fn original(&self) -> String {
        let Some(topic) = &self.original_topic else { return "-".to_owned() };
        match (self.original_partition, self.original_offset) {
            (Some(partition), Some(offset)) => format!("{topic} {partition}:{offset}"),
            _ => topic.clone(),
        }
    }
}

/// Letters as a table, or as JSON.
pub(super) fn write(printer: &Printer, format: output::OutputFormat, rows: &[LetterRow]) -> Result<(), CliError> {
    let text = |text: &Option<String>| Cell::Text(text.clone().unwrap_or_else(|| "-".to_owned()));
    let headings = [
        "LETTER", "ORIGINAL", "EVENT", "KEY", "HANDLER", "CLASS", "ATTEMPTS", "REDRIVES", "GIVEN UP", "REDRIVEN",
        "MESSAGE",
    ];
    output::rows(printer, format, rows, headings, |row| {
        [
            row.letter.clone().into(),
            row.original().into(),
            text(&row.event),
            Cell::Line(row.key.as_ref().map_or_else(|| "-".to_owned(), Bytes::to_line)),
            text(&row.handler),
            text(&row.class),
            row.attempts.map_or_else(|| "-".to_owned(), |attempts| attempts.to_string()).into(),
            row.redrives.to_string().into(),
            text(&row.given_up),
            text(&row.redriven),
            shortened(row.message.as_deref().unwrap_or("-")).into(),
        ]
    })
}

pub(super) async fn run(arguments: &ListArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let dead_letters = arguments.topic.open(settings)?;
    let mut letters = dead_letters.letters(&arguments.selection.selection()?).await?;
    let limit = if arguments.limit == 0 || arguments.by.is_some() { usize::MAX } else { arguments.limit };
    let (mut rows, mut left_out, mut redriven) = (Vec::new(), 0_u64, 0_u64);
    let mut errors = Breakdown::<(String, String)>::default();
    let mut texts = Breakdown::<String>::default();
    while let Some(letter) = letters.next().await? {
        if letter.redriven().is_some() && !arguments.all {
            redriven += 1;
            continue;
        }
        match arguments.by {
            None if rows.len() < limit => rows.push(LetterRow::of(&letter)),
            None => left_out += 1,
            Some(By::Error) => errors.add(letter.error_group()),
            Some(By::Handler) => texts.add(letter.circumstances().handler.clone()),
            Some(By::Event) => texts.add(letter.event().map(str::to_owned)),
            Some(By::Key) => texts.add(letter.record().key.as_deref().map(|key| Bytes(key.to_vec()).to_line())),
        }
    }
    let format = arguments.topic.output;
    match arguments.by {
        None => write(printer, format, &rows)?,
        Some(By::Error) => {
            let rows = breakdown::rows(&errors, breakdown::error);
            output::rows(printer, format, &rows, ["LETTERS", "CLASS", "MESSAGE"], |row| {
                let [class, message] = row.group.cells();
                [row.letters.to_string(), class, shortened(&message)]
            })?;
        }
        Some(by) => {
            let (heading, group): (_, fn(Option<String>) -> GroupRow) = match by {
                By::Key => ("KEY", |key| GroupRow::Key { key }),
                By::Event => ("EVENT", |event| GroupRow::Event { event }),
                By::Handler | By::Error => ("HANDLER", |handler| GroupRow::Handler { handler }),
            };
            let rows = breakdown::rows(&texts, group);
            output::rows(printer, format, &rows, ["LETTERS", heading], |row| {
                let [text, _] = row.group.cells();
                [row.letters.to_string(), text]
            })?;
        }
    }
    if left_out > 0 {
        printer.note(&format!("{left_out} more letters are not shown; raise --limit or narrow the selection"));
    }
    if redriven > 0 {
        printer.note(&format!("{redriven} letters that were redriven are left out; --all shows them"));
    }
    Ok(())
}

/// The beginning of a text, on one line.
pub(super) fn shortened(text: &str) -> String {
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
    fn a_long_text_is_cut_in_a_table_and_stays_on_one_line() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened("one\ntwo"), "one…");
        assert_eq!(shortened(&"é".repeat(100)).chars().count(), SHOWN + 1);
    }
}
