//! Connectors of Kafka Connect's: one a topic, as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::events::{Exported, ExportedEvent, table_name};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::printer::Printer;
use crate::warehouse::columns::{COLUMNS, Origin, PipelineColumn};

/// The database that Iceberg's tables are in.
const NAMESPACE: &str = "events";

/// What both connectors cannot do, and what to add to them.
const LIMITS: &str = "the pipeline's columns are text, but for the record's place and time, since Connect has headers as text; one without a \
header is empty. `source` is the source that is exported, whatever a record says: Connect cannot take the slash off the header's text. They need Debezium's transformation HeaderToValue among Connect's plugins (debezium-core). A header that a record has \
twice fails its task. Credentials are not here";

/// Connectors of Confluent's S3 sink.
pub(super) fn s3(exported: &Exported, printer: &Printer) -> Result<(), CliError> {
    printer.note(LIMITS);
    printer.note(
        "the S3 sink puts files into folders by event or by day, not by both: here they are by event; occurred_at tells the day. It \
         begins a new file where the version of the schema changes, since no two versions may be projected onto each other \
         (schema.compatibility=NONE). Set s3.region to the bucket's",
    );
    connectors(exported, printer, "s3", |_, config| {
        set(config, "connector.class", "io.confluent.connect.s3.S3SinkConnector");
        set(config, "storage.class", "io.confluent.connect.s3.storage.S3Storage");
        set(config, "format.class", "io.confluent.connect.s3.format.parquet.ParquetFormat");
        set(config, "parquet.codec", "snappy");
        set(config, "s3.bucket.name", &exported.location);
        set(config, "s3.region", "us-east-1");
        // Both are told by records alone, which is what makes the sink's files exactly once.
        set(config, "partitioner.class", "io.confluent.connect.storage.partitioner.FieldPartitioner");
        set(config, "partition.field.name", "event_type");
        set(config, "flush.size", "10000");
        set(config, "schema.compatibility", "NONE");
    })
}

/// Connectors of Apache Iceberg's sink.
pub(super) fn iceberg(exported: &Exported, printer: &Printer) -> Result<(), CliError> {
    printer.note(LIMITS);
    printer.note(&format!(
        "tables are made as they are needed, in the database `{NAMESPACE}`, and get new columns as events do; a record of an event that is \
         not named here is passed over. Iceberg cannot divide tables by the day of a text: divide by day(kafka_timestamp), or not at \
         all. Set iceberg.catalog.uri to your catalog"
    ));
    connectors(exported, printer, "iceberg", |events, config| {
        set(config, "connector.class", "org.apache.iceberg.connect.IcebergSinkConnector");
        let tables: Vec<_> = events.iter().map(|event| format!("{NAMESPACE}.{}", event.name)).collect();
        set(config, "iceberg.tables", &tables.join(","));
        set(config, "iceberg.tables.route-field", "event_type");
        for (event, table) in events.iter().zip(&tables) {
            let whole = format!("^{}$", event.event.replace('.', "\\."));
            set(config, &format!("iceberg.table.{table}.route-regex"), &whole);
        }
        set(config, "iceberg.tables.auto-create-enabled", "true");
        set(config, "iceberg.tables.evolve-schema-enabled", "true");
        // A field that a newer version no longer has is null from then on.
        set(config, "iceberg.tables.schema-force-optional", "true");
        set(config, "iceberg.tables.default-partition-by", "day(kafka_timestamp)");
        set(config, "iceberg.control.commit.interval-ms", "60000");
        set(config, "iceberg.catalog.type", "rest");
        set(config, "iceberg.catalog.uri", "http://localhost:8181");
        set(config, "iceberg.catalog.warehouse", &exported.location);
    })
}

/// One connector as an object, several as an array of them: each is what is posted to Connect's `/connectors`.
fn connectors(
    exported: &Exported,
    printer: &Printer,
    kind: &str,
    configure: impl Fn(&[&ExportedEvent], &mut Map<String, Value>),
) -> Result<(), CliError> {
    let mut connectors = Vec::new();
    for (topic, events) in exported.by_topic() {
        clashes(&events)?;
        let source = one_source(topic, &events)?;
        let mut config = Map::new();
        configure(&events, &mut config);
        set(&mut config, "topics", topic);
        set(&mut config, "tasks.max", "1");
        set(&mut config, "key.converter", "org.apache.kafka.connect.storage.StringConverter");
        set(&mut config, "value.converter", "io.confluent.connect.avro.AvroConverter");
        set(&mut config, "value.converter.schema.registry.url", &exported.registry);
        set(
            &mut config,
            "value.converter.value.subject.name.strategy",
            "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy",
        );
        // The simple converter would guess numbers and times, of each record anew.
        set(&mut config, "header.converter", "org.apache.kafka.connect.storage.StringConverter");
        transforms(&mut config, source);
        let name = format!("tidings-{kind}-{}", table_name(source));
        connectors.push(Value::Object(Map::from_iter([
            ("name".to_owned(), name.into()),
            ("config".to_owned(), Value::Object(config)),
        ])));
    }
    let text = match &connectors[..] {
        [connector] => output::json(connector, true)?,
        connectors => output::json(connectors, true)?,
    };
    printer.line(&text)
}

/// The source of the events on `topic`, of which a connector has one.
fn one_source<'e>(topic: &'e str, events: &[&'e ExportedEvent]) -> Result<&'e str, CliError> {
    let source = events.first().map_or(topic, |event| event.source.as_str());
    match events.iter().find(|event| event.source != source) {
        None => Ok(source),
        Some(other) => Err(CliError::usage(format!(
            "the topic {topic} would have events of {source} and of {}, and Connect cannot tell them apart: export one source at a time",
            other.source
        ))),
    }
}

/// Bring headers, the source and the record's place into the value.
fn transforms(config: &mut Map<String, Value>, source: &str) {
    let (mut names, mut predicates) = (String::new(), String::new());
    let of_header = |column: &'static PipelineColumn| match column.origin {
        Origin::Header(name) => Some((column, name)),
        _ => None,
    };
    let headers: Vec<_> = COLUMNS.iter().filter_map(of_header).collect();
    // HeaderToValue keeps the fields of a schema's first record: a header that comes and goes would fail later ones.
    for (column, header) in &headers {
        let (transform, predicate) = (format!("no_{}", column.name), format!("has_{}", column.name));
        let _ = write!(names, "{transform},");
        let _ = write!(predicates, "{}{predicate}", if predicates.is_empty() { "" } else { "," });
        set(
            config,
            &format!("predicates.{predicate}.type"),
            "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        );
        set(config, &format!("predicates.{predicate}.name"), header);
        set(config, &format!("transforms.{transform}.type"), "org.apache.kafka.connect.transforms.InsertHeader");
        set(config, &format!("transforms.{transform}.header"), header);
        set(config, &format!("transforms.{transform}.value.literal"), "");
        set(config, &format!("transforms.{transform}.predicate"), &predicate);
        set(config, &format!("transforms.{transform}.negate"), "true");
    }
    set(config, "predicates", &predicates);
    set(config, "transforms.headers.type", "io.debezium.transforms.HeaderToValue");
    let of_headers: Vec<_> = headers.iter().map(|(_, header)| *header).collect();
    set(config, "transforms.headers.headers", &of_headers.join(","));
    let of_columns: Vec<_> = headers.iter().map(|(column, _)| column.name).collect();
    set(config, "transforms.headers.fields", &of_columns.join(","));
    set(config, "transforms.headers.operation", "copy");
    set(config, "transforms.place.type", "org.apache.kafka.connect.transforms.InsertField$Value");
    for column in &COLUMNS {
        let option = match column.origin {
            Origin::Topic => "topic.field",
            Origin::Partition => "partition.field",
            Origin::Offset => "offset.field",
            Origin::Timestamp => "timestamp.field",
            // As text, its header begins with a slash.
            Origin::PathHeader(_) => {
                set(config, "transforms.place.static.value", source);
                "static.field"
            }
            Origin::Header(_) => continue,
        };
        set(config, &format!("transforms.place.{option}"), column.name);
    }
    set(config, "transforms", &format!("{names}headers,place"));
}

/// Connect has no way to rename a field of some events and not of others.
fn clashes(events: &[&ExportedEvent]) -> Result<(), CliError> {
    for event in events {
        let clash = event.table.columns.iter().find(|column| COLUMNS.iter().any(|own| own.name == column.field));
        if let Some(column) = clash {
            let (event, field) = (&event.event, &column.field);
            return Err(CliError::usage(format!(
                "the field `{field}` of {event} has the name of a column of the pipeline's, and Connect cannot rename it for one event: \
                 rename the field, or leave the event out"
            )));
        }
    }
    Ok(())
}

fn set(config: &mut Map<String, Value>, name: &str, value: &str) {
    config.insert(name.to_owned(), value.into());
}
