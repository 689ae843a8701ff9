//! `tidings parked release`, `skip` and `discard`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::list::{self, KeyRow};
use super::selection::{Found, SelectionArguments};
use super::{Parked, StoreArguments};
use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::clock::{Clock as _, SystemClock};
use crate::consumer::parked::{ParkRequest, ParkedKey};

/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(super) struct AskArguments {
    /// The keys, written as `ls` shows them.
    #[arg(value_name = "KEY", required_unless_present = "all")]
    keys: Vec<String>,

    /// All keys that the selection takes.
    #[arg(long, conflicts_with = "keys")]
    all: bool,

    /// Do it.
    #[arg(long)]
    execute: bool,

    /// Wait so long until the consumer has done it, in seconds; exits with 1 when it has not, or when a key is parked again.
    #[arg(long, value_name = "SECONDS", requires = "execute")]
    wait: Option<u64>,

    #[command(flatten)]
    selection: SelectionArguments,

    #[command(flatten)]
    store: StoreArguments,
}

/// What was asked for, or would be.
#[derive(Serialize)]
struct Outcome {
    executed: bool,
    request: &'static str,
    /// How many events of the keys wait.
    events: u64,
    keys: Vec<KeyRow>,
}

pub(super) async fn run(
    arguments: &AskArguments,
    request: ParkRequest,
    settings: &Settings,
    printer: &Printer,
) -> Result<(), CliError> {
    let parked = arguments.store.open(settings, printer).await?;
    let mut found = if arguments.all {
        arguments.selection.find(&parked, usize::MAX).await?.0
    } else {
        arguments.selection.named(&parked, &arguments.keys).await?
    };
    let mut gone = Vec::new();
    if arguments.execute {
        let mut asked = Vec::with_capacity(found.len());
        for found in found {
            // Somebody else may have been faster.
            if parked.store.request(parked.id(&found.key), Some(request)).await? {
                asked.push(found);
            } else {
                gone.push(found);
            }
        }
        found = asked;
    }
    let outcome = Outcome {
        executed: arguments.execute,
        request: request.as_str(),
        events: found.iter().map(|found| found.key.records).sum(),
        keys: found.iter().map(KeyRow::of).collect(),
    };
    match arguments.store.output {
        OutputFormat::Json => printer.line(&output::json(&outcome, true)?)?,
        OutputFormat::Jsonl => printer.line(&output::json(&outcome, false)?)?,
        OutputFormat::Table => list::write(printer, OutputFormat::Table, &outcome.keys)?,
    }
    tell(&outcome, request, gone.len(), printer);
    match arguments.wait {
        Some(seconds) => wait(&parked, &found, request, Duration::from_secs(seconds)).await,
        None => Ok(()),
    }
}

/// What it comes to, in words.
fn tell(outcome: &Outcome, request: ParkRequest, gone: usize, printer: &Printer) {
    let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (keys, events) = (outcome.keys.len() as u64, outcome.events);
    let what = match request {
        ParkRequest::Release => "releasing",
        ParkRequest::Skip => "skipping the first event of",
        ParkRequest::Discard => "discarding all events of",
    };
    let what = format!("{what} {} with {}", counted(keys, "key"), counted(events, "event"));
    let text = match (keys, outcome.executed) {
        (0, _) => "no key is concerned".to_owned(),
        (_, true) => format!("asked for: {what}; the consumer does it within a second or so while it runs"),
        (_, false) => format!("this would ask for: {what}; nothing was changed: add --execute to do it"),
    };
    printer.note(&text);
    if gone > 0 {
        printer.note(&format!("no longer parked: {}", counted(gone as u64, "key")));
    }
}

/// Wait until nothing is asked of these keys any more.
async fn wait(parked: &Parked, asked: &[Found], request: ParkRequest, patience: Duration) -> Result<(), CliError> {
    let clock = SystemClock::new();
    let deadline = clock.monotonic() + patience;
    loop {
        let keys = parked.keys().await?;
        let of = |found: &Found| {
            keys.iter().find(|key| (&key.partition, &key.key) == (&found.key.partition, &found.key.key))
        };
        let left: Vec<&ParkedKey> = asked.iter().filter_map(of).collect();
        let waiting = left.iter().filter(|key| key.request.is_some()).count();
        if waiting == 0 && left.is_empty() {
            return Ok(());
        }
        if waiting == 0 {
            let first = Bytes(left[0].key.to_vec()).to_line();
            return Err(CliError::failure(format!(
                "{} keys are parked again, {first} the first of them: an event of theirs failed again; `tidings parked show` says why",
                left.len()
            )));
        }
        if clock.monotonic() >= deadline {
            return Err(CliError::failure(format!(
                "{waiting} keys have not been dealt with within {} s; does a member of the group {} run? What was asked for ({}) stays \
                 asked for",
                patience.as_secs(),
                parked.group,
                request.as_str()
            )));
        }
        // There is nothing to wait for but time.
        tokio::time::sleep(LOOK).await;
    }
}
