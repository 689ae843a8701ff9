//! `tidings store`: the event store, as a service and as its client.

mod append;
mod line;
mod migrate;
mod new_epoch;
mod read;
mod serve;
mod serve_options;
mod subscribe;

use clap::{Args, Subcommand};

use super::error::CliError;
use super::printer::Printer;
use super::settings::{Settings, StoreArguments};
use crate::store::{StoreClient, StoreError};

/// The event store: keeps events for ever, in the order of their streams, and forwards them to Kafka.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings store migrate --database mysql://store@db.example/store
  tidings store serve --database mysql://store@db.example/store --brokers broker-1:9092
  tidings store read accounts Account/42
  tidings store subscribe --after 1200 -o jsonl")]
pub(super) struct StoreVerbs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Append(Box<append::AppendArguments>),
    Read(read::ReadArguments),
    Subscribe(subscribe::SubscribeArguments),
    Serve(Box<serve::ServeArguments>),
    Migrate(migrate::MigrateArguments),
    NewEpoch(new_epoch::NewEpochArguments),
}

pub(super) async fn run(verbs: StoreVerbs, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    match verbs.verb {
        Verb::Append(arguments) => append::run(*arguments, settings, printer).await,
        Verb::Read(arguments) => read::run(arguments, settings, printer).await,
        Verb::Subscribe(arguments) => subscribe::run(arguments, settings, printer).await,
        Verb::Serve(arguments) => serve::run(*arguments, settings, printer).await,
        Verb::Migrate(arguments) => migrate::run(arguments, settings, printer).await,
        Verb::NewEpoch(arguments) => new_epoch::run(arguments, settings, printer).await,
    }
}

async fn client(arguments: &StoreArguments, settings: &Settings) -> Result<StoreClient, CliError> {
    Ok(StoreClient::new(settings.store(arguments)).await?)
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Client { .. } => Self::unusable(&error),
            StoreError::Database(error) => error.into(),
            error => Self::failed(&error),
        }
    }
}
