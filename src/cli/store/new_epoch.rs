//! `tidings store new-epoch`.

use clap::Args;
use serde::Serialize;

use crate::cli::database;
use crate::cli::error::CliError;
use crate::cli::outbox::counted;
use crate::cli::output::{self, OutputFormat};
use crate::cli::printer::Printer;
use crate::cli::settings::{DatabaseArguments, Settings};
use crate::cli::which_streams::StreamsArguments;
use crate::store::{EpochBegun, NewEpoch};

/// Give streams a new epoch, after the event store's own database has lost something
///
/// Without --execute nothing is changed: it shows how many streams it would be.
///
/// A store whose database was restored from a copy gives out sequences and
/// positions again that it gave out before. So those streams that it numbers
/// itself get a new epoch, and positions go on above all that were given out.
/// Do it before a replica runs again. Streams that a service's outbox numbers
/// get theirs there: tidings outbox new-epoch, in the service's database.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings store new-epoch --all --database mysql://store@db.example/store
  tidings store new-epoch --all --execute
  tidings store new-epoch --prefix Account/ --source accounts --execute"
)]
pub(super) struct NewEpochArguments {
    #[command(flatten)]
    which: StreamsArguments,

    /// Only streams of this service.
    #[arg(long, value_name = "SERVICE")]
    source: Option<String>,

    /// The epoch's number, where it is not to be the time in seconds since 1970. A stream that is there already gets the next.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,

    /// The highest position that was given out, or any above it, where positions are not to go on behind the time in microseconds
    /// since 1970.
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(..=MAX_POSITION))]
    position_after: Option<u64>,

    /// Do it.
    #[arg(long)]
    execute: bool,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    database: DatabaseArguments,
}

/// Programs that read positions as floating-point numbers take no higher ones.
const MAX_POSITION: u64 = 1 << 53;

#[derive(Serialize)]
struct Outcome {
    executed: bool,
    streams: u64,
    /// The last position given out, or from which they go on.
    position: u64,
    /// Services that number streams themselves.
    outboxes: Vec<String>,
}

pub(super) async fn run(arguments: NewEpochArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let mut new_epoch = NewEpoch::of(arguments.which.streams());
    if let Some(source) = arguments.source {
        new_epoch = new_epoch.source(source);
    }
    if let Some(epoch) = arguments.epoch {
        new_epoch = new_epoch.epoch(epoch);
    }
    if let Some(position) = arguments.position_after {
        new_epoch = new_epoch.position_after(position);
    }
    let executed = arguments.execute;
    let database = database::connect(database::options(settings, &arguments.database, false)?).await?;
    let begun = if executed { new_epoch.begin(&database).await } else { new_epoch.preview(&database).await };
    database.close().await;
    let EpochBegun { streams, position, was_served, outboxes } = begun?;
    let outcome = Outcome { executed, streams, position, outboxes };
    let row = std::slice::from_ref(&outcome);
    output::rows(printer, arguments.output, row, ["STREAMS", "POSITION"], |outcome| {
        [outcome.streams.to_string(), outcome.position.to_string()]
    })?;
    let counted = counted(streams, "stream");
    printer.note(&if executed {
        format!("{counted} have a new epoch, and positions go on behind {position}")
    } else {
        format!("this would give a new epoch to {counted}, and higher positions; nothing was changed: add --execute to do it")
    });
    if was_served {
        printer.note("a replica of the store runs, or did a moment ago; after a restore, stop all of them first");
    }
    if !outcome.outboxes.is_empty() {
        let outboxes = outcome.outboxes.join(", ");
        printer.note(&format!(
            "outboxes number streams of {outboxes}: run `tidings outbox new-epoch` in the databases of these services, too"
        ));
    }
    Ok(())
}
