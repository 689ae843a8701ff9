//! `tidings dead-letters redrive`.

use clap::Args;
use serde::Serialize;

use super::TopicArguments;
use super::breakdown::{self, CountRow, GroupRow};
use super::list::{self, LetterRow};
use super::selection::SelectionArguments;
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::clock::{Clock as _, SystemClock};
use crate::consumer::terminated;
use crate::dead_letters::{RedriveOptions, RedriveSummary, Refusal};

/// How often it is told how far it is.
const TELL: std::time::Duration = std::time::Duration::from_secs(5);

/// Publish dead letters to their original topics again, for the group that gave them up
///
/// Without --execute nothing is changed: it shows what would be redriven.
///
/// A letter becomes the record it was, with its key, payload and headers,
/// behind the newest events of its topic. Other groups of tidings that read
/// the topic skip it; other frameworks do not know of that, and see the event
/// again. Each letter is redriven once: where it is interrupted, start it
/// again, and it goes on. Letters of one key keep their order.
///
/// It writes in Kafka transactions of the transactional id TOPIC.redrive, and
/// remembers what it redrove in the topic TOPIC.redriven, which it creates;
/// TOPIC is the dead-letter topic.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings dead-letters redrive --group leaderboards.Leaderboards --class timeout
  tidings dead-letters redrive --group leaderboards.Leaderboards --class timeout --rate 50 --execute
  tidings dead-letters redrive -g leaderboards.Leaderboards --at 3:17 --execute
  tidings dead-letters redrive --topic orders.DLT --from @-1d --limit 100 --execute"
)]
pub(super) struct RedriveArguments {
    /// Do it.
    #[arg(long)]
    execute: bool,

    /// At most so many letters a second. Default: as fast as can be.
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// At most so many letters.
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<u64>,

    /// Refuse letters that were redriven so often already.
    #[arg(long, value_name = "N", default_value_t = 3)]
    max_redrives: u32,

    /// The only group that is to handle them. Default: the group that gave them up.
    #[arg(long, value_name = "GROUP")]
    for_group: Option<String>,

    #[command(flatten)]
    topic: TopicArguments,

    #[command(flatten)]
    selection: SelectionArguments,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "it is no number of letters a second; write one above 0, such as 50 or 0.5".to_owned())
}

/// What was done, or would be.
#[derive(Serialize)]
struct Outcome {
    executed: bool,
    /// Letters redriven, or that would be.
    redriven: u64,
    already_redriven: u64,
    refused: Vec<RefusedRow>,
    /// Whether the limit left letters out.
    limited: bool,
    /// Whether it was stopped before its end.
    stopped: bool,
    by_topic: Vec<CountRow>,
    by_handler: Vec<CountRow>,
    by_error: Vec<CountRow>,
    /// The first ones.
    first: Vec<LetterRow>,
}

#[derive(Serialize)]
struct RefusedRow {
    letters: u64,
    reason: Refusal,
}

impl Outcome {
    fn of(summary: &RedriveSummary, executed: bool) -> Self {
        Self {
            executed,
            redriven: summary.redriven,
            already_redriven: summary.already_redriven,
            refused: summary
                .refused
                .iter()
                .map(|(reason, letters)| RefusedRow { letters: *letters, reason: *reason })
                .collect(),
            limited: summary.limited,
            stopped: summary.stopped,
            by_topic: breakdown::rows(&summary.by_topic, |topic| GroupRow::Topic { topic }),
            by_handler: breakdown::rows(&summary.by_handler, |handler| GroupRow::Handler { handler }),
            by_error: breakdown::rows(&summary.by_error, breakdown::error),
            first: summary.first.iter().map(LetterRow::of).collect(),
        }
    }
}

pub(super) async fn run(arguments: &RedriveArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let dead_letters = arguments.topic.open(settings)?;
    let selection = arguments.selection.selection()?;
    let mut options = RedriveOptions::default().max_redrives(arguments.max_redrives);
    if let Some(rate) = arguments.rate {
        options = options.rate(rate);
    }
    if let Some(limit) = arguments.limit {
        options = options.limit(limit);
    }
    if let Some(group) = &arguments.for_group {
        options = options.for_group(group);
    }
    let summary = if arguments.execute {
        let clock = SystemClock::new();
        let mut due = clock.monotonic() + TELL;
        let tell = |redriven| {
            if clock.monotonic() >= due {
                due = clock.monotonic() + TELL;
                printer.note(&format!("{redriven} letters redriven so far"));
            }
        };
        dead_letters.redrive(&selection, &options, terminated(), tell).await?
    } else {
        dead_letters.plan(&selection, &options).await?
    };
    let outcome = Outcome::of(&summary, arguments.execute);
    match arguments.topic.output {
        OutputFormat::Json => printer.line(&output::json(&outcome, true)?)?,
        OutputFormat::Jsonl => printer.line(&output::json(&outcome, false)?)?,
        OutputFormat::Table => table(&outcome, printer)?,
    }
    tell(&outcome, printer);
    let unwritable = summary.refused.get(&Refusal::Unwritable).copied().unwrap_or(0);
    match () {
        () if outcome.stopped => {
            Err(CliError::failure("it was stopped before its end; the same command goes on where it stopped"))
        }
        () if unwritable > 0 => {
            Err(CliError::failure(format!("the brokers refused {unwritable} letters; the warnings above say why")))
        }
        () => Ok(()),
    }
}

fn table(outcome: &Outcome, printer: &Printer) -> Result<(), CliError> {
    let (format, mut tables) = (OutputFormat::Table, 0);
    let mut gap = || {
        tables += 1;
        if tables > 1 { printer.line("") } else { Ok(()) }
    };
    for (heading, rows) in [("TOPIC", &outcome.by_topic), ("HANDLER", &outcome.by_handler)] {
        if !rows.is_empty() {
            gap()?;
        }
        output::rows(printer, format, rows, ["LETTERS", heading], |row| {
            let [text, _] = row.group.cells();
            [row.letters.to_string(), text]
        })?;
    }
    if !outcome.by_error.is_empty() {
        gap()?;
    }
    output::rows(printer, format, &outcome.by_error, ["LETTERS", "CLASS", "MESSAGE"], |row| {
        let [class, message] = row.group.cells();
        [row.letters.to_string(), class, list::shortened(&message)]
    })?;
    if !outcome.refused.is_empty() {
        gap()?;
    }
    output::rows(printer, format, &outcome.refused, ["LETTERS", "REFUSED", "WHAT TO DO"], |row| {
        [row.letters.to_string(), row.reason.to_string(), row.reason.advice().to_owned()]
    })?;
    if !outcome.first.is_empty() {
        gap()?;
    }
    list::write(printer, format, &outcome.first)
}

/// What it comes to, in words.
fn tell(outcome: &Outcome, printer: &Printer) {
    let refused: u64 = outcome.refused.iter().map(|row| row.letters).sum();
    let what = if outcome.executed { "letters redriven" } else { "letters would be redriven" };
    let mut counts = vec![format!("{} {what}", outcome.redriven)];
    if refused > 0 {
        counts.push(format!("{refused} refused"));
    }
    if outcome.already_redriven > 0 {
        counts.push(format!("{} left alone that were redriven before", outcome.already_redriven));
    }
    let mut text = counts.join(", ");
    if outcome.limited {
        text.push_str("; there are more than --limit allows");
    }
    if !outcome.executed && outcome.redriven > 0 {
        text.push_str("; nothing was changed: add --execute to do it");
    }
    printer.note(&text);
}
