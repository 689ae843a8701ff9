//! `tidings publish`: events from JSON.

mod documents;
mod error;
mod outgoing;

use std::fs::File;
use std::io::{self, BufReader, Cursor, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use serde::Serialize;
use tokio::sync::mpsc;

use self::documents::{Document, DocumentError, Documents};
use self::outgoing::{DEFAULT_VERSION, Outgoing, Press, Template};
use super::error::CliError;
use super::output::{OutputFormat, json};
use super::printer::Printer;
use super::schemas::{Schemas, read_file};
use super::settings::{KafkaArguments, RegistryArguments, SchemasArguments, Settings};
use crate::transport::kafka::{KafkaProducer, ProducerOptions, topics};
use crate::transport::{Acks, OutgoingRecord, ProduceError, Producer, Written};

/// Records that may be under way at once.
const UNDER_WAY: usize = 1_000;
/// Documents that may be read ahead.
const AHEAD: usize = 100;

/// Publish events: JSON in, checked against the schema, as records with all of an event's headers.
///
/// The JSON is a payload, or a line that `tidings tail -o jsonl` wrote; several follow one another, usually on a line each.
/// What `tail` wrote keeps its headers, its id and its times among them, so that a copy is recognised as one.
///
/// The schema is the newest one the registry has for the topic and the event; without a registry it is that of the event in
/// the folder of schemas. A document that is not JSON or does not fit its schema ends the command: nothing of its line and of
/// what follows is published.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings publish accounts --event accounts.UserUpdated --event-version 1.3.0 --key 42 '{\"user_id\": 42}'
  tidings publish accounts --event accounts.UserUpdated --key-field user_id --file events.jsonl --dry-run
  tidings tail accounts --from start --no-follow --unmask -o jsonl | tidings publish accounts-copy")]
pub(super) struct PublishArguments {
    /// The topic: the publishing service's name.
    topic: String,

    /// Who must have an event before it counts as published: all, 1 (the leader) or 0 (nobody).
    #[arg(long, value_name = "ACKS", default_value_t = Acks::All)]
    acks: Acks,

    /// Check everything, ask the registry, but publish nothing; shows the records as JSON lines.
    #[arg(long)]
    dry_run: bool,

    /// How what was published is written: the record's place, the event and its id.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// How long the brokers may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    #[command(flatten)]
    events: EventArguments,

    #[command(flatten)]
    kafka: KafkaArguments,
}

/// The events of a service, from JSON.
#[derive(Args)]
pub(super) struct EventArguments {
    /// The JSON. Default: standard input.
    #[arg(value_name = "JSON", conflicts_with = "file")]
    json: Option<String>,

    /// A file with the JSON; - is standard input.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// The event's name. Default: what the line says, else the name in --schema.
    #[arg(long, short, value_name = "NAME")]
    event: Option<String>,

    /// The payload's version. Default: what the line says, else 1.0.0.
    #[arg(long, value_name = "VERSION")]
    event_version: Option<semver::Version>,

    /// The schema the payload is checked against and written with. Default: the registry's, or the folder's.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// The key, usually the user's id: events of one key stay in order.
    #[arg(long, short, value_name = "KEY")]
    key: Option<String>,

    /// Take the key from this field of the payload.
    #[arg(long, value_name = "FIELD", conflicts_with = "key")]
    key_field: Option<String>,

    /// The stream, such as Account/42. Default: the event's name up to its last dot, a slash, and the key.
    #[arg(long, value_name = "STREAM")]
    subject: Option<String>,

    /// A header; may be repeated. It wins over the event's own header of that name.
    #[arg(long, short = 'H', value_name = "NAME=VALUE")]
    header: Vec<String>,

    /// The service in whose name it is published. Default: the topic.
    #[arg(long, value_name = "NAME", env = "TIDINGS_SERVICE")]
    service: Option<String>,

    /// Refuse a schema that the registry does not have yet, instead of registering it.
    #[arg(long)]
    no_register: bool,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

/// An event that was published.
#[derive(Serialize)]
struct Published {
    topic: String,
    partition: i32,
    offset: Option<i64>,
    event: String,
    id: String,
    #[serde(skip)]
    line: usize,
}

pub(super) async fn run(arguments: PublishArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let events = &arguments.events;
    let schemas = open(events, settings, !arguments.dry_run).await?;
    let kafka = settings.kafka(&arguments.kafka)?;
    let timeout = Duration::from_secs(arguments.timeout.max(1));
    let template = template(&arguments.topic, events, settings)?;
    let mut press = Press::new(template, schemas);
    let documents = read(events, printer)?;
    if arguments.dry_run {
        return show(&mut press, documents, printer).await;
    }
    let topic = std::slice::from_ref(&arguments.topic);
    let states = topics::show(&kafka, topic, timeout).await?;
    let largest = states.first().and_then(|state| state.max_message_bytes);
    let options = ProducerOptions::new().acks(arguments.acks).delivery_timeout(timeout);
    let options = largest.into_iter().fold(options, ProducerOptions::fitting);
    let producer = KafkaProducer::new(&kafka, &options)?;
    let mut run =
        Run { producer, under_way: FuturesOrdered::new(), receipts: Receipts::new(arguments.output), printer };
    let result = run.publish(&mut press, documents).await;
    // What is under way when something goes wrong is published, or not, all the same.
    let rest = run.finish().await;
    run.receipts.end(printer)?;
    let count = run.receipts.count;
    printer.note(&format!("{count} {} published to {}", if count == 1 { "event" } else { "events" }, arguments.topic));
    result.and(rest)
}

/// The records that JSON makes, one after the other: for a verb that takes them elsewhere.
pub(super) struct Records {
    press: Press,
    documents: Documented,
}

impl Records {
    /// Of what `arguments` name, for the service `topic`.
    pub(super) async fn open(
        topic: &str,
        arguments: &EventArguments,
        settings: &Settings,
        printer: &Printer,
    ) -> Result<Self, CliError> {
        let schemas = open(arguments, settings, true).await?;
        let press = Press::new(template(topic, arguments, settings)?, schemas);
        Ok(Self { press, documents: read(arguments, printer)? })
    }

    /// The next record, and its line.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, OutgoingRecord)>, CliError> {
        let Some(document) = self.documents.recv().await else { return Ok(None) };
        let outgoing = prepare(&mut self.press, document).await?;
        let line = outgoing.line;
        let record = self.press.finish(outgoing).await.map_err(|error| at_line(line, &error))?;
        Ok(Some((line, record)))
    }
}

async fn open(arguments: &EventArguments, settings: &Settings, may_register: bool) -> Result<Schemas, CliError> {
    let register = may_register && !arguments.no_register;
    Schemas::open(settings, &arguments.registry, &arguments.schemas, |options| options.auto_register(register)).await
}

fn template(topic: &str, arguments: &EventArguments, settings: &Settings) -> Result<Template, CliError> {
    let headers = arguments.header.iter().map(|text| {
        let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            CliError::usage(format!("the header `{text}` is not NAME=VALUE, such as --header team=growth"))
        })?;
        Ok((name.to_owned(), value.to_owned()))
    });
    Ok(Template {
        topic: topic.into(),
        service: settings.service(arguments.service.as_ref()).unwrap_or_else(|| topic.to_owned()),
        event: arguments.event.clone(),
        version: arguments.event_version.as_ref().map(ToString::to_string),
        key: arguments.key.clone(),
        key_field: arguments.key_field.clone(),
        subject: arguments.subject.clone(),
        headers: headers.collect::<Result<_, CliError>>()?,
        schema: arguments.schema.as_deref().map(read_file).transpose()?,
    })
}

/// Read the documents on a thread of their own: reading blocks.
fn read(
    arguments: &EventArguments,
    printer: &Printer,
) -> Result<mpsc::Receiver<Result<Document, DocumentError>>, CliError> {
    let input: Box<dyn io::BufRead + Send> = match (&arguments.json, &arguments.file) {
        (Some(json), _) => Box::new(Cursor::new(json.clone())),
        (None, Some(path)) if path.as_os_str() != "-" => {
            let shown = path.display();
            let file = File::open(path).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => CliError::usage(format!("there is no file {shown}; correct --file")),
                _ => CliError::usage(format!("the file {shown} cannot be read")).caused_by(&error),
            })?;
            Box::new(BufReader::new(file))
        }
        _ => {
            if io::stdin().is_terminal() {
                printer.note("reading JSON from the terminal; end with Ctrl-D");
            }
            Box::new(BufReader::new(io::stdin()))
        }
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let reading = std::thread::Builder::new().name("tidings-input".to_owned()).spawn(move || {
        // Ends where nobody wants more.
        let _ = Documents::new(input).try_for_each(|document| sender.blocking_send(document));
    });
    reading.map_err(|error| CliError::failure("a thread could not be started").caused_by(&error))?;
    Ok(receiver)
}

type Documented = mpsc::Receiver<Result<Document, DocumentError>>;

/// Check all documents and show what would be published.
async fn show(press: &mut Press, mut documents: Documented, printer: &Printer) -> Result<(), CliError> {
    let mut count = 0_u64;
    while let Some(document) = documents.recv().await {
        let outgoing = prepare(press, document).await?;
        printer.line(&json(&press.show(outgoing), false)?)?;
        count += 1;
    }
    printer.note(&format!("{count} checked; nothing was published (--dry-run)"));
    Ok(())
}

async fn prepare(press: &mut Press, document: Result<Document, DocumentError>) -> Result<Outgoing, CliError> {
    let document = document.map_err(|error| CliError::failed(&error))?;
    let line = document.line;
    press.prepare(document).await.map_err(|error| at_line(line, &error))
}

fn at_line(line: usize, error: &(dyn std::error::Error + 'static)) -> CliError {
    let failure = CliError::failure(format!("line {line}: {error}"));
    error.source().into_iter().fold(failure, CliError::caused_by)
}

/// Publishing, under way.
struct Run<'p> {
    producer: KafkaProducer,
    under_way: FuturesOrdered<BoxFuture<'static, (Published, Result<Written, ProduceError>)>>,
    receipts: Receipts,
    printer: &'p Printer,
}

impl Run<'_> {
    async fn publish(&mut self, press: &mut Press, mut documents: Documented) -> Result<(), CliError> {
        let mut told = false;
        loop {
            let more = self.under_way.len() < UNDER_WAY;
            tokio::select! {
                biased;
                Some((published, result)) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.receipts.take(published, result, self.printer)?;
                    if self.under_way.is_empty() {
                        self.printer.flush()?;
                    }
                }
                document = documents.recv(), if more => {
                    let Some(document) = document else { return Ok(()) };
                    let outgoing = prepare(press, document).await?;
                    if outgoing.version_assumed && !told {
                        told = true;
                        self.printer.note(&format!("published as version {DEFAULT_VERSION}; --event-version says otherwise"));
                    }
                    self.send(press, outgoing).await?;
                }
            }
        }
    }

    async fn send(&mut self, press: &Press, outgoing: Outgoing) -> Result<(), CliError> {
        let line = outgoing.line;
        let published = Published {
            topic: press.template.topic.to_string(),
            partition: -1,
            offset: None,
            event: outgoing.event.clone(),
            id: outgoing.id.clone(),
            line,
        };
        let record = press.finish(outgoing).await.map_err(|error| at_line(line, &error))?;
        let acknowledged = self.producer.send(record);
        self.under_way.push_back(Box::pin(async move { (published, acknowledged.await) }));
        Ok(())
    }

    /// Wait for what is under way.
    async fn finish(&mut self) -> Result<(), CliError> {
        let mut result = Ok(());
        while let Some((published, written)) = self.under_way.next().await {
            let taken = self.receipts.take(published, written, self.printer);
            result = result.and(taken);
        }
        result
    }
}

/// Shows what was published.
struct Receipts {
    format: OutputFormat,
    count: u64,
}

impl Receipts {
    fn new(format: OutputFormat) -> Self {
        Self { format, count: 0 }
    }

    fn take(
        &mut self,
        mut published: Published,
        result: Result<Written, ProduceError>,
        printer: &Printer,
    ) -> Result<(), CliError> {
        let written = result.map_err(|error| at_line(published.line, &error))?;
        (published.partition, published.offset) = (written.partition, written.offset);
        let first = self.count == 0;
        self.count += 1;
        match self.format {
            OutputFormat::Jsonl => printer.line(&json(&published, false)?),
            OutputFormat::Json => {
                printer.data(if first { "[\n" } else { ",\n" })?;
                printer.data(&json(&published, true)?)
            }
            OutputFormat::Table => {
                let Published { topic, partition, offset, event, id, .. } = published;
                let offset = offset.map_or_else(|| "?".to_owned(), |offset| offset.to_string());
                printer.line(&format!("{topic}[{partition}]@{offset}  {event}  {id}"))
            }
        }
    }

    fn end(&self, printer: &Printer) -> Result<(), CliError> {
        match self.format {
            OutputFormat::Json if self.count == 0 => printer.line("[]"),
            OutputFormat::Json => printer.line("\n]"),
            OutputFormat::Table | OutputFormat::Jsonl => Ok(()),
        }
    }
}
