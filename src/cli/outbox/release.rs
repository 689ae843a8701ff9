//! `tidings outbox retry` and `skip`.

use clap::Args;
use serde::Serialize;

use super::list::{self, StreamRow};
use super::{PlaceArguments, counted};
use crate::cli::error::CliError;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::database::Database;
use crate::outbox::{ParkedStream, first_parked, parked_streams, retry_parked, skip_parked, skippable};

/// Put the parked events of streams back, to be published in their order
///
/// Without --execute nothing is changed: it shows what would be put back.
///
/// They are published before what came since. One that Kafka refuses again is
/// parked again, and those behind it with it.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings outbox retry Account/42 --database mysql://accounts@db.example/accounts
  tidings outbox retry --all --execute"
)]
pub(super) struct RetryArguments {
    #[command(flatten)]
    which: WhichArguments,
}

/// Forget the first parked event of streams, and put the others back
///
/// Without --execute nothing is changed: it shows what would be forgotten.
/// The event is never published, and consumers count a gap in its stream;
/// `show --unmask -o json` keeps a copy.
///
/// An event that goes to an event store cannot be skipped: the store takes
/// no later one without it. Repair and retry; or begin a new epoch of the
/// stream (`new-epoch`), and skip then: all that is parked of the old epoch
/// is forgotten, and the new epoch goes on.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings outbox show Account/42 -n 1 --unmask -o json > skipped.json
  tidings outbox skip Account/42 --execute"
)]
pub(super) struct SkipArguments {
    #[command(flatten)]
    which: WhichArguments,
}

/// Which streams.
#[derive(Args)]
struct WhichArguments {
    /// The streams, written as `ls` shows them.
    #[arg(value_name = "STREAM", required_unless_present = "all")]
    streams: Vec<String>,

    /// The service that published them. Needed in an event store's outbox, where streams of several services have one name.
    #[arg(long, value_name = "NAME")]
    source: Option<String>,

    /// All streams that have parked events, of --source where that is given.
    #[arg(long, conflicts_with = "streams")]
    all: bool,

    /// Do it.
    #[arg(long)]
    execute: bool,

    #[command(flatten)]
    place: PlaceArguments,
}

/// What was done, or would be.
#[derive(Serialize)]
struct Outcome {
    executed: bool,
    /// How many events are put back.
    events: u64,
    /// How many are forgotten.
    skipped: u64,
    streams: Vec<StreamRow>,
}

pub(super) async fn retry(arguments: &RetryArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    run(&arguments.which, false, settings, printer).await
}

pub(super) async fn skip(arguments: &SkipArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    run(&arguments.which, true, settings, printer).await
}

async fn run(which: &WhichArguments, skip: bool, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let database = which.place.open(settings).await?;
    let done = release(which, skip, &database).await;
    database.close().await;
    let outcome = done?;
    match which.place.output {
        OutputFormat::Json => printer.line(&output::json(&outcome, true)?)?,
        OutputFormat::Jsonl => printer.line(&output::json(&outcome, false)?)?,
        OutputFormat::Table => list::write(printer, OutputFormat::Table, &outcome.streams)?,
    }
    let Outcome { executed, events, skipped, streams } = &outcome;
    let put_back = format!("{} of {}", counted(*events, "event"), counted(streams.len() as u64, "stream"));
    let forgotten = if skip { format!(", and {} forgotten", counted(*skipped, "event")) } else { String::new() };
    printer.note(&match (streams.is_empty(), executed) {
        (true, _) => "no stream is concerned".to_owned(),
        (_, true) => format!("put back: {put_back}{forgotten}"),
        (_, false) => {
            format!("this would put back: {put_back}{forgotten}; nothing was changed: add --execute to do it")
        }
    });
    Ok(())
}

async fn release(which: &WhichArguments, skip: bool, database: &Database) -> Result<Outcome, CliError> {
    let mut all = parked_streams(database, u32::MAX).await?;
    if let Some(source) = &which.source {
        all.retain(|stream| *stream.first.stream.source == **source);
    }
    let streams: Vec<ParkedStream> = if which.all {
        all
    } else {
        let mut named = Vec::new();
        for name in &which.streams {
            let mut found = all.iter().filter(|stream| stream.first.stream.stream.as_str() == name);
            let Some(first) = found.next() else {
                return Err(CliError::failure(format!(
                    "no event of the stream {name} is parked; `tidings outbox ls` lists the streams that have some"
                )));
            };
            if let Some(second) = found.next() {
                let [one, two] = [first, second].map(|stream| &stream.first.stream.source);
                return Err(CliError::failure(format!(
                    "several services have parked events of a stream {name}, {one} and {two} among them; say which with --source"
                )));
            }
            named.push(first.clone());
        }
        named
    };
    let rows = streams.iter().map(StreamRow::of).collect();
    let (mut events, mut skipped) = (0, 0);
    for stream in &streams {
        let id = &stream.first.stream;
        if !which.execute {
            let forgotten = if skip { skippable(database, id).await? } else { 0 };
            skipped += forgotten;
            events += stream.events.saturating_sub(forgotten);
        } else if skip {
            // Only what was shown: somebody else may have been faster.
            let first = first_parked(database, id).await?;
            if first.is_some_and(|first| first.event_id == stream.first.event_id) {
                let released = skip_parked(database, id).await?;
                skipped += released.forgotten;
                events += released.events;
            }
        } else {
            events += retry_parked(database, id).await?.events;
        }
    }
    Ok(Outcome { executed: which.execute, events, skipped, streams: rows })
}
