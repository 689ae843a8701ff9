//! `tidings shards`: move a key from one database of a service to another.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::database;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{Settings, ShardsArguments};
use crate::database::shards::{KeyMove, MoveStep};
use crate::database::{Database, DatabaseOptions};

/// Look after the shards of a service: databases that its keys are spread over.
#[derive(Args)]
pub(super) struct ShardsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Move(MoveArguments),
}

/// Move a key to another shard, with its streams and what handlers' inboxes remember of them, while the service runs.
///
/// Meanwhile, a fraction of a second, transactions of the key are refused on both. Its events in the outbox are waited for. It may be
/// interrupted at any point: run it again, and it goes on. The service's own rows of the key are yours to copy: close the key first
/// (--until closed), copy them, and run it again without.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings shards move 42 --from eu-1 --to eu-2            with the shards in tidings.toml
  tidings shards move 42 --from eu-1 --to eu-2 --shard eu-1=mysql://db-1/accounts --shard eu-2=mysql://db-2/accounts
  tidings shards move 42 --from eu-1 --to eu-2 --until closed")]
struct MoveArguments {
    /// The key, as it stands in the records.
    #[arg(value_name = "KEY")]
    key: String,

    /// The shard it lives on.
    #[arg(long, value_name = "NAME")]
    from: String,

    /// The shard it is to live on.
    #[arg(long, value_name = "NAME")]
    to: String,

    /// Stop after a step; run it again to go on.
    #[arg(long, value_enum, value_name = "STEP", default_value_t = Until::Settled)]
    until: Until,

    /// How long the key's events may take to leave the outbox, in seconds; then it stays where it is.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    wait: u64,

    /// A stream of another service that the key's handlers remember and whose id is not the key: Guild/7; may be repeated.
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,

    #[command(flatten)]
    shards: ShardsArguments,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Until {
    /// The new shard refuses the key until it has arrived.
    Announced,
    /// The old one refuses it too.
    Closed,
    /// Its events have left the outbox.
    Drained,
    /// The new shard has its rows, and takes it.
    Carried,
    /// It is done.
    Settled,
}

pub(super) async fn run(arguments: ShardsCommand, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let Action::Move(arguments) = arguments.action;
    if arguments.from == arguments.to {
        return Err(CliError::usage("--from and --to name one shard; there is nothing to move"));
    }
    let mut databases = Vec::new();
    for (name, url) in settings.shards(&arguments.shards)? {
        databases.push(database::connect(DatabaseOptions::new(url).shard(name)).await?);
    }
    let result = move_key(&arguments, &databases, printer).await;
    for database in databases {
        database.close().await;
    }
    result
}

async fn move_key(arguments: &MoveArguments, databases: &[Database], printer: &Printer) -> Result<(), CliError> {
    let named = |name: &str| {
        let known: Vec<_> = databases.iter().map(Database::shard).collect();
        let missing = || CliError::usage(format!("there is no shard {name}; those named are {}", known.join(", ")));
        databases.iter().find(|database| database.shard() == name).ok_or_else(missing)
    };
    let (from, to) = (named(&arguments.from)?, named(&arguments.to)?);
    let others = databases.iter().filter(|other| ![from.shard(), to.shard()].contains(&other.shard()));
    let key_move = KeyMove::between(from, to, &arguments.key)
        .others(others)
        .streams(&arguments.streams)
        .wait(Duration::from_secs(arguments.wait))
        .until(arguments.until.into());
    let moved = key_move.run().await?;
    let (key, from, to) = (&arguments.key, &arguments.from, &arguments.to);
    match arguments.until {
        Until::Carried | Until::Settled => printer.line(&format!(
            "key {key} lives on {to}: {} streams, {} places in streams and {} events passed over were carried from {from}",
            moved.streams, moved.inbox, moved.holes
        )),
        step => {
            let step = MoveStep::from(step);
            printer.line(&format!("key {key} is on its way from {from} to {to}: {step:?}; run it again to go on"))
        }
    }
}

impl From<Until> for MoveStep {
    fn from(until: Until) -> Self {
        match until {
            Until::Announced => Self::Announced,
            Until::Closed => Self::Closed,
            Until::Drained => Self::Drained,
            Until::Carried => Self::Carried,
            Until::Settled => Self::Settled,
        }
    }
}
