//! Rows of an event's table: the pipeline's columns from the record, then the payload's.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use super::arrow_types::{self, UTC};
use super::cells::Cells;
use super::chain::RowId;
use super::error::Misfit;
use crate::dispatch::Message;
use crate::envelope::header;
use crate::schema::Cursor;
use crate::warehouse::columns::{COLUMNS, Origin, PipelineColumn, PipelineType};
use crate::warehouse::table::Table;

/// The table's columns as Arrow has them.
pub(super) fn schema(table: &Table) -> Result<SchemaRef, ArrowError> {
    let pipeline = COLUMNS.iter().map(|column| {
        let kind = match column.kind {
            PipelineType::Text => DataType::Utf8,
            PipelineType::Int => DataType::Int32,
            PipelineType::Long => DataType::Int64,
            PipelineType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        };
        Ok(Field::new(column.name, kind, column.nullable))
    });
    let fields = pipeline.chain(table.columns.iter().map(arrow_types::field)).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// What the row of a record is known by.
pub(super) fn id(message: &Message) -> RowId {
    RowId::new(message.offset(), message.headers().get_str(header::ID), micros(Origin::Timestamp, message))
}

/// Rows that are being put together.
#[derive(Debug)]
pub(super) struct Rows {
    event: &'static str,
    schema: SchemaRef,
    pipeline: Vec<(&'static PipelineColumn, PipelineCells)>,
    payload: Vec<Cells>,
    count: usize,
}

#[derive(Debug)]
enum PipelineCells {
    Text(StringBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Rows {
    /// No rows yet, of `event`.
    pub(super) fn new(event: &'static str, schema: &SchemaRef, table: &Table) -> Result<Self, ArrowError> {
        let pipeline = COLUMNS.iter().map(|column| (column, PipelineCells::of(column.kind))).collect();
        let payload = table.columns.iter().map(Cells::of).collect::<Result<_, _>>()?;
        Ok(Self { event, schema: Arc::clone(schema), pipeline, payload, count: 0 })
    }

    /// Add a row. After an error the rows are of no use any more.
    pub(super) fn push(&mut self, message: &Message, datum: &[u8]) -> Result<(), Misfit> {
        for (column, cells) in &mut self.pipeline {
            cells.push(column.origin, self.event, message);
        }
        let mut cursor = Cursor::new(datum);
        for column in &mut self.payload {
            column.read(&mut cursor)?;
        }
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// The rows, of which none are left.
    pub(super) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.count = 0;
        let pipeline = self.pipeline.iter_mut().map(|(_, cells)| Ok(cells.finish()));
        let columns = pipeline.chain(self.payload.iter_mut().map(Cells::finish)).collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

impl PipelineCells {
    fn of(kind: PipelineType) -> Self {
        match kind {
            PipelineType::Text => Self::Text(StringBuilder::new()),
            PipelineType::Int => Self::Int(Int32Builder::new()),
            PipelineType::Long => Self::Long(Int64Builder::new()),
            PipelineType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone(UTC)),
        }
    }

    fn push(&mut self, origin: Origin, event: &'static str, message: &Message) {
        match self {
            Self::Text(values) => values.append_option(text(origin, event, message)),
            Self::Int(values) => values.append_value(message.partition()),
            Self::Long(values) => values.append_option(long(origin, message)),
            Self::Timestamp(values) => values.append_option(micros(origin, message)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Long(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(values.finish()),
        }
    }
}

fn text<'m>(origin: Origin, event: &'static str, message: &'m Message) -> Option<&'m str> {
    match origin {
        // A record that does not say what event it is was told by its payload.
        Origin::Header(header::TYPE) => Some(event),
        Origin::Header(header::PARTITION_KEY) => message.key(),
        Origin::Header(name) => message.headers().get_str(name),
        Origin::PathHeader(_) => message.source(),
        Origin::Topic => Some(message.topic()),
        Origin::Partition | Origin::Offset | Origin::Timestamp => None,
    }
}

fn long(origin: Origin, message: &Message) -> Option<i64> {
    match origin {
        Origin::Header(header::SEQUENCE) => message.sequence().and_then(|sequence| i64::try_from(sequence).ok()),
        Origin::Header(header::STREAM_EPOCH) => Some(message.stream_epoch().into()),
        Origin::Offset => Some(message.offset()),
        _ => None,
    }
}

fn micros(origin: Origin, message: &Message) -> Option<i64> {
    match origin {
        Origin::Header(header::TIME) => message.occurred_at().map(|time| time.timestamp_micros()),
        Origin::Header(header::RECORDED_TIME) => message.recorded_at().map(|time| time.timestamp_micros()),
        Origin::Timestamp => message.timestamp_ms().and_then(|millis| millis.checked_mul(1_000)),
        _ => None,
    }
}
