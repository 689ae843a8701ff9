//! Tables and views of Flink SQL's.

use serde_json::{Map, Value};

use super::events::{Exported, ExportedEvent};
use super::sql::{backquoted, comment, header_of, list, literal, renamed};
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::schema::history::Release;
use crate::envelope::header;
use crate::schema::compatibility::breaks;
use crate::schema::contract::Contract;
use crate::warehouse::columns::{COLUMNS, Origin, PipelineColumn, PipelineType};
use crate::warehouse::table::{Column, ColumnType, MAX_DIGITS, TimeUnit};

const HEAD: &str = "\
Tables for Flink SQL: for each event one that reads its topic (…_kafka), and a view with the event's rows.

A topic has several events, and Flink's avro-confluent reads all of a table's records with one schema. The one given here has every
field optional: what records of other events lack is null, and the view takes the event's own by the header ce_type. A record of
another event whose field of the same name has a type that cannot be read as this one's fails the job: Flink has no setting that
passes over it. An earlier version of the event itself fails it in the same way. Such fields are named below where there are any.

Times are read as the payload's numbers, because avro-confluent takes microseconds for milliseconds; the view makes TIMESTAMP_LTZ(3)
of those at the top, which drops what is below a millisecond. Flink delivers records again from its last checkpoint: write to a sink
that is transactional, or by (kafka_topic, kafka_partition, kafka_offset).
Credentials are not here: 'properties.security.protocol', 'properties.sasl.mechanism' and 'properties.sasl.jaas.config' are for the
brokers, 'value.avro-confluent.basic-auth.credentials-source' and '….basic-auth.user-info' for the registry.
";

/// What of a record is not in its payload, as columns of the table: the name, the type and what Flink calls it.
const METADATA: [(&str, &str, &str); 5] = [
    ("tidings_headers", "MAP<STRING, BYTES>", "headers"),
    ("tidings_topic", "STRING", "topic"),
    ("tidings_partition", "INT", "partition"),
    ("tidings_offset", "BIGINT", "offset"),
    ("tidings_timestamp", "TIMESTAMP_LTZ(3)", "timestamp"),
];

/// The table and the view of each event.
pub(super) fn tables(exported: &Exported, printer: &Printer) -> Result<(), CliError> {
    printer.data(&comment(HEAD))?;
    for event in &exported.events {
        let logical = optional(event)?;
        let mut schema = logical.clone();
        plain_times(&mut schema);
        let mut text = format!("\n{}", comment(&format!("The event {}.", event.event)));
        for warning in warnings(event, &schema, &logical, exported)? {
            printer.warning(&warning);
            text += &comment(&format!("WARNING: {warning}"));
        }
        printer.data(&(text + &table_and_view(event, &schema, exported)))?;
    }
    Ok(())
}

fn table_and_view(event: &ExportedEvent, schema: &Value, exported: &Exported) -> String {
    let kafka = format!("{}_kafka", event.name);
    let readable: Vec<&Column> = event.table.columns.iter().filter(|column| is_expressible(&column.kind)).collect();
    let mut head = renamed(event);
    for column in event.table.columns.iter().filter(|column| !is_expressible(&column.kind)) {
        head += &comment(&format!(
            "The payload's field {} has a type that Flink SQL has no name for, and no column.",
            column.field
        ));
    }
    let metadata = METADATA
        .iter()
        .map(|(name, kind, from)| format!("{} {kind} METADATA FROM '{from}' VIRTUAL", backquoted(&free(name, event))));
    // Optional, as in the schema above.
    let payload = readable.iter().map(|column| format!("{} {}", backquoted(&column.field), data_type(&column.kind)));
    let options = [
        ("connector", "kafka".to_owned()),
        ("topic", event.topic.clone()),
        ("properties.bootstrap.servers", exported.brokers.clone()),
        ("properties.group.id", format!("flink.{}", event.event)),
        ("scan.startup.mode", "earliest-offset".to_owned()),
        ("value.format", "avro-confluent".to_owned()),
        ("value.avro-confluent.url", exported.registry.clone()),
        ("value.avro-confluent.schema", schema.to_string()),
    ];
    let options = list(options.iter().map(|(name, value)| format!("{} = {}", literal(name), literal(value))));
    let table =
        format!("CREATE TABLE {} (\n{}\n) WITH (\n{options}\n);", backquoted(&kafka), list(payload.chain(metadata)));
    let pipeline =
        COLUMNS.iter().map(|column| format!("{} AS {}", pipeline_value(column, event), backquoted(column.name)));
    let payload = readable.iter().map(|column| format!("{} AS {}", value(column), backquoted(&column.name)));
    let view = format!(
        "CREATE VIEW {} AS\nSELECT\n{}\nFROM {}\nWHERE {} = {};",
        backquoted(&event.name),
        list(pipeline.chain(payload)),
        backquoted(&kafka),
        text_of(header::TYPE, event),
        literal(&event.event),
    );
    head + &[table, view].join("\n\n") + "\n"
}

/// The schema with every field optional: one schema for records of all events.
fn optional(event: &ExportedEvent) -> Result<Value, CliError> {
    let shown = &event.event;
    let mut schema: Value = serde_json::from_str(&event.schema)
        .map_err(|error| CliError::usage(format!("the schema of {shown} is not JSON")).caused_by(&error))?;
    let columns = event.table.columns.iter().map(|column| is_expressible(&column.kind));
    if let Some(Value::Array(fields)) = schema.get_mut("fields") {
        let kept = std::mem::take(fields).into_iter().zip(columns).filter(|(_, kept)| *kept);
        *fields = kept.map(|(field, _)| optional_field(field)).collect();
    }
    // A field that is left out may define a type that others name.
    Contract::parse(&schema.to_string()).map(|_| schema).map_err(|error| {
        let message =
            format!("{shown} cannot be exported to Flink: a field without a column defines a type of another one");
        CliError::usage(message).caused_by(&error)
    })
}

fn optional_field(mut field: Value) -> Value {
    if let Value::Object(parts) = &mut field {
        let branches = match parts.remove("type") {
            Some(Value::Array(branches)) => branches,
            kind => kind.into_iter().collect(),
        };
        let others = branches.into_iter().filter(|branch| branch != "null");
        let branches = std::iter::once(Value::from("null")).chain(others).collect();
        parts.insert("type".to_owned(), Value::Array(branches));
        parts.insert("default".to_owned(), Value::Null);
    }
    field
}

/// Take away the logical types that Flink would read as something else.
fn plain_times(schema: &mut Value) {
    match schema {
        Value::Array(parts) => parts.iter_mut().for_each(plain_times),
        Value::Object(parts) => {
            let too_long = |parts: &Map<String, Value>| {
                parts.get("precision").and_then(Value::as_u64).is_some_and(|digits| digits > MAX_DIGITS as u64)
            };
            let wrong = match parts.get("logicalType").and_then(Value::as_str) {
                Some("date" | "uuid") | None => false,
                Some("decimal") => too_long(parts),
                Some(_) => true,
            };
            if wrong {
                parts.remove("logicalType");
            }
            for (name, part) in parts.iter_mut() {
                if matches!(name.as_str(), "type" | "items" | "values" | "fields") {
                    plain_times(part);
                }
            }
        }
        _ => {}
    }
}

/// Which other events and earlier versions on the topic cannot be read with `schema`, or are not what they are taken for, as
/// `logical` has it.
fn warnings(
    event: &ExportedEvent,
    schema: &Value,
    logical: &Value,
    exported: &Exported,
) -> Result<Vec<String>, CliError> {
    let fails = |other: &str, reason: String| {
        format!("a job that reads {} fails at the first {other} on its topic: {reason}", event.event)
    };
    let mut warnings = Vec::new();
    for other in exported.by_topic().get(event.topic.as_str()).into_iter().flatten() {
        let is_own = other.event == event.event;
        if !is_own && let Some(reason) = conflict(&other.schema, schema)? {
            warnings.push(fails(&other.event, reason));
            continue;
        }
        for Release { version, text, .. } in &other.released {
            let release = format!("{} {version}", other.event);
            if let Some(reason) = conflict(text, schema)? {
                warnings.push(fails(&release, reason));
            } else if is_own && let Some(reason) = conflict(text, logical)? {
                // Others' rows are not in the view.
                warnings.push(format!("a job that reads {} misreads {release}: {reason}", event.event));
            }
        }
    }
    Ok(warnings)
}

/// Why some record written with `writer` cannot be read with `reader`.
fn conflict(writer: &str, reader: &Value) -> Result<Option<String>, CliError> {
    let mut writer: Value = serde_json::from_str(writer).unwrap_or_default();
    // Flink's reader does not mind what records are called.
    if let (Some(name), Some(own)) = (writer.get_mut("name"), reader.get("name")) {
        *name = own.clone();
    }
    let found = breaks(&writer.to_string(), &reader.to_string())?;
    Ok(found.first().map(ToString::to_string))
}

/// A name that no field of the payload has.
fn free(name: &str, event: &ExportedEvent) -> String {
    let mut name = name.to_owned();
    while event.table.columns.iter().any(|column| column.field.eq_ignore_ascii_case(&name)) {
        name.push('_');
    }
    name
}

fn metadata(index: usize, event: &ExportedEvent) -> String {
    METADATA.get(index).map(|(name, ..)| backquoted(&free(name, event))).unwrap_or_default()
}

fn text_of(header: &str, event: &ExportedEvent) -> String {
    format!("DECODE({}[{}], 'UTF-8')", metadata(0, event), literal(header))
}

fn pipeline_value(column: &PipelineColumn, event: &ExportedEvent) -> String {
    let text = header_of(column).map(|header| text_of(header, event)).unwrap_or_default();
    match (column.origin, column.kind) {
        (Origin::Topic, _) => metadata(1, event),
        (Origin::Partition, _) => metadata(2, event),
        (Origin::Offset, _) => metadata(3, event),
        (Origin::Timestamp, _) => metadata(4, event),
        (Origin::PathHeader(_), _) => format!("REGEXP_REPLACE({text}, '^/', '')"),
        // As tidings writes them: with a Z.
        (Origin::Header(_), PipelineType::Timestamp) => {
            format!("TRY_CAST(REPLACE(REPLACE({text}, 'T', ' '), 'Z', '') AS TIMESTAMP(6))")
        }
        (Origin::Header(_), PipelineType::Long) if column.nullable => format!("TRY_CAST({text} AS BIGINT)"),
        (Origin::Header(_), PipelineType::Long | PipelineType::Int) => {
            format!("COALESCE(TRY_CAST({text} AS BIGINT), 0)")
        }
        (Origin::Header(_), PipelineType::Text) => text,
    }
}

fn value(column: &Column) -> String {
    let name = backquoted(&column.field);
    match column.kind {
        ColumnType::Timestamp { unit, utc: true } => {
            let divided = match unit {
                TimeUnit::Millis => name,
                TimeUnit::Micros => format!("{name} / 1000"),
                TimeUnit::Nanos => format!("{name} / 1000000"),
            };
            format!("TO_TIMESTAMP_LTZ({divided}, 3)")
        }
        _ => name,
    }
}

/// Whether Flink SQL can say the type: it has no unions.
fn is_expressible(kind: &ColumnType) -> bool {
    match kind {
        ColumnType::Nothing | ColumnType::Present | ColumnType::Union { .. } => false,
        ColumnType::List(part) | ColumnType::Map(part) => is_expressible(&part.kind),
        ColumnType::Record(columns) => columns.iter().all(|column| is_expressible(&column.kind)),
        _ => true,
    }
}

/// As Flink derives it from the schema: a table has to say the same.
fn data_type(kind: &ColumnType) -> String {
    match kind {
        ColumnType::Nothing | ColumnType::Present | ColumnType::Union { .. } => "NULL".into(),
        ColumnType::Boolean => "BOOLEAN".into(),
        ColumnType::Int | ColumnType::TimeMillis => "INT".into(),
        ColumnType::Long | ColumnType::TimeMicros | ColumnType::Timestamp { .. } => "BIGINT".into(),
        ColumnType::Float => "FLOAT".into(),
        ColumnType::Double => "DOUBLE".into(),
        ColumnType::Bytes => "BYTES".into(),
        ColumnType::Fixed(size) => format!("VARBINARY({size})"),
        ColumnType::Text | ColumnType::Uuid | ColumnType::Enum(_) => "STRING".into(),
        ColumnType::Decimal { precision, scale, .. } => format!("DECIMAL({precision}, {scale})"),
        ColumnType::Date => "DATE".into(),
        ColumnType::List(item) => format!("ARRAY<{}>", within(item)),
        ColumnType::Map(value) => format!("MAP<STRING NOT NULL, {}>", within(value)),
        ColumnType::Record(columns) => {
            let field = |column: &Column| format!("{} {}", backquoted(&column.field), within(column));
            format!("ROW<{}>", columns.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

fn within(column: &Column) -> String {
    let kind = data_type(&column.kind);
    if column.nullable { kind } else { format!("{kind} NOT NULL") }
}
