//! `tidings store subscribe`: every event of the store, and what comes.

use clap::Args;
use futures_util::TryStreamExt as _;

use super::client;
use super::line::Lines;
use crate::cli::error::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::printer::Printer;
use crate::cli::schemas::Schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings, StoreArguments};
use crate::consumer::terminated;
use crate::store::{EventStore as _, Notice, Subscription};

/// Follow the event store: every event behind a position, in order, and what comes
///
/// Where it ends it says the position to go on from.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings store subscribe
  tidings store subscribe --after 1200 --source accounts -o jsonl | jq .payload
  tidings store subscribe --no-follow -o jsonl > all.jsonl")]
pub(super) struct SubscribeArguments {
    /// The position behind which to begin; 0 is the beginning.
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,

    /// Only events of this service; may be repeated.
    #[arg(long, value_name = "SERVICE")]
    source: Vec<String>,

    /// End when everything that is there was shown.
    #[arg(long)]
    no_follow: bool,

    /// End after so many events.
    #[arg(long, short = 'n', value_name = "N")]
    count: Option<u64>,

    /// How events are written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    store: StoreArguments,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

pub(super) async fn run(arguments: SubscribeArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let store = client(&arguments.store, settings).await?;
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    let subscription = arguments.source.into_iter().fold(Subscription::after(arguments.after), Subscription::source);
    let mut lines = Lines::new(arguments.output, schemas.codec);
    let mut notices = store.subscribe(subscription);
    let mut stopped = Box::pin(terminated());
    let (mut last, mut left) = (arguments.after, arguments.count);
    let mut ended = Ok(());
    while left != Some(0) {
        let notice = tokio::select! {
            notice = notices.try_next() => notice.unwrap_or_else(|error| {
                ended = Err(error);
                None
            }),
            () = &mut stopped => None,
        };
        match notice {
            None => break,
            Some(Notice::Event(event)) => {
                lines.show(&event, printer).await?;
                last = event.position.unwrap_or(last);
                left = left.map(|left| left - 1);
            }
            Some(Notice::CaughtUp { position }) => {
                last = position;
                printer.flush()?;
                if arguments.no_follow {
                    break;
                }
            }
        }
    }
    lines.end(printer)?;
    printer.note(&format!("go on with --after {last}"));
    Ok(ended?)
}
