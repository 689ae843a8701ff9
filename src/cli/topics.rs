//! `tidings topics`: the topics that are declared beside their sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::error::CliError;
use super::output::{self, OutputFormat};
use super::printer::Printer;
use super::schemas;
use super::settings::{KafkaArguments, SchemasArguments, Settings};
use crate::transport::kafka::topics::{self, Ensured, TopicState};
use crate::transport::kafka::{Retention, TopicError, TopicSpec};

/// The declaration's name in its source's folder.
const DECLARATION: &str = "topic.toml";

/// Create and show topics
///
/// A source's topic is declared beside its schemas, in
/// schemas/SOURCE/topic.toml:
///
///   partitions  = 12
///   replication = 3
///   retention   = "7d"          # or "36h", "forever"
///   compaction  = false
///   [config]
///   "min.insync.replicas" = "2"
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(super) struct TopicsArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Ensure(EnsureArguments),
    Show(ShowArguments),
}

/// Create the topics that are missing, as declared.
///
/// A topic that is there is left as it is; that it has another number of partitions than declared is an error, and it is not
/// changed: a key's events would go to another partition, out of order.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings topics ensure                      all that are declared
  tidings topics ensure accounts             this one, as declared
  tidings topics ensure accounts --partitions 12 --replication 3 --retention 7d")]
struct EnsureArguments {
    /// The topics. Default: all that are declared.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,

    /// Create the topics named with so many partitions, whatever is declared.
    #[arg(long, value_name = "N", requires = "topics", value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    partitions: Option<u32>,

    /// How many brokers keep a copy. Default: the brokers' own default.
    #[arg(long, value_name = "N", requires = "partitions")]
    replication: Option<u16>,

    /// How long records are kept: 7d, 36h, 30m, 90s or forever. Default: the brokers' own default.
    #[arg(long, value_name = "TIME", requires = "partitions", value_parser = |text: &str| Retention::try_from(text.to_owned()))]
    retention: Option<Retention>,

    /// Keep the last record of each key for ever.
    #[arg(long, requires = "partitions")]
    compaction: bool,

    /// Any other property of the topic; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", requires = "partitions")]
    topic_config: Vec<String>,

    #[command(flatten)]
    common: CommonArguments,
}

/// Show topics: partitions, copies, retention, and whether that is what was declared.
///
/// Exits with 1 when one is missing, or has another number of partitions than declared.
#[derive(Args)]
#[command(after_help = "\
Examples:
  tidings topics show                        all that are declared
  tidings topics show accounts -o json")]
struct ShowArguments {
    /// The topics. Default: all that are declared.
    #[arg(value_name = "TOPIC")]
    topics: Vec<String>,

    #[command(flatten)]
    common: CommonArguments,
}

#[derive(Args)]
struct CommonArguments {
    /// How the topics are written.
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: OutputFormat,

    /// How long the brokers may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    timeout: u64,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    kafka: KafkaArguments,
}

impl CommonArguments {
    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.max(1))
    }
}

pub(super) async fn run(arguments: TopicsArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    match arguments.action {
        Action::Ensure(arguments) => ensure(&arguments, settings, printer).await,
        Action::Show(arguments) => show(&arguments, settings, printer).await,
    }
}

#[derive(Serialize)]
struct EnsuredRow {
    topic: String,
    partitions: u32,
    /// `created` or `exists`.
    state: &'static str,
}

async fn ensure(arguments: &EnsureArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let specs = match arguments.partitions {
        Some(partitions) => {
            arguments.topics.iter().map(|topic| spec(topic, partitions, arguments)).collect::<Result<Vec<_>, _>>()?
        }
        None => declared(&schemas::folder(settings, &arguments.common.schemas), &arguments.topics)?,
    };
    let kafka = settings.kafka(&arguments.common.kafka)?;
    let (mut rows, mut failed) = (Vec::new(), None);
    // One at a time: what was done is told even where the next one fails.
    for spec in &specs {
        match topics::ensure(&kafka, std::slice::from_ref(spec), arguments.common.timeout()).await {
            Ok(ensured) => rows.extend(ensured.into_iter().map(|(topic, ensured)| EnsuredRow {
                topic,
                partitions: spec.partitions(),
                state: match ensured {
                    Ensured::Created => "created",
                    Ensured::Existed => "exists",
                },
            })),
            // The next one would wait for the same brokers.
            Err(error @ TopicError::Kafka(_)) => return Err(error.into()),
            Err(error) => tell_all_but_the_last(&mut failed, error, printer),
        }
    }
    output::rows(printer, arguments.common.output, &rows, ["TOPIC", "PARTITIONS", "STATE"], |row| {
        [row.topic.clone(), row.partitions.to_string(), row.state.to_owned()]
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn spec(topic: &str, partitions: u32, arguments: &EnsureArguments) -> Result<TopicSpec, CliError> {
    let mut spec = TopicSpec::new(topic, partitions).compaction(arguments.compaction);
    if let Some(copies) = arguments.replication {
        spec = spec.replication(copies);
    }
    if let Some(retention) = arguments.retention {
        spec = spec.retention(retention);
    }
    for property in &arguments.topic_config {
        let (name, value) = property.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            CliError::usage(format!("`{property}` is not NAME=VALUE, such as --topic-config min.insync.replicas=2"))
        })?;
        spec = spec.config(name, value);
    }
    Ok(spec)
}

#[derive(Serialize)]
struct ShownRow {
    topic: String,
    partitions: u32,
    /// How many are declared, where the topic is.
    declared_partitions: Option<u32>,
    replication: u16,
    min_insync_replicas: Option<u32>,
    retention_ms: Option<i64>,
    cleanup_policy: Option<String>,
    max_message_bytes: Option<u32>,
    config: std::collections::BTreeMap<String, String>,
}

async fn show(arguments: &ShowArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let folder = schemas::folder(settings, &arguments.common.schemas);
    let wanted: Vec<(String, Option<TopicSpec>)> = if arguments.topics.is_empty() {
        declared(&folder, &[])?.into_iter().map(|spec| (spec.name().to_owned(), Some(spec))).collect()
    } else {
        // What is not declared can be shown all the same.
        let find = |topic: &String| Ok((topic.clone(), declaration(&folder, topic)?));
        arguments.topics.iter().map(find).collect::<Result<_, CliError>>()?
    };
    let kafka = settings.kafka(&arguments.common.kafka)?;
    let (mut rows, mut failed) = (Vec::new(), None);
    for (topic, spec) in &wanted {
        match topics::show(&kafka, std::slice::from_ref(topic), arguments.common.timeout()).await {
            Ok(states) => {
                for state in states {
                    let declared = spec.as_ref().map(TopicSpec::partitions);
                    if let Some(expected) = declared.filter(|declared| *declared != state.partitions) {
                        let topic = topic.clone();
                        let error = TopicError::Partitions { topic, expected, found: state.partitions };
                        tell_all_but_the_last(&mut failed, error, printer);
                    }
                    rows.push(shown(state, declared));
                }
            }
            Err(error @ TopicError::Kafka(_)) => return Err(error.into()),
            Err(error) => tell_all_but_the_last(&mut failed, error, printer),
        }
    }
    let headings = ["TOPIC", "PARTITIONS", "DECLARED", "COPIES", "IN SYNC", "RETENTION", "CLEANUP", "LARGEST"];
    output::rows(printer, arguments.common.output, &rows, headings, |row| {
        let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        [
            row.topic.clone(),
            row.partitions.to_string(),
            number(row.declared_partitions),
            row.replication.to_string(),
            number(row.min_insync_replicas),
            row.retention_ms.map_or_else(|| "-".to_owned(), retention),
            row.cleanup_policy.clone().unwrap_or_else(|| "-".to_owned()),
            number(row.max_message_bytes),
        ]
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn shown(state: TopicState, declared_partitions: Option<u32>) -> ShownRow {
    ShownRow {
        topic: state.name,
        partitions: state.partitions,
        declared_partitions,
        replication: state.replication,
        min_insync_replicas: state.min_insync_replicas,
        retention_ms: state.retention_ms,
        cleanup_policy: state.cleanup_policy,
        max_message_bytes: state.max_message_bytes,
        config: state.config,
    }
}

/// A retention in the unit it divides into.
fn retention(milliseconds: i64) -> String {
    if milliseconds < 0 {
        return "forever".to_owned();
    }
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if milliseconds % length == 0 && milliseconds > 0 {
            return format!("{}{unit}", milliseconds / length);
        }
    }
    format!("{milliseconds}ms")
}

/// Keep `error` as the one the command ends with; the one kept before is told now.
fn tell_all_but_the_last(last: &mut Option<TopicError>, error: TopicError, printer: &Printer) {
    if let Some(earlier) = last.replace(error) {
        printer.error(&earlier.into());
    }
}

/// The declarations in `folder`: those of `topics`, or all.
fn declared(folder: &Path, topics: &[String]) -> Result<Vec<TopicSpec>, CliError> {
    if !topics.is_empty() {
        let find = |topic: &String| {
            declaration(folder, topic)?.ok_or_else(|| {
                let path = path(folder, topic).display().to_string();
                CliError::usage(format!(
                    "topic {topic} is not declared in {path}; declare it there, or give --partitions"
                ))
            })
        };
        return topics.iter().map(find).collect();
    }
    let mut specs = Vec::new();
    for source in schemas::entries(folder)? {
        if let Some(name) = source.file_name().and_then(|name| name.to_str()) {
            specs.extend(declaration(folder, name)?);
        }
    }
    if specs.is_empty() {
        let folder = folder.display();
        return Err(CliError::usage(format!(
            "no topic is declared: there is no {folder}/SOURCE/{DECLARATION}; write one, or name a topic"
        )));
    }
    Ok(specs)
}

fn declaration(folder: &Path, topic: &str) -> Result<Option<TopicSpec>, CliError> {
    // A topic's name is never a path to elsewhere.
    if topic.contains(['/', '\\']) || topic == ".." {
        return Ok(None);
    }
    let path = path(folder, topic);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(TopicSpec::from_toml(topic, &text)?)),
        Err(_) if !path.exists() => Ok(None),
        Err(error) => Err(CliError::usage(format!("{} cannot be read", path.display())).caused_by(&error)),
    }
}

fn path(folder: &Path, topic: &str) -> PathBuf {
    folder.join(topic).join(DECLARATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_told_in_the_largest_unit_it_divides_into() {
        for (milliseconds, text) in
            [(-1, "forever"), (604_800_000, "7d"), (129_600_000, "36h"), (90_000, "90s"), (1_500, "1500ms"), (0, "0ms")]
        {
            assert_eq!(retention(milliseconds), text);
        }
    }
}
