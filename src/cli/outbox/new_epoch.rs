//! `tidings outbox new-epoch`.

use clap::Args;
use serde::Serialize;

use super::{PlaceArguments, counted};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::cli::settings::Settings;
use crate::outbox::{Streams, count_streams, raise_epochs};

/// Give streams a new epoch, after their database has lost something
///
/// Without --execute nothing is changed: it shows how many streams it would be.
///
/// A database that was restored from a copy, or failed over and lost its last
/// transactions, gives out sequences again that consumers have seen. In a new
/// epoch they begin at 1, and consumers tell them from the old ones. Do it
/// before the service writes again. Its number is the time, so that it is
/// above those that were given out after the copy was made.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings outbox new-epoch --all --database mysql://accounts@db.example/accounts
  tidings outbox new-epoch --all --execute
  tidings outbox new-epoch --prefix Account/ --execute"
)]
#[group(required = true, multiple = false, id = "which", args = ["all", "streams", "prefix"])]
pub(super) struct NewEpochArguments {
    /// All streams of the database.
    #[arg(long)]
    all: bool,

    /// This stream; may be repeated.
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,

    /// The streams whose names begin so.
    #[arg(long, value_name = "TEXT")]
    prefix: Option<String>,

    /// The epoch's number, where it is not to be the time in seconds since 1970. A stream that is there already gets the next.
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,

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
    let streams = match &arguments.prefix {
        Some(prefix) => Streams::Prefixed(prefix.clone()),
        None if arguments.all => Streams::All,
        None => Streams::Named(arguments.streams.clone()),
    };
    let database = arguments.place.open(settings).await?;
    let count = if arguments.execute {
        raise_epochs(&database, &streams, arguments.epoch).await
    } else {
        count_streams(&database, &streams).await
    };
    database.close().await;
    let outcome = Outcome { executed: arguments.execute, streams: count? };
    let row = std::slice::from_ref(&outcome);
    output::rows(printer, arguments.place.output, row, ["STREAMS"], |outcome| [outcome.streams.to_string()])?;
    let streams = counted(outcome.streams, "stream");
    printer.note(&if outcome.executed {
        format!("{streams} have a new epoch")
    } else {
        format!("this would give a new epoch to {streams}; nothing was changed: add --execute to do it")
    });
    Ok(())
}
