//! `tidings relay`: publish the outbox of a database, in a process of its own.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::database;
use super::error::CliError;
use super::printer::Printer;
use super::relay_options::RelayOptionArguments;
use super::settings::{DatabaseArguments, KafkaArguments, Settings, StoreArguments};
use crate::consumer::terminated;
use crate::outbox::{KafkaProducers, Relay, RelayError, RelayOptions};
use crate::store::{StoreClient, StoreProducers};
use crate::transport::kafka::{KafkaOptions, KafkaProducer, ProducerOptions, TopicError, topics};

/// A topic that need not be there: asking for it shows that the brokers answer.
const ANY_TOPIC: &str = "tidings.relay.check";

/// Publish the outbox of a database until it is told to end (SIGTERM or Ctrl-C).
///
/// Any number of relays may run, beside each other and beside those inside services: they share the work. Outages of the
/// database and of Kafka are waited out. On SIGTERM it waits for the acknowledgements of what it has sent, and gives its share
/// to the others. Where an event store is named, events that travel through one are taken there. Without it they stay where they
/// are, in every bucket that this relay has: relays of one outbox are to be given the same.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings relay --database mysql://accounts@db.example/accounts --brokers broker-1:9092 --service accounts
  tidings relay --service accounts --store https://store.example:7433    to Kafka, and to an event store
  tidings relay -v                          with everything in tidings.toml, and a log")]
pub(super) struct RelayArguments {
    /// The service whose outbox it is: its topic is checked at the start.
    #[arg(long, value_name = "NAME", env = "TIDINGS_SERVICE")]
    service: Option<String>,

    /// How long the brokers may take to answer at first, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, env = "TIDINGS_RELAY_TIMEOUT")]
    timeout: u64,

    #[command(flatten)]
    options: RelayOptionArguments,

    #[command(flatten)]
    database: DatabaseArguments,

    #[command(flatten)]
    kafka: KafkaArguments,

    #[command(flatten)]
    store: StoreArguments,
}

pub(super) async fn run(arguments: RelayArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let options = database::options(settings, &arguments.database, false)?;
    let kafka = settings.kafka(&arguments.kafka)?;
    let service = settings.service(arguments.service.as_ref());
    let place = options.redacted_url();
    let database = database::connect(options).await?;
    let producers = producers(&kafka, service.as_deref(), Duration::from_secs(arguments.timeout.max(1))).await?;
    let (relay, and_store) = match settings.named_store(&arguments.store) {
        Some(store) => {
            let store = Arc::new(StoreClient::new(store).await?);
            (Relay::new(&database, StoreProducers::new(store).and(producers)), " and to the event store")
        }
        None => (Relay::new(&database, producers), ""),
    };
    printer.note(&format!("relaying the outbox of {place} to {}{and_store}", kafka.brokers()));
    let summary = relay.options(arguments.options.change(RelayOptions::default())).run(terminated()).await;
    database.close().await;
    let summary = summary.map_err(|error| match error {
        RelayError::Database(error) => error.into(),
        error => CliError::failed(&error),
    })?;
    printer.note(&format!(
        "published {}, parked {}, began again {} times",
        summary.published, summary.parked, summary.restarts
    ));
    Ok(())
}

/// Producers for brokers that answer: a wrong address or password is an error now, not an outage to be waited out.
async fn producers(kafka: &KafkaOptions, service: Option<&str>, timeout: Duration) -> Result<KafkaProducers, CliError> {
    // Refuses properties that would break the relay's promise.
    drop(KafkaProducer::new(kafka, &ProducerOptions::relay())?);
    let producers = KafkaProducers::new(kafka.clone());
    let topic = service.unwrap_or(ANY_TOPIC).to_owned();
    let shown = topics::show(kafka, std::slice::from_ref(&topic), timeout).await;
    match (shown, service) {
        (Err(error @ TopicError::Kafka(_)), _) | (Err(error), Some(_)) => Err(error.into()),
        (Ok(_), Some(_)) => Ok(producers.topic(topic)),
        (_, None) => Ok(producers),
    }
}
