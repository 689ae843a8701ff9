//! `tidings store read`: the events of a stream.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use clap::Args;
use futures_util::TryStreamExt as _;

use super::client;
use super::line::Lines;
use crate::cli::error::CliError;
use crate::cli::output::OutputFormat;
use crate::cli::printer::Printer;
use crate::cli::schemas::Schemas;
use crate::cli::settings::{RegistryArguments, SchemasArguments, Settings, StoreArguments};
use crate::event::Stream;
use crate::store::{Direction, EventStore as _, Place, StreamQuery};

/// Read a stream of the event store
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings store read accounts Account/42
  tidings store read accounts Account/42 --backwards --limit 10
  tidings store read accounts Account/42 --until 2026-01-31T09:00:00Z -o jsonl")]
pub(super) struct ReadArguments {
    /// The service whose stream it is.
    source: String,

    /// The stream, such as Account/42.
    stream: String,

    /// From the last event to the first.
    #[arg(long)]
    backwards: bool,

    /// The first event to show: its sequence, or EPOCH/SEQUENCE.
    #[arg(long, value_name = "PLACE")]
    from: Option<FromPlace>,

    /// Only what is before the first event that was recorded after this moment: the stream as it was then.
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,

    /// The most events.
    #[arg(long, short = 'n', value_name = "N")]
    limit: Option<u64>,

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

/// A place, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FromPlace(Place);

impl FromStr for FromPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (epoch, sequence) = text.split_once('/').unwrap_or(("0", text));
        match (epoch.parse(), sequence.parse()) {
            (Ok(epoch), Ok(sequence)) => Ok(Self(Place { epoch, sequence })),
            _ => Err("write a sequence, such as 12, or EPOCH/SEQUENCE, such as 1/12".to_owned()),
        }
    }
}

pub(super) async fn run(arguments: ReadArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let store = client(&arguments.store, settings).await?;
    let schemas = Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options).await?;
    let mut query = StreamQuery::new(arguments.source, Stream::from_name(&arguments.stream));
    if arguments.backwards {
        query = query.direction(Direction::Backwards);
    }
    if let Some(FromPlace(place)) = arguments.from {
        query = query.from(place);
    }
    if let Some(until) = arguments.until {
        query = query.until(until);
    }
    if let Some(limit) = arguments.limit {
        query = query.limit(limit);
    }
    let mut lines = Lines::new(arguments.output, schemas.codec);
    let mut events = store.read(query);
    while let Some(event) = events.try_next().await? {
        lines.show(&event, printer).await?;
    }
    lines.end(printer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_sequence_with_or_without_its_epoch() {
        assert_eq!("12".parse(), Ok(FromPlace(Place { epoch: 0, sequence: 12 })));
        assert_eq!("1/12".parse(), Ok(FromPlace(Place { epoch: 1, sequence: 12 })));
        assert!("1/".parse::<FromPlace>().is_err() && "x".parse::<FromPlace>().is_err());
    }
}
