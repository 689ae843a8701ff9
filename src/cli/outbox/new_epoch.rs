//! `tidings outbox new-epoch`.

use clap::Args;
use serde::Serialize;

use super::{PlaceArguments, counted};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::cli::which_streams::StreamsArguments;
use crate::database::{Database, Error};
use crate::outbox::{Streams, change_mode, check_mode_change, count_streams, raise_epochs};
use crate::publisher::DeliveryMode;

/// Give streams a new epoch, after their database has lost something, or with another mode
///
/// Without --execute nothing is changed: it shows how many streams it would be.
///
/// A database that was restored from a copy, or failed over and lost its last
/// transactions, gives out sequences again that consumers have seen. In a new
/// epoch they begin at 1, and consumers tell them from the old ones. Do it
/// before the service writes again. Its number is the time, so that it is
/// above those that were given out after the copy was made.
///
/// With --mode their events go another way from then on: a service whose mode
/// is another one is refused. It is done only while no event of a stream whose
/// mode it changes is in the outbox or parked. Where they leave the mode
/// store, see first that the event store has forwarded what it has: its own
/// outbox is empty (tidings outbox status, on the store's database).
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings outbox new-epoch --all --database mysql://accounts@db.example/accounts
  tidings outbox new-epoch --all --execute
  tidings outbox new-epoch --prefix Account/ --execute
  tidings outbox new-epoch --all --mode store --execute"
)]
pub(super) struct NewEpochArguments {
    #[command(flatten)]
    which: StreamsArguments,

    /// The epoch's number, where it is not to be the time in seconds since 1970. A stream that is there already gets the next.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,

    /// How their events are delivered from now on: outbox, store or direct. Default: as before.
    #[arg(long, value_name = "MODE")]
    mode: Option<DeliveryMode>,

    /// Do it.
    #[arg(long)]
    execute: bool,

    #[command(flatten)]
    place: PlaceArguments,
}

#[derive(Serialize)]
struct Outcome {
    executed: bool,
    streams: u64,
}

pub(super) async fn run(arguments: &NewEpochArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let streams = arguments.which.streams();
    let database = arguments.place.open(settings).await?;
    let count = new_epoch(&database, &streams, arguments).await;
    database.close().await;
    let outcome = Outcome { executed: arguments.execute, streams: count? };
    let row = std::slice::from_ref(&outcome);
    output::rows(printer, arguments.place.output, row, ["STREAMS"], |outcome| [outcome.streams.to_string()])?;
    let streams = counted(outcome.streams, "stream");
    let mode = arguments.mode.map(|mode| format!(" and the mode {mode}")).unwrap_or_default();
    printer.note(&if outcome.executed {
        format!("{streams} have a new epoch{mode}")
    } else {
        format!("this would give a new epoch{mode} to {streams}; nothing was changed: add --execute to do it")
    });
    Ok(())
}

async fn new_epoch(database: &Database, streams: &Streams, arguments: &NewEpochArguments) -> Result<u64, Error> {
    match arguments.mode {
        Some(mode) if arguments.execute => change_mode(database, streams, mode, arguments.epoch).await,
        None if arguments.execute => raise_epochs(database, streams, arguments.epoch).await,
        mode => {
            if let Some(mode) = mode {
                check_mode_change(database, streams, mode).await?;
            }
            count_streams(database, streams).await
        }
    }
}
