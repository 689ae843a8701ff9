//! `tidings parked`: keys that wait for somebody's decision.

mod ask;
mod list;
mod selection;
mod show;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::database;
use super::error::CliError;
use super::output::OutputFormat;
use super::printer::Printer;
use super::settings::{DatabaseArguments, KafkaArguments, Settings};
use crate::consumer::parked::{
    DatabaseParkedStore, KafkaParkedOptions, KafkaParkedStore, ParkError, ParkRequest, ParkedKey, ParkedKeyId,
    ParkedRecord, ParkedStore, parked_topic,
};
use crate::transport::kafka::topics;

/// Look at parked keys, and release, skip or discard them
///
/// A parked key is one of whose events failed for good: that event and what
/// came behind it wait, in order, until somebody decides. They are in the
/// tables of the consumer's database, else in the topic GROUP.parked.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct ParkedArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Ls(list::ListArguments),
    Show(show::ShowArguments),
    Release(ReleaseArguments),
    Skip(SkipArguments),
    Discard(DiscardArguments),
}

/// Have the events of parked keys handled, in their order
///
/// Without --execute nothing is changed: it shows what would be asked for.
///
/// The consumer does it within a second or so, or when it starts. The events
/// that came meanwhile are handled behind them. An event that fails for good
/// again is parked again, and the rest stay behind it.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings parked release 42 --group leaderboards.Leaderboards
  tidings parked release 42 --group leaderboards.Leaderboards --execute --wait 30
  tidings parked release --all --handler Leaderboards::on_score --error timeout -g leaderboards.Leaderboards --execute"
)]
struct ReleaseArguments {
    #[command(flatten)]
    ask: ask::AskArguments,
}

/// Forget the first event of parked keys, and have the others handled
///
/// Without --execute nothing is changed: it shows what would be asked for.
/// The event that is skipped is lost to this group; `show -o json` keeps a
/// copy.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings parked show 42 --group leaderboards.Leaderboards -o json > skipped.json
  tidings parked skip 42 --group leaderboards.Leaderboards --execute"
)]
struct SkipArguments {
    #[command(flatten)]
    ask: ask::AskArguments,
}

/// Forget all events of parked keys; the keys go on with what comes next
///
/// Without --execute nothing is changed: it shows what would be asked for.
/// The events are lost to this group; `show --unmask -o json -n 0` keeps a copy.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings parked show 42 --group leaderboards.Leaderboards -n 0 -o json > discarded.json
  tidings parked discard 42 --group leaderboards.Leaderboards --execute"
)]
struct DiscardArguments {
    #[command(flatten)]
    ask: ask::AskArguments,
}

/// Whose parked events are meant, and where they are.
#[derive(Args)]
struct StoreArguments {
    /// The consumer group.
    #[arg(long, short, value_name = "GROUP")]
    group: String,

    /// Where its parked events are. Default: the database, where one is named anywhere, else Kafka.
    #[arg(long, value_enum, value_name = "STORE")]
    store: Option<Place>,

    /// The topic of parked events, where it is not GROUP.parked.
    #[arg(long, value_name = "TOPIC")]
    parked_topic: Option<String>,

    /// How the result is written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// How long the brokers may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    #[command(flatten)]
    database: DatabaseArguments,

    #[command(flatten)]
    kafka: KafkaArguments,
}

/// Where parked events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// In the consumer's database.
    Database,
    /// In a topic.
    Kafka,
}

/// The parked events of a group.
struct Parked {
    store: Arc<dyn ParkedStore>,
    group: Arc<str>,
}

impl StoreArguments {
    async fn open(&self, settings: &Settings, printer: &Printer) -> Result<Parked, CliError> {
        let group: Arc<str> = self.group.as_str().into();
        let in_database = self.parked_topic.is_none() && settings.has_database(&self.database);
        let place = self.store.unwrap_or(if in_database { Place::Database } else { Place::Kafka });
        let store: Arc<dyn ParkedStore> = match place {
            Place::Database => {
                let options = database::options(settings, &self.database, false)?;
                printer.note(&format!("the parked events are looked for in {}", options.redacted_url()));
                Arc::new(DatabaseParkedStore::new(&database::connect(options).await?))
            }
            Place::Kafka => {
                let kafka = settings.kafka(&self.kafka)?;
                let timeout = Duration::from_secs(self.timeout.max(1));
                let topic = self.parked_topic.clone().unwrap_or_else(|| parked_topic(&group));
                if !topics::exists(&kafka, &topic, timeout).await? {
                    return Err(CliError::failure(format!(
                        "there is no topic {topic}: check the group's name; if its consumer keeps parked events in its database, give \
                         --database; if their topic has another name, give --parked-topic"
                    )));
                }
                printer.note(&format!("the parked events are looked for in the topic {topic}"));
                let options = KafkaParkedOptions::new().topic(topic).patience(timeout);
                Arc::new(KafkaParkedStore::new(&kafka, options)?)
            }
        };
        Ok(Parked { store, group })
    }
}

impl Parked {
    async fn keys(&self) -> Result<Vec<ParkedKey>, CliError> {
        Ok(self.store.keys(Arc::clone(&self.group), Vec::new()).await?)
    }

    /// The first `limit` events of a key.
    async fn records(&self, key: &ParkedKey, limit: usize) -> Result<Vec<ParkedRecord>, CliError> {
        Ok(self.store.records(self.id(key), limit).await?)
    }

    fn id(&self, key: &ParkedKey) -> ParkedKeyId {
        ParkedKeyId { group: Arc::clone(&self.group), partition: key.partition.clone(), key: key.key.clone() }
    }
}

pub(super) async fn run(arguments: ParkedArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    match arguments.action {
        Action::Ls(arguments) => list::run(&arguments, settings, printer).await,
        Action::Show(arguments) => show::run(&arguments, settings, printer).await,
        Action::Release(arguments) => ask::run(&arguments.ask, ParkRequest::Release, settings, printer).await,
        Action::Skip(arguments) => ask::run(&arguments.ask, ParkRequest::Skip, settings, printer).await,
        Action::Discard(arguments) => ask::run(&arguments.ask, ParkRequest::Discard, settings, printer).await,
    }
}

impl From<ParkError> for CliError {
    fn from(error: ParkError) -> Self {
        Self::failed(&error)
    }
}
