//! The `tidings` command: one file a verb.
//!
//! Data goes to standard output, everything else to standard error. It exits with 0 when what was asked for is done, 1 when
//! it failed, and 2 when it was asked for wrongly: an unknown flag, a configuration that cannot be used. Where 1 is an answer,
//! as of `migrate --check`, it exits with 2 when it could not find out.
#![allow(clippy::doc_markdown, reason = "doc comments here are help texts, shown as they are written")]

mod error;
mod header_map;
mod printer;
mod settings;
mod terminal_text;

mod audit;
mod completions;
mod contract;
mod database;
mod dead_letters;
mod inbox;
mod masking;
mod migrate;
mod outbox;
mod output;
mod parked;
mod pipeline;
mod position;
mod publish;
mod record_line;
mod relay;
mod relay_options;
mod routes;
mod schema;
mod schemas;
mod shards;
mod store;
mod tail;
mod topics;
mod which_streams;

use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use self::error::CliError;
use self::printer::Printer;
use self::settings::{GlobalArguments, Settings};

/// How long clients that were let go may take to say goodbye to their servers.
const FAREWELL: Duration = Duration::from_secs(2);

static VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{} (librdkafka {})", env!("CARGO_PKG_VERSION"), rdkafka::util::get_rdkafka_version().1));

/// Domain events on Kafka: look at them, publish them, run what delivers them.
///
/// Where the servers are and how they are reached can be given as a flag, as an environment variable or in a file, under
/// the same name: --brokers, TIDINGS_BROKERS, and brokers = "…" in tidings.toml. A flag wins over the environment, and
/// that over the file.
#[derive(Parser)]
#[command(
    name = "tidings",
    version = VERSION.as_str(),
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 asked for wrongly.",
    after_long_help = "\
Examples:
  tidings tail accounts                     the last events of a topic, and what comes
  tidings routes -- cargo run               what a service handles
  tidings topics ensure                     create the topics declared in schemas/*/topic.toml
  tidings schema check                      whether events can change as they are about to
  tidings dead-letters ls --group GROUP     what a group gave up, and why
  tidings parked ls --group GROUP           the keys that wait for somebody's decision
  tidings audit accounts                    what of each stream is missing, repeated, out of order
  tidings store subscribe                   every event of an event store, and what comes

tidings.toml:
  brokers  = \"broker-1:9093,broker-2:9093\"
  registry = \"https://registry.example\"
  database = \"mysql://accounts@db.example/accounts\"

  [kafka]
  security.protocol = \"SASL_SSL\"
  sasl.mechanism = \"SCRAM-SHA-512\"

Exit codes: 0 done, 1 failed, 2 asked for wrongly."
)]
struct Arguments {
    #[command(flatten)]
    global: GlobalArguments,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Tail(tail::TailArguments),
    Publish(Box<publish::PublishArguments>),
    Routes(routes::RoutesArguments),
    Topics(topics::TopicsArguments),
    Schema(schema::SchemaArguments),
    Contract(contract::ContractArguments),
    Pipeline(pipeline::PipelineArguments),
    DeadLetters(Box<dead_letters::DeadLettersArguments>),
    Parked(Box<parked::ParkedArguments>),
    Outbox(outbox::OutboxArguments),
    Relay(relay::RelayArguments),
    Audit(audit::AuditArguments),
    Store(Box<store::StoreVerbs>),
    Migrate(migrate::MigrateArguments),
    Inbox(inbox::InboxArguments),
    Shards(shards::ShardsCommand),
    Completions(completions::CompletionsArguments),
}

/// Run the command this process was started for.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and errors both; nobody can be told that they could not be shown.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let printer = Printer::new(arguments.global.color, arguments.global.quiet);
    log_to_stderr(&arguments.global, &printer);
    let result = run(arguments, &printer).and_then(|()| printer.flush());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was printed before the error comes before it.
            let _ = printer.flush();
            printer.error(&error);
            error.exit_code()
        }
    }
}

fn run(arguments: Arguments, printer: &Printer) -> Result<(), CliError> {
    let Arguments { global, verb } = arguments;
    // These two ask no server, and work whatever the configuration says.
    let verb = match verb {
        Verb::Routes(arguments) => return routes::run(&arguments, printer),
        Verb::Completions(arguments) => return completions::run(&arguments, printer),
        verb => verb,
    };
    let settings = Settings::load(&global)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| CliError::failure("the threads could not be started").caused_by(&error))?;
    let result = runtime.block_on(async {
        match verb {
            Verb::Tail(arguments) => tail::run(arguments, &settings, printer).await,
            Verb::Publish(arguments) => publish::run(*arguments, &settings, printer).await,
            Verb::Topics(arguments) => topics::run(arguments, &settings, printer).await,
            Verb::Contract(arguments) => contract::run(&arguments, &settings, printer),
            Verb::Pipeline(arguments) => pipeline::run(&arguments, &settings, printer),
            Verb::Schema(arguments) => schema::run(arguments, &settings, printer).await,
            Verb::DeadLetters(arguments) => dead_letters::run(*arguments, &settings, printer).await,
            Verb::Parked(arguments) => parked::run(*arguments, &settings, printer).await,
            Verb::Outbox(arguments) => outbox::run(arguments, &settings, printer).await,
            Verb::Relay(arguments) => relay::run(arguments, &settings, printer).await,
            Verb::Audit(arguments) => audit::run(arguments, &settings, printer, global.quiet).await,
            Verb::Store(arguments) => store::run(*arguments, &settings, printer).await,
            Verb::Migrate(arguments) => migrate::run(arguments, &settings, printer).await,
            Verb::Inbox(arguments) => inbox::run(arguments, &settings, printer).await,
            Verb::Shards(arguments) => shards::run(arguments, &settings, printer).await,
            // They ran above.
            Verb::Routes(_) | Verb::Completions(_) => Ok(()),
        }
    });
    // Clients say goodbye on the runtime's blocking threads.
    runtime.shutdown_timeout(FAREWELL);
    result
}

/// Logs, where they are asked for. Warnings are shown without asking, but not librdkafka's: errors tell what it knows.
fn log_to_stderr(global: &GlobalArguments, printer: &Printer) {
    let filter = match (global.quiet, global.verbose) {
        (true, _) => "error,librdkafka=off",
        (false, 0) => "warn,librdkafka=off",
        (false, 1) => "info",
        (false, 2) => "debug,hyper=info,hyper_util=info,reqwest=info",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(printer.colours_stderr())
        .with_writer(std::io::stderr)
        .finish();
    // A second one in the same process would be a test's.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_argument_is_explained() {
        let mut unexplained = Vec::new();
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            if command.get_about().is_none() {
                unexplained.push(command.get_name().to_owned());
            }
            for argument in command.get_arguments().filter(|argument| argument.get_help().is_none()) {
                unexplained.push(format!("{} {}", command.get_name(), argument.get_id()));
            }
            commands.extend(command.get_subcommands().cloned());
        }
        assert_eq!(unexplained, Vec::<String>::new());
    }
}
