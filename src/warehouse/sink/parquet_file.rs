//! Parquet files: rows and what the chain needs to know of them.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaDataReader};
use parquet::file::properties::WriterProperties;

use super::chain::RowId;
use crate::warehouse::columns;

/// The highest offset of a file's rows.
const LAST_OFFSET: &str = "tidings.last_offset";
/// The file before it in its chain.
const BEFORE: &str = "tidings.before";

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Footer {
    /// The highest offset of its rows.
    pub(super) last_offset: i64,
    /// The name of the file before it.
    pub(super) before: Option<String>,
}

impl Footer {
    fn of(metadata: &FileMetaData) -> Result<Self, String> {
        let entries = metadata.key_value_metadata();
        let value = |key: &str| entries?.iter().find(|entry| entry.key == key)?.value.clone();
        let last_offset = value(LAST_OFFSET).ok_or_else(|| format!("it has no {LAST_OFFSET}"))?;
        let last_offset = last_offset.parse().map_err(|_| format!("its {LAST_OFFSET} is {last_offset}"))?;
        Ok(Self { last_offset, before: value(BEFORE) })
    }

    fn entries(&self) -> Vec<KeyValue> {
        let last_offset = KeyValue::new(LAST_OFFSET.to_owned(), self.last_offset.to_string());
        let before = self.before.as_ref().map(|before| KeyValue::new(BEFORE.to_owned(), before.clone()));
        std::iter::once(last_offset).chain(before).collect()
    }
}

/// A file that is being written, in memory.
pub(super) struct FileWriter(ArrowWriter<Vec<u8>>);

impl FileWriter {
    /// A file of rows with `schema`.
    pub(super) fn new(schema: &SchemaRef, footer: &Footer) -> Result<Self, ParquetError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(footer.entries()))
            .build();
        ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties)).map(Self)
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        self.0.write(rows)
    }

    /// What goes to disk.
    pub(super) fn finish(self) -> Result<Vec<u8>, ParquetError> {
        self.0.into_inner()
    }
}

/// What a file says of itself, or why it is none of ours.
pub(super) fn footer(content: &Bytes) -> Result<Footer, String> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(content).map_err(|error| error.to_string())?;
    Footer::of(metadata.file_metadata())
}

/// The same, and its rows.
pub(super) fn rows(content: Bytes) -> Result<(Footer, Vec<RowId>), String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content).map_err(|error| error.to_string())?;
    let footer = Footer::of(reader.metadata().file_metadata())?;
    let columns =
        ProjectionMask::columns(reader.parquet_schema(), [columns::OFFSET, columns::EVENT_ID, columns::TIMESTAMP]);
    let batches = reader.with_projection(columns).build().map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        let offsets = of_type(&batch, columns::OFFSET, |column| column.as_primitive_opt::<Int64Type>())?;
        let ids = of_type(&batch, columns::EVENT_ID, |column| column.as_string_opt::<i32>())?;
        let times =
            of_type(&batch, columns::TIMESTAMP, |column| column.as_primitive_opt::<TimestampMicrosecondType>())?;
        for ((offset, id), time) in offsets.values().iter().zip(ids).zip(times) {
            rows.push(RowId::new(*offset, id, time));
        }
    }
    Ok((footer, rows))
}

/// A column of a type.
fn of_type<'b, T>(
    batch: &'b RecordBatch,
    name: &str,
    cast: impl FnOnce(&'b ArrayRef) -> Option<&'b T>,
) -> Result<&'b T, String> {
    batch.column_by_name(name).and_then(cast).ok_or_else(|| format!("it has no column {name} of the sink's"))
}
