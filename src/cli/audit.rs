//! `tidings audit`: what of each stream is missing, repeated or out of order.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::database;
use super::error::CliError;
use super::output::{self, OutputFormat};
use super::position::Position;
use super::printer::Printer;
use super::settings::{DatabaseArguments, KafkaArguments, Settings, ShardsArguments};
use crate::audit::{Audit, AuditError, AuditOptions, AuditProgress, AuditReport, StreamReport, Tolerance};
use crate::clock::{Clock as _, SystemClock};
use crate::consumer::terminated;
use crate::database::Database;

/// The most ranges that a table shows of a stream.
const SHOWN: usize = 5;

/// Read a topic, and say of each stream what is missing, what came again, and what came out of order.
///
/// What was deleted or compacted, or lies before the start, is no loss. With a database, what was committed there is looked for
/// too: it must be in the topic, in the outbox, or parked there. Nothing is changed, and services go on meanwhile.
///
/// It exits with 0 when nothing is wrong, 1 when something is, and 2 when it could not find out.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings audit accounts
  tidings audit accounts --outbox --database mysql://accounts@db.example/accounts
  tidings audit accounts --outbox --shard eu-1=mysql://db-1/accounts --shard eu-2=mysql://db-2/accounts
  tidings audit accounts payments
  tidings audit accounts --store-database mysql://store@db.example/store
  tidings audit accounts --state accounts.audit            goes on where the last one ended
  tidings audit accounts --from @-7d --allow-repeats -o jsonl")]
pub(super) struct AuditArguments {
    /// The topic; several are audited one after the other, alone or with an event store.
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,

    /// Compare with the outbox of the database that is named, or with those of all shards: this finds what never reached the topic, too.
    #[arg(long)]
    outbox: bool,

    /// Compare with the event store in this database, too: what it has stored and never forwarded. A password is better given in the
    /// environment.
    #[arg(long, value_name = "URL", env = "TIDINGS_STORE_DATABASE", hide_env_values = true)]
    store_database: Option<String>,

    /// Read records of that time and later: @2026-01-31T09:00:00Z, @2026-01-31 or @-7d. What came before is not missed.
    #[arg(long, short, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<Position>,

    /// Where to keep what was read. An audit that was interrupted goes on there; a later one reads only what is new.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    state: Option<PathBuf>,

    /// About how much memory the streams may take, in MiB. Where they do not fit, the topic is read more than once.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    memory: usize,

    /// Let repeats pass: they are told, but nothing is wrong because of them. Delivery is at least once.
    #[arg(long)]
    allow_repeats: bool,

    /// How long the brokers may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    /// How to write what was found: `jsonl` has a line for each stream, and then one for the topic; `json` a document for each topic.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    #[command(flatten)]
    database: DatabaseArguments,

    #[command(flatten)]
    shards: ShardsArguments,

    #[command(flatten)]
    kafka: KafkaArguments,
}

pub(super) async fn run(
    arguments: AuditArguments,
    settings: &Settings,
    printer: &Printer,
    quiet: bool,
) -> Result<(), CliError> {
    if arguments.topics.len() > 1 && (arguments.outbox || arguments.state.is_some()) {
        return Err(CliError::usage("--outbox and --state are about one topic; audit each by a command of its own"));
    }
    // Code 1 is an answer.
    let origins = Origins::connect(&arguments, settings).await.map_err(CliError::leaves_open)?;
    let result = audit_all(&arguments, &origins, settings, printer, quiet).await;
    origins.close().await;
    let wrong = result.map_err(CliError::leaves_open)?;
    if wrong.is_empty() { Ok(()) } else { Err(CliError::failure(wrong.join("; "))) }
}

/// Audit each topic and tell what was found; what is wrong.
async fn audit_all(
    arguments: &AuditArguments,
    origins: &Origins,
    settings: &Settings,
    printer: &Printer,
    quiet: bool,
) -> Result<Vec<String>, CliError> {
    let (kafka, options) = (settings.kafka(&arguments.kafka)?, options(arguments)?);
    let mut found = Vec::new();
    for topic in &arguments.topics {
        let audit = origins.of(Audit::new(&kafka, topic).options(options.clone()));
        let bar = Bar::new(quiet);
        let report = audit.run(terminated(), |progress| bar.show(progress)).await;
        bar.bar.finish_and_clear();
        let report = report?;
        tell(&report, arguments, printer)?;
        if report.is_wrong(Tolerance::default().repeats(arguments.allow_repeats)) {
            found.push(format!("topic {topic} is not as it should be: {}", wrong(&report)));
        }
    }
    Ok(found)
}

fn tell(report: &AuditReport, arguments: &AuditArguments, printer: &Printer) -> Result<(), CliError> {
    let several = arguments.topics.len() > 1;
    if several && arguments.output == OutputFormat::Table && !report.streams.is_empty() {
        printer.heading(&report.topic)?;
    }
    write(report, arguments.output, printer)?;
    let AuditReport { topic, totals, partitions, passes, .. } = report;
    let topic = if several { format!("{topic}: ") } else { String::new() };
    let (events, streams) = (HumanCount(totals.events), HumanCount(totals.streams));
    let again = if *passes > 1 { format!(", in {passes} passes") } else { String::new() };
    printer.note(&format!(
        "{topic}read {events} events of {streams} streams in {partitions} partitions{again}; {} records have no sequence",
        HumanCount(totals.unsequenced)
    ));
    for (count, what) in [
        (totals.deleted, "events may have been deleted or compacted: offsets are left out where they were"),
        (totals.waiting, "events wait in the outbox"),
        (totals.parked, "events are parked in the outbox"),
    ] {
        if count > 0 {
            printer.note(&format!("{topic}{} {what}", HumanCount(count)));
        }
    }
    if report.unlisted_streams > 0 {
        printer.warning(&format!("{topic}{} more streams are not listed", HumanCount(report.unlisted_streams)));
    }
    Ok(())
}

fn options(arguments: &AuditArguments) -> Result<AuditOptions, CliError> {
    let mut options = AuditOptions::default()
        .memory(arguments.memory.saturating_mul(1_024 * 1_024))
        .timeout(Duration::from_secs(arguments.timeout.max(1)));
    if let Some(from) = arguments.from {
        let now = SystemClock::new().now();
        let since = from.timestamp_ms(now).and_then(chrono::DateTime::from_timestamp_millis);
        options = options.since(
            since.ok_or_else(|| CliError::usage("--from takes a time: @2026-01-31T09:00:00Z, @2026-01-31 or @-7d"))?,
        );
    }
    Ok(arguments.state.iter().fold(options, AuditOptions::state_file))
}

/// The databases that the topics' events come from.
#[derive(Default)]
struct Origins {
    outboxes: Vec<Database>,
    store: Option<Database>,
}

impl Origins {
    async fn connect(arguments: &AuditArguments, settings: &Settings) -> Result<Self, CliError> {
        let mut origins = Self::default();
        if arguments.outbox {
            for url in settings.outboxes(&arguments.database, &arguments.shards)? {
                origins.outboxes.push(database::connect(database::named(url)).await?);
            }
        }
        if let Some(url) = arguments.store_database.as_ref().filter(|url| !url.is_empty()) {
            origins.store = Some(database::connect(database::named(url.clone())).await?);
        }
        Ok(origins)
    }

    fn of(&self, audit: Audit) -> Audit {
        let audit = self.outboxes.iter().fold(audit, Audit::outbox);
        self.store.iter().fold(audit, Audit::store)
    }

    async fn close(self) {
        for database in self.outboxes.into_iter().chain(self.store) {
            database.close().await;
        }
    }
}

/// A progress bar, on a terminal only.
struct Bar {
    bar: ProgressBar,
}

impl Bar {
    fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{prefix}[{bar:40}] {human_pos} of {human_len} records, {per_sec}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    fn show(&self, progress: &AuditProgress) {
        self.bar.set_length(progress.total);
        self.bar.set_position(progress.read.min(progress.total));
        if progress.pass > 1 || progress.covered < 256 {
            let percent = u32::from(progress.covered) * 100 / 256;
            self.bar.set_prefix(format!("pass {}, up to {percent} % of the streams ", progress.pass));
        }
    }
}

/// A line of `-o jsonl`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line<'a> {
    Stream(&'a StreamReport),
    Topic(&'a AuditReport),
}

fn write(report: &AuditReport, format: OutputFormat, printer: &Printer) -> Result<(), CliError> {
    match format {
        OutputFormat::Json => printer.line(&output::json(report, true)?),
        OutputFormat::Jsonl => {
            for stream in &report.streams {
                printer.line(&output::json(&Line::Stream(stream), false)?)?;
            }
            let topic = report.without_streams();
            printer.line(&output::json(&Line::Topic(&topic), false)?)
        }
        OutputFormat::Table => {
            let headings = [
                "PARTITION",
                "STREAM",
                "MISSING",
                "REPEATED",
                "OUT OF ORDER",
                "FORKED",
                "UNKNOWN",
                "WAITING",
                "PARKED",
                "WHICH",
            ];
            output::rows(printer, format, &report.streams, headings, |row| {
                [
                    row.partition.map_or_else(|| "-".to_owned(), |number| number.to_string()),
                    row.stream.clone(),
                    row.missing_events.to_string(),
                    row.repeated.to_string(),
                    row.out_of_order.to_string(),
                    row.forked.to_string(),
                    row.unknown.to_string(),
                    row.waiting.to_string(),
                    row.parked.to_string(),
                    which(row),
                ]
            })
        }
    }
}

/// Which sequences are missing, and where the first that came again or late lies.
fn which(row: &StreamReport) -> String {
    let mut parts: Vec<String> = Vec::new();
    for range in row.missing.iter().take(SHOWN) {
        let epoch = if range.epoch == 0 { String::new() } else { format!("{}:", range.epoch) };
        let to = if range.from == range.to { String::new() } else { format!("-{}", range.to) };
        parts.push(format!("{epoch}{}{to}", range.from));
    }
    if row.missing.len() > SHOWN {
        parts.push("…".to_owned());
    }
    if let Some(first) = row.first {
        parts.push(format!("{} at offset {}", first.sequence, first.offset));
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

fn wrong(report: &AuditReport) -> String {
    let totals = &report.totals;
    let counted = [
        (totals.missing, "missing"),
        (totals.repeated, "repeated"),
        (totals.out_of_order, "out of order"),
        (totals.forked, "forked"),
        (totals.unknown, "unknown to the database"),
    ];
    let words =
        counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", HumanCount(*count)));
    words.collect::<Vec<_>>().join(", ")
}

impl From<AuditError> for CliError {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Kafka(error) => error.into(),
            AuditError::State { .. } => Self::unusable(&error),
            _ => Self::failed(&error),
        }
    }
}
