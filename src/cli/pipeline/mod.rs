//! `tidings pipeline`: events as rows, for the tools of a data warehouse.

mod clickhouse;
mod connect;
mod duckdb;
mod events;
mod flink;
mod sql;

use clap::{Args, Subcommand, ValueEnum};

use self::events::Exported;
use super::error::CliError;
use super::printer::Printer;
use super::settings::{KafkaArguments, RegistryArguments, SchemasArguments, Settings};

/// Bring events to a data warehouse
#[derive(Args)]
pub(super) struct PipelineArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Export(Box<ExportArguments>),
}

/// Write the configuration by which a tool reads the events of the schemas as rows
///
/// Each event becomes a table: the pipeline's columns, from the record's headers
/// and place (event_id, occurred_at, stream, sequence, kafka_offset and so on),
/// then the payload's fields with their types. A field that has the name of one
/// of them becomes payload_NAME, which is said on standard error.
///
/// It reads schemas/SOURCE/EVENT.avsc and asks no server. Passwords are never
/// written: add those that a tool needs. What a tool cannot do is said in
/// comments, and for JSON, which has none, on standard error.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  tidings pipeline export --to duckdb --location /var/lib/warehouse > views.sql
  tidings pipeline export accounts --to clickhouse --registry http://registry:8081
  tidings pipeline export accounts --to connect-s3 --location my-bucket > s3-sink.json"
)]
struct ExportArguments {
    /// Only these: an event, accounts.UserUpdated or UserUpdated, or all of a source, accounts. Default: all.
    #[arg(value_name = "EVENT")]
    events: Vec<String>,

    /// The tool.
    #[arg(long, value_enum, value_name = "TOOL")]
    to: Tool,

    /// Where files are or go: the Parquet sink's folder, for duckdb; the bucket, for connect-s3. Default: warehouse.
    #[arg(long, value_name = "PLACE", default_value = "warehouse")]
    location: String,

    /// The topic the events are on. Default: the source.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    #[command(flatten)]
    schemas: SchemasArguments,

    #[command(flatten)]
    kafka: KafkaArguments,

    #[command(flatten)]
    registry: RegistryArguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// Kafka Connect with Confluent's S3 sink: one connector a source, as JSON.
    ConnectS3,
    /// Kafka Connect with Apache Iceberg's sink: one connector a source, as JSON.
    ConnectIceberg,
    /// ClickHouse: a table of the Kafka engine, a materialized view and its target for each event.
    Clickhouse,
    /// Flink SQL: a table of the topic and a view for each event.
    Flink,
    /// DuckDB: a view over the files of the library's Parquet sink for each event.
    Duckdb,
}

pub(super) fn run(arguments: &PipelineArguments, settings: &Settings, printer: &Printer) -> Result<(), CliError> {
    let Action::Export(arguments) = &arguments.action;
    let exported = Exported::read(arguments, settings)?;
    for event in &exported.events {
        for column in event.table.renamed() {
            let (name, field, of) = (&column.name, &column.field, &event.event);
            printer.note(&format!("the field `{field}` of {of} is the column `{name}`: another has its name"));
        }
    }
    match arguments.to {
        Tool::ConnectS3 => connect::s3(&exported, printer),
        Tool::ConnectIceberg => connect::iceberg(&exported, printer),
        Tool::Clickhouse => printer.data(&clickhouse::tables(&exported)),
        Tool::Flink => flink::tables(&exported, printer),
        Tool::Duckdb => printer.data(&duckdb::views(&exported)),
    }
}
