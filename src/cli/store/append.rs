//! `tidings store append`: events from JSON, straight into the event store.

use std::str::FromStr;

use clap::Args;

use super::client;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::publish::{EventArguments, Records};
use crate::cli::settings::{Settings, StoreArguments};
use crate::store::{Append, Appended, EventStore as _, ExpectedVersion, NewEvent, StoreClient};

/// Append events to the event store: JSON in, as for `tidings publish`.
///
/// Each is appended by itself, and shown when it is durable. With --expect all of them are one append, of one stream: together
/// or not at all. What is sent again with the same id is recognised.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings store append accounts --event accounts.UserUpdated --key 42 '{\"user_id\": 42}'
  tidings store append accounts --event accounts.UserUpdated --key 42 --expect 7 '{\"user_id\": 42}'")]
pub(super) struct AppendArguments {
    /// The service whose events they are: also their topic.
    source: String,

    /// Where the stream must be: any (anywhere), none (it has no events), or the sequence of its last event.
    #[arg(long, value_name = "VERSION")]
    expect: Option<Expected>,

    #[command(flatten)]
    events: EventArguments,

    #[command(flatten)]
    store: StoreArguments,
}

/// An expected version, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected(ExpectedVersion);

impl FromStr for Expected {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "any" => Ok(Self(ExpectedVersion::Any)),
            "none" => Ok(Self(ExpectedVersion::None)),
            number => number
                .parse()
                .map(|sequence| Self(ExpectedVersion::Exact(sequence)))
                .map_err(|_| "write any, none, or the sequence of the stream's last event".to_owned()),
        }
    }
}

pub(super) async fn run(arguments: AppendArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let store = client(&arguments.store, settings).await?;
    let mut records = Records::open(&arguments.source, &arguments.events, settings, printer).await?;
    let mut together = Vec::new();
    while let Some((line, record)) = records.next().await? {
        let mut event = NewEvent::of_record(&record)
            .map_err(|reason| CliError::failure(format!("line {line} makes no event: {reason}")))?;
        // The store gives them anew.
        event.envelope.sequence = None;
        event.envelope.stream_epoch = 0;
        if arguments.expect.is_some() {
            together.push(event);
        } else {
            append(&store, vec![event], ExpectedVersion::Any, printer).await?;
            printer.flush()?;
        }
    }
    match arguments.expect {
        Some(Expected(expected)) if !together.is_empty() => append(&store, together, expected, printer).await,
        _ => Ok(()),
    }
}

async fn append(
    store: &StoreClient,
    events: Vec<NewEvent>,
    expected: ExpectedVersion,
    printer: &Printer,
) -> Result<(), CliError> {
    let shown: Vec<_> = events
        .iter()
        .map(|NewEvent { envelope, .. }| (envelope.stream.clone(), envelope.event.clone(), envelope.id))
        .collect();
    let Appended { first, repeated, .. } = store.append(Append::new(events, expected)).await?;
    let again = if repeated { "  (again)" } else { "" };
    for ((stream, event, id), sequence) in shown.into_iter().zip(first.sequence..) {
        printer.line(&format!("{stream}@{sequence}  {event}  {id}{again}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expected_version_is_a_word_or_a_sequence() {
        assert_eq!("none".parse(), Ok(Expected(ExpectedVersion::None)));
        assert_eq!("7".parse(), Ok(Expected(ExpectedVersion::Exact(7))));
        assert!("-1".parse::<Expected>().is_err() && "last".parse::<Expected>().is_err());
    }
}
