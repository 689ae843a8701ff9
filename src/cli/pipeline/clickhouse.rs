//! Tables of ClickHouse's: one that reads the topic, one that keeps an event's rows, and the view between them.

use super::events::{Exported, ExportedEvent};
use super::sql::{backquoted, comment, header_of, list, renamed};
use crate::envelope::header;
use crate::warehouse::columns::{COLUMNS, Origin, PipelineColumn, PipelineType};
use crate::warehouse::table::{Column, ColumnType, TimeUnit};

const HEAD: &str = "\
Tables for ClickHouse: for each event one that reads its topic (…_kafka), one that keeps its rows, and a view that moves them.

A topic has several events. Each …_kafka table reads the whole topic, in a consumer group of its own, and decodes every record with
the schema it was written with; its view takes the event's own by the header ce_type. What others' records lack is a default, and
what cannot be read as the table's columns has its reason in _error instead of stopping the table: errors of the event itself go to
…_errors. Look there.

ClickHouse may read a record again, after a crash or a rebalance. The tables replace rows of the same topic, partition and offset when
parts are merged: read them with FINAL where each row must count once.

Not as in the payload: an absent array, map or record is an empty one, because ClickHouse has no Nullable of those. Times within
records and arrays, and times without a date, are the numbers of the payload.
Credentials are not here: kafka_security_protocol, kafka_sasl_mechanism, kafka_sasl_username and kafka_sasl_password are settings
of the …_kafka tables, and a registry's user and password go into its address.
";

/// What a view calls the table that reads the topic.
const TOPIC_ALIAS: &str = "`of_topic`";

/// The tables of each event.
pub(super) fn tables(exported: &Exported) -> String {
    let events = exported.events.iter().map(|event| tables_of(event, exported));
    std::iter::once(comment(HEAD)).chain(events).collect::<Vec<_>>().join("\n")
}

fn tables_of(event: &ExportedEvent, exported: &Exported) -> String {
    let (kafka, errors) = (format!("{}_kafka", event.name), format!("{}_errors", event.name));
    let readable: Vec<&Column> = event.table.columns.iter().filter(|column| is_readable(&column.kind)).collect();
    let mut head = comment(&format!("The event {}.", event.event)) + &renamed(event);
    for column in event.table.columns.iter().filter(|column| !is_readable(&column.kind)) {
        head += &comment(&format!("The payload's field {} never has a value, and has no column.", column.field));
    }

    let read =
        list(readable.iter().map(|column| format!("{} {}", backquoted(&column.field), nullable(column, Stage::Read))));
    // A table has a column: the raw bytes are there anyway.
    let read = if readable.is_empty() { "    `_nothing` Nullable(String)".to_owned() } else { read };
    let topic = format!(
        "CREATE TABLE IF NOT EXISTS {} (\n{read}\n) ENGINE = Kafka\nSETTINGS\n{};",
        backquoted(&kafka),
        list(settings(event, exported)),
    );

    let pipeline = COLUMNS.iter().map(|column| format!("{} {}", backquoted(column.name), pipeline_type(column)));
    let payload =
        readable.iter().map(|column| format!("{} {}", backquoted(&column.name), nullable(column, Stage::Kept)));
    let rows = format!(
        "CREATE TABLE IF NOT EXISTS {} (\n{}\n) ENGINE = ReplacingMergeTree\nPARTITION BY toYYYYMM(coalesce(`occurred_at`, \
         `kafka_timestamp`, toDateTime64(0, 6, 'UTC')))\nORDER BY (`kafka_topic`, `kafka_partition`, `kafka_offset`);",
        backquoted(&event.name),
        list(pipeline.chain(payload)),
    );

    let pipeline = COLUMNS.iter().map(|column| format!("{} AS {}", pipeline_value(column), backquoted(column.name)));
    let payload = readable.iter().map(|column| format!("{} AS {}", value(column), backquoted(&column.name)));
    let own = format!("{} = {}", text_of(header::TYPE), literal(&event.event));
    let view = format!(
        "CREATE MATERIALIZED VIEW IF NOT EXISTS {} TO {} AS\nSELECT\n{}\nFROM {} AS {TOPIC_ALIAS}\nWHERE {own} AND empty(_error);",
        backquoted(&format!("{}_rows", event.name)),
        backquoted(&event.name),
        list(pipeline.chain(payload)),
        backquoted(&kafka),
    );

    let failures = format!(
        "CREATE TABLE IF NOT EXISTS {0} (\n    `kafka_topic` String,\n    `kafka_partition` Int32,\n    `kafka_offset` Int64,\n    \
         `error` String,\n    `record` String\n) ENGINE = ReplacingMergeTree\nORDER BY (`kafka_topic`, `kafka_partition`, \
         `kafka_offset`);\n\nCREATE MATERIALIZED VIEW IF NOT EXISTS {1} TO {0} AS\nSELECT\n    _topic AS `kafka_topic`,\n    \
         toInt32(_partition) AS `kafka_partition`,\n    toInt64(_offset) AS `kafka_offset`,\n    _error AS `error`,\n    \
         _raw_message AS `record`\nFROM {2}\nWHERE {own} AND notEmpty(_error);",
        backquoted(&errors),
        backquoted(&format!("{errors}_rows")),
        backquoted(&kafka),
    );
    head + &[topic, rows, view, failures].join("\n\n") + "\n"
}

fn settings(event: &ExportedEvent, exported: &Exported) -> Vec<String> {
    vec![
        format!("kafka_broker_list = {}", literal(&exported.brokers)),
        format!("kafka_topic_list = {}", literal(&event.topic)),
        format!("kafka_group_name = {}", literal(&format!("clickhouse.{}", event.event))),
        "kafka_format = 'AvroConfluent'".to_owned(),
        format!("format_avro_schema_registry_url = {}", literal(&exported.registry)),
        "input_format_avro_allow_missing_fields = 1".to_owned(),
        "input_format_avro_null_as_default = 1".to_owned(),
        "kafka_handle_error_mode = 'stream'".to_owned(),
    ]
}

/// Which of the two tables a type is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// What the format reads.
    Read,
    /// What is kept.
    Kept,
}

/// Text between single quotes; a backslash is special, too.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn text_of(header: &str) -> String {
    // Without the header, the place is 0 and the value empty.
    format!("_headers.value[indexOf(_headers.name, {})]", literal(header))
}

fn pipeline_type(column: &PipelineColumn) -> String {
    let kind = match column.kind {
        PipelineType::Text => "String",
        PipelineType::Int => "Int32",
        PipelineType::Long => "Int64",
        PipelineType::Timestamp => "DateTime64(6, 'UTC')",
    };
    if column.nullable { format!("Nullable({kind})") } else { kind.to_owned() }
}

fn pipeline_value(column: &PipelineColumn) -> String {
    let text = header_of(column).map(text_of).unwrap_or_default();
    match (column.origin, column.kind) {
        (Origin::Topic, _) => "_topic".into(),
        (Origin::Partition, _) => "toInt32(_partition)".into(),
        (Origin::Offset, _) => "toInt64(_offset)".into(),
        (Origin::Timestamp, _) => "toDateTime64(_timestamp_ms, 6, 'UTC')".into(),
        (Origin::PathHeader(_), _) => format!("nullIf(replaceRegexpOne({text}, '^/', ''), '')"),
        (Origin::Header(_), PipelineType::Timestamp) => format!("parseDateTime64BestEffortOrNull({text}, 6, 'UTC')"),
        (Origin::Header(_), PipelineType::Long) if column.nullable => format!("toInt64OrNull({text})"),
        (Origin::Header(_), PipelineType::Long | PipelineType::Int) => format!("toInt64OrZero({text})"),
        (Origin::Header(_), PipelineType::Text) if column.nullable => format!("nullIf({text}, '')"),
        (Origin::Header(_), PipelineType::Text) => text,
    }
}

fn is_readable(kind: &ColumnType) -> bool {
    !matches!(kind, ColumnType::Nothing | ColumnType::Present)
}

/// What is composed has no Nullable.
fn nullable(column: &Column, stage: Stage) -> String {
    let kind = data_type(&column.kind, stage, true);
    let composed = matches!(
        column.kind,
        ColumnType::List(_) | ColumnType::Map(_) | ColumnType::Record(_) | ColumnType::Union { .. }
    );
    match (&column.kind, column.nullable && !composed) {
        (ColumnType::Enum(_), true) if stage == Stage::Kept => "LowCardinality(Nullable(String))".into(),
        (ColumnType::Enum(_), false) if stage == Stage::Kept => "LowCardinality(String)".into(),
        (_, true) => format!("Nullable({kind})"),
        (_, false) => kind,
    }
}

fn data_type(kind: &ColumnType, stage: Stage, top: bool) -> String {
    let read = stage == Stage::Read || !top;
    match kind {
        ColumnType::Nothing | ColumnType::Present => "Nullable(Nothing)".into(),
        ColumnType::Boolean => "Bool".into(),
        ColumnType::Int | ColumnType::TimeMillis => "Int32".into(),
        ColumnType::Long | ColumnType::TimeMicros => "Int64".into(),
        ColumnType::Float => "Float32".into(),
        ColumnType::Double => "Float64".into(),
        ColumnType::Bytes | ColumnType::Text | ColumnType::Enum(_) => "String".into(),
        ColumnType::Fixed(size) => format!("FixedString({size})"),
        ColumnType::Uuid => "UUID".into(),
        ColumnType::Decimal { precision, scale, .. } => format!("Decimal({precision}, {scale})"),
        ColumnType::Date => "Date32".into(),
        // Read as numbers: which of Avro's times the format knows has changed between its versions.
        ColumnType::Timestamp { .. } if read => "Int64".into(),
        // A time on a wall has no zone; UTC keeps its digits.
        ColumnType::Timestamp { unit, .. } => {
            let digits = match unit {
                TimeUnit::Millis => 3,
                TimeUnit::Micros => 6,
                TimeUnit::Nanos => 9,
            };
            format!("DateTime64({digits}, 'UTC')")
        }
        ColumnType::List(item) => format!("Array({})", within(item, stage)),
        ColumnType::Map(value) => format!("Map(String, {})", within(value, stage)),
        ColumnType::Record(columns) => {
            // The format finds them by the fields' names.
            let field = |column: &Column| format!("{} {}", backquoted(&column.field), within(column, stage));
            format!("Tuple({})", columns.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        ColumnType::Union { columns, .. } => {
            let kinds: Vec<_> = columns.iter().map(|column| data_type(&column.kind, stage, false)).collect();
            format!("Variant({})", kinds.join(", "))
        }
    }
}

fn within(column: &Column, stage: Stage) -> String {
    let kind = data_type(&column.kind, stage, false);
    let composed = matches!(
        column.kind,
        ColumnType::List(_)
            | ColumnType::Map(_)
            | ColumnType::Record(_)
            | ColumnType::Union { .. }
            | ColumnType::Nothing
    );
    if column.nullable && !composed { format!("Nullable({kind})") } else { kind }
}

/// With the table's name before it: without, ClickHouse would take another column's alias for it.
fn value(column: &Column) -> String {
    let name = format!("{TOPIC_ALIAS}.{}", backquoted(&column.field));
    match column.kind {
        ColumnType::Timestamp { unit: TimeUnit::Millis, .. } => format!("fromUnixTimestamp64Milli({name}, 'UTC')"),
        ColumnType::Timestamp { unit: TimeUnit::Micros, .. } => format!("fromUnixTimestamp64Micro({name}, 'UTC')"),
        ColumnType::Timestamp { unit: TimeUnit::Nanos, .. } => format!("fromUnixTimestamp64Nano({name}, 'UTC')"),
        _ => name,
    }
}
