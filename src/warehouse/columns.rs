//! The pipeline's columns: what every table has before the payload's fields. Named here and nowhere else.

use crate::envelope::header;

/// The folders by which the files of a sink are told apart; databases show them as columns.
pub(crate) const EVENT_FOLDER: &str = "event";
/// The day on which the events of a folder happened, UTC.
pub(crate) const DAY_FOLDER: &str = "day";

/// The offset's column: by it a row is known again.
pub(crate) const OFFSET: &str = "kafka_offset";
/// The column of the event's id, which tells rows apart whose topic was made anew and has the same offsets.
pub(crate) const EVENT_ID: &str = "event_id";
/// The column of the record's time, which does so where there is no id.
pub(crate) const TIMESTAMP: &str = "kafka_timestamp";

/// A column of the pipeline's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PipelineColumn {
    pub(crate) name: &'static str,
    pub(crate) kind: PipelineType,
    pub(crate) origin: Origin,
    /// Whether it can be without a value.
    pub(crate) nullable: bool,
}

/// What a column of the pipeline's holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PipelineType {
    Text,
    Int,
    Long,
    /// With microseconds, UTC.
    Timestamp,
}

/// Where a column of the pipeline's comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A header, as text.
    Header(&'static str),
    /// A header, behind a slash.
    PathHeader(&'static str),
    Topic,
    Partition,
    Offset,
    Timestamp,
}

/// The columns, in their order.
pub(crate) const COLUMNS: [PipelineColumn; 16] = [
    column(EVENT_ID, PipelineType::Text, Origin::Header(header::ID), true),
    column("event_type", PipelineType::Text, Origin::Header(header::TYPE), false),
    column("schema_version", PipelineType::Text, Origin::Header(header::SCHEMA_VERSION), true),
    column("source", PipelineType::Text, Origin::PathHeader(header::SOURCE), true),
    column("stream", PipelineType::Text, Origin::Header(header::SUBJECT), true),
    column("sequence", PipelineType::Long, Origin::Header(header::SEQUENCE), true),
    column("stream_epoch", PipelineType::Long, Origin::Header(header::STREAM_EPOCH), false),
    column("occurred_at", PipelineType::Timestamp, Origin::Header(header::TIME), true),
    column("recorded_at", PipelineType::Timestamp, Origin::Header(header::RECORDED_TIME), true),
    column("partition_key", PipelineType::Text, Origin::Header(header::PARTITION_KEY), true),
    column("correlation_id", PipelineType::Text, Origin::Header(header::CORRELATION_ID), true),
    column("causation_id", PipelineType::Text, Origin::Header(header::CAUSATION_ID), true),
    column("kafka_topic", PipelineType::Text, Origin::Topic, false),
    column("kafka_partition", PipelineType::Int, Origin::Partition, false),
    column(OFFSET, PipelineType::Long, Origin::Offset, false),
    column(TIMESTAMP, PipelineType::Timestamp, Origin::Timestamp, true),
];

const fn column(name: &'static str, kind: PipelineType, origin: Origin, nullable: bool) -> PipelineColumn {
    PipelineColumn { name, kind, origin, nullable }
}

/// Names that the payload's columns cannot have.
pub(crate) fn reserved() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|column| column.name).chain([EVENT_FOLDER, DAY_FOLDER])
}
