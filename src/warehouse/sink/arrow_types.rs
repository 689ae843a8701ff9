//! The types that Arrow has for a table's columns.

use std::sync::Arc;

use arrow_schema::{ArrowError, DataType, Field, Fields, TimeUnit as ArrowUnit};

use crate::warehouse::table::{Column, ColumnType, TimeUnit};

/// The name of the time zone of instants.
pub(super) const UTC: &str = "UTC";

/// The Arrow field of a column.
pub(super) fn field(column: &Column) -> Result<Field, ArrowError> {
    Ok(Field::new(&column.name, data_type(&column.kind)?, column.nullable))
}

pub(super) fn fields(columns: &[Column]) -> Result<Fields, ArrowError> {
    columns.iter().map(field).collect()
}

pub(super) fn data_type(kind: &ColumnType) -> Result<DataType, ArrowError> {
    Ok(match kind {
        ColumnType::Nothing | ColumnType::Present | ColumnType::Boolean => DataType::Boolean,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::Bytes => DataType::Binary,
        ColumnType::Text | ColumnType::Uuid => DataType::Utf8,
        ColumnType::Fixed(size) => DataType::FixedSizeBinary(width(*size)?),
        ColumnType::Enum(_) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        ColumnType::Decimal { precision, scale, .. } => decimal_type(*precision, *scale)?,
        ColumnType::Date => DataType::Date32,
        ColumnType::TimeMillis => DataType::Time32(ArrowUnit::Millisecond),
        ColumnType::TimeMicros => DataType::Time64(ArrowUnit::Microsecond),
        ColumnType::Timestamp { unit, utc } => {
            let unit = if *unit == TimeUnit::Nanos { ArrowUnit::Nanosecond } else { ArrowUnit::Microsecond };
            DataType::Timestamp(unit, utc.then(|| UTC.into()))
        }
        ColumnType::List(item) => DataType::List(Arc::new(field(item)?)),
        ColumnType::Map(value) => DataType::Map(Arc::new(entries(value)?), false),
        ColumnType::Record(columns) | ColumnType::Union { columns, .. } => DataType::Struct(fields(columns)?),
    })
}

pub(super) fn entries(value: &Column) -> Result<Field, ArrowError> {
    let key = Field::new("key", DataType::Utf8, false);
    Ok(Field::new("key_value", DataType::Struct(Fields::from(vec![key, field(value)?])), false))
}

pub(super) fn width(size: usize) -> Result<i32, ArrowError> {
    i32::try_from(size).map_err(|_| ArrowError::SchemaError(format!("a fixed of {size} bytes is too long")))
}

pub(super) fn decimal_type(precision: usize, scale: usize) -> Result<DataType, ArrowError> {
    let wrong =
        || ArrowError::SchemaError(format!("there is no decimal of {precision} digits, {scale} behind the point"));
    let (precision, scale) = (u8::try_from(precision).map_err(|_| wrong())?, i8::try_from(scale).map_err(|_| wrong())?);
    Ok(DataType::Decimal128(precision, scale))
}
