//! A column while it is filled: values are read from datums, and go straight to where Arrow wants them.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, FixedSizeBinaryBuilder, Float32Builder,
    Float64Builder, Int32Builder, Int64Builder, StringBuilder, Time32MillisecondBuilder, Time64MicrosecondBuilder,
    TimestampMicrosecondBuilder, TimestampNanosecondBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, DictionaryArray, ListArray, MapArray, StringArray, StructArray};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType, Field, Fields};

use super::arrow_types::{data_type, decimal_type, entries, field, fields, width};
use super::error::Misfit;
use super::places::Places;
use crate::schema::Cursor;
use crate::warehouse::table::{Column, ColumnType, TimeUnit};

/// A column that is being filled.
#[derive(Debug)]
pub(super) struct Cells {
    name: String,
    null_branch: Option<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Nothing(BooleanBuilder),
    Present(BooleanBuilder),
    Boolean(BooleanBuilder),
    Int(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Bytes(BinaryBuilder),
    Text(StringBuilder),
    Fixed { size: usize, values: FixedSizeBinaryBuilder },
    Enum { symbols: Arc<StringArray>, values: Int32Builder },
    Decimal { precision: usize, scale: usize, size: Option<usize>, values: Decimal128Builder },
    Date(Date32Builder),
    TimeMillis(Time32MillisecondBuilder),
    TimeMicros(Time64MicrosecondBuilder),
    Micros { times: i64, values: TimestampMicrosecondBuilder },
    Nanos(TimestampNanosecondBuilder),
    List { field: Arc<Field>, weightless: bool, items: Box<Cells>, places: Places },
    Map { field: Arc<Field>, keys: StringBuilder, values: Box<Cells>, places: Places },
    Record { fields: Fields, columns: Vec<Cells>, nulls: NullBufferBuilder },
    Union { fields: Fields, columns: Vec<Cells>, branches: Vec<Option<usize>>, nulls: NullBufferBuilder },
}

impl Cells {
    /// An empty column.
    pub(super) fn of(column: &Column) -> Result<Self, ArrowError> {
        Ok(Self { name: column.name.clone(), null_branch: column.null_branch, values: Values::of(&column.kind)? })
    }

    fn all(columns: &[Column]) -> Result<Vec<Self>, ArrowError> {
        columns.iter().map(Self::of).collect()
    }

    /// Read the next value of a datum.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Misfit> {
        if let Some(null_branch) = self.null_branch
            && cursor.index("branch", 2)? == null_branch
        {
            self.values.push_null();
            return Ok(());
        }
        let read = self.values.read(cursor);
        read.map_err(|Misfit(reason)| Misfit(format!("`{}`: {reason}", self.name)))
    }

    /// The column as it is filled.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.values.finish()
    }
}

impl Values {
    fn of(kind: &ColumnType) -> Result<Self, ArrowError> {
        Ok(match kind {
            ColumnType::Nothing => Self::Nothing(BooleanBuilder::new()),
            ColumnType::Present => Self::Present(BooleanBuilder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Int => Self::Int(Int32Builder::new()),
            ColumnType::Long => Self::Long(Int64Builder::new()),
            ColumnType::Float => Self::Float(Float32Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Bytes => Self::Bytes(BinaryBuilder::new()),
            ColumnType::Text | ColumnType::Uuid => Self::Text(StringBuilder::new()),
            ColumnType::Fixed(size) => Self::Fixed { size: *size, values: FixedSizeBinaryBuilder::new(width(*size)?) },
            ColumnType::Enum(symbols) => {
                Self::Enum { symbols: Arc::new(StringArray::from_iter_values(symbols)), values: Int32Builder::new() }
            }
            ColumnType::Decimal { precision, scale, size } => Self::Decimal {
                precision: *precision,
                scale: *scale,
                size: *size,
                values: Decimal128Builder::new().with_data_type(decimal_type(*precision, *scale)?),
            },
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::TimeMillis => Self::TimeMillis(Time32MillisecondBuilder::new()),
            ColumnType::TimeMicros => Self::TimeMicros(Time64MicrosecondBuilder::new()),
            ColumnType::Timestamp { unit: TimeUnit::Nanos, .. } => {
                Self::Nanos(TimestampNanosecondBuilder::new().with_data_type(data_type(kind)?))
            }
            ColumnType::Timestamp { unit, .. } => Self::Micros {
                times: if *unit == TimeUnit::Millis { 1_000 } else { 1 },
                values: TimestampMicrosecondBuilder::new().with_data_type(data_type(kind)?),
            },
            ColumnType::List(item) => Self::List {
                field: Arc::new(field(item)?),
                weightless: may_be_empty(item),
                items: Box::new(Cells::of(item)?),
                places: Places::new(),
            },
            ColumnType::Map(value) => Self::Map {
                field: Arc::new(entries(value)?),
                keys: StringBuilder::new(),
                values: Box::new(Cells::of(value)?),
                places: Places::new(),
            },
            ColumnType::Record(columns) => Self::Record {
                fields: fields(columns)?,
                columns: Cells::all(columns)?,
                nulls: NullBufferBuilder::new(0),
            },
            ColumnType::Union { columns, branches } => Self::Union {
                fields: fields(columns)?,
                columns: Cells::all(columns)?,
                branches: branches.clone(),
                nulls: NullBufferBuilder::new(0),
            },
        })
    }

    fn read(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Misfit> {
        match self {
            Self::Nothing(values) => values.append_null(),
            Self::Present(values) => values.append_value(true),
            Self::Boolean(values) => values.append_value(cursor.boolean()?),
            Self::Int(values) => values.append_value(cursor.int()?),
            Self::Long(values) => values.append_value(cursor.long()?),
            Self::Float(values) => values.append_value(cursor.float()?),
            Self::Double(values) => values.append_value(cursor.double()?),
            Self::Bytes(values) => values.append_value(cursor.bytes()?),
            Self::Text(values) => values.append_value(cursor.text()?),
            Self::Fixed { size, values } => {
                values.append_value(cursor.fixed(*size)?).map_err(|error| Misfit(error.to_string()))?;
            }
            Self::Enum { symbols, values } => {
                let index = cursor.index("symbol", symbols.len())?;
                values.append_value(i32::try_from(index).map_err(|_| Misfit(format!("symbol {index} is too high")))?);
            }
            Self::Decimal { precision, size, values, .. } => {
                let bytes = match size {
                    Some(size) => cursor.fixed(*size)?,
                    None => cursor.bytes()?,
                };
                values.append_value(decimal(bytes, *precision)?);
            }
            Self::Date(values) => values.append_value(cursor.int()?),
            Self::TimeMillis(values) => values.append_value(cursor.int()?),
            Self::TimeMicros(values) => values.append_value(cursor.long()?),
            Self::Micros { times, values } => {
                let time = cursor.long()?;
                // The value is not for logs.
                let out_of_range =
                    || Misfit("its time is out of range: in microseconds it does not fit 64 bits".into());
                let micros = time.checked_mul(*times).ok_or_else(out_of_range)?;
                values.append_value(micros);
            }
            Self::Nanos(values) => values.append_value(cursor.long()?),
            Self::List { weightless, items, places, .. } => {
                let count = each(*weightless, cursor, |cursor| items.read(cursor))?;
                places.push(count)?;
            }
            Self::Map { keys, values, places, .. } => {
                let count = each(false, cursor, |cursor| {
                    keys.append_value(cursor.text()?);
                    values.read(cursor)
                })?;
                places.push(count)?;
            }
            Self::Record { columns, nulls, .. } => {
                for column in columns {
                    column.read(cursor)?;
                }
                nulls.append_non_null();
            }
            Self::Union { columns, branches, nulls, .. } => {
                let branch = branches.get(cursor.index("branch", branches.len())?).copied().flatten();
                for (index, column) in columns.iter_mut().enumerate() {
                    if Some(index) == branch {
                        column.read(cursor)?;
                    } else {
                        column.values.push_null();
                    }
                }
                nulls.append(branch.is_some());
            }
        }
        Ok(())
    }

    /// A place without a value. Within a record that is absent, its columns have one each.
    fn push_null(&mut self) {
        match self {
            Self::Nothing(values) | Self::Present(values) | Self::Boolean(values) => values.append_null(),
            Self::Int(values) | Self::Enum { values, .. } => values.append_null(),
            Self::Long(values) => values.append_null(),
            Self::Float(values) => values.append_null(),
            Self::Double(values) => values.append_null(),
            Self::Bytes(values) => values.append_null(),
            Self::Text(values) => values.append_null(),
            Self::Fixed { values, .. } => values.append_null(),
            Self::Decimal { values, .. } => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::TimeMillis(values) => values.append_null(),
            Self::TimeMicros(values) => values.append_null(),
            Self::Micros { values, .. } => values.append_null(),
            Self::Nanos(values) => values.append_null(),
            Self::List { places, .. } | Self::Map { places, .. } => places.push_null(),
            Self::Record { columns, nulls, .. } | Self::Union { columns, nulls, .. } => {
                for column in columns {
                    column.values.push_null();
                }
                nulls.append_null();
            }
        }
    }

    fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Nothing(values) | Self::Present(values) | Self::Boolean(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Long(values) => Arc::new(values.finish()),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
            Self::Bytes(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
            Self::Fixed { values, .. } => Arc::new(values.finish()),
            Self::Enum { symbols, values } => {
                let symbols = Arc::clone(symbols);
                Arc::new(DictionaryArray::<Int32Type>::try_new(values.finish(), symbols)?)
            }
            Self::Decimal { precision, scale, values, .. } => {
                let DataType::Decimal128(precision, scale) = decimal_type(*precision, *scale)? else {
                    return Err(ArrowError::SchemaError("a decimal is a decimal".to_owned()));
                };
                Arc::new(values.finish().with_precision_and_scale(precision, scale)?)
            }
            Self::Date(values) => Arc::new(values.finish()),
            Self::TimeMillis(values) => Arc::new(values.finish()),
            Self::TimeMicros(values) => Arc::new(values.finish()),
            Self::Micros { values, .. } => Arc::new(values.finish()),
            Self::Nanos(values) => Arc::new(values.finish()),
            Self::List { field, items, places, .. } => {
                let (offsets, nulls) = places.finish();
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, items.finish()?, nulls)?)
            }
            Self::Map { field, keys, values, places } => {
                let DataType::Struct(fields) = field.data_type() else {
                    return Err(ArrowError::SchemaError("a map has entries".to_owned()));
                };
                let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), values.finish()?];
                let entries = StructArray::try_new(fields.clone(), columns, None)?;
                let (offsets, nulls) = places.finish();
                Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, false)?)
            }
            Self::Record { fields, columns, nulls } | Self::Union { fields, columns, nulls, .. } => {
                let columns = columns.iter_mut().map(Cells::finish).collect::<Result<_, _>>()?;
                Arc::new(StructArray::try_new(fields.clone(), columns, nulls.finish())?)
            }
        })
    }
}

/// Read the items of an array or a map; how many there were.
fn each<'d>(
    weightless: bool,
    cursor: &mut Cursor<'d>,
    mut read: impl FnMut(&mut Cursor<'d>) -> Result<(), Misfit>,
) -> Result<usize, Misfit> {
    let mut items = 0;
    loop {
        let count = cursor.block(weightless)?;
        if count == 0 {
            return Ok(items);
        }
        for _ in 0..count {
            read(cursor)?;
        }
        items += count;
    }
}

/// Whether a value can be without a byte.
fn may_be_empty(column: &Column) -> bool {
    column.null_branch.is_none()
        && match &column.kind {
            ColumnType::Nothing | ColumnType::Present => true,
            ColumnType::Record(columns) => columns.iter().all(may_be_empty),
            _ => false,
        }
}

/// A number from its bytes, the highest first.
fn decimal(bytes: &[u8], precision: usize) -> Result<i128, Misfit> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    // Leading bytes may repeat the sign.
    let (leading, digits) = bytes.split_at(bytes.len().saturating_sub(16));
    let mut number = [sign; 16];
    number[16 - digits.len()..].copy_from_slice(digits);
    let number = i128::from_be_bytes(number);
    let limit = u32::try_from(precision).ok().and_then(|precision| 10_u128.checked_pow(precision));
    let fits = leading.iter().all(|byte| *byte == sign)
        && (number < 0) == negative
        && limit.is_none_or(|limit| number.unsigned_abs() < limit);
    if fits { Ok(number) } else { Err(Misfit(format!("it has more than {precision} digits"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_from_any_number_of_bytes() {
        for (bytes, number) in [
            (&[][..], 0),
            (&[0x05], 5),
            (&[0xff], -1),
            (&[0x80], -128),
            (&[0x00, 0x80], 128),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], 7),
            (&[0xff; 20], -1),
        ] {
            assert_eq!(decimal(bytes, 9).unwrap(), number, "{bytes:?}");
        }
    }

    #[test]
    fn a_time_that_is_out_of_range_is_refused_and_not_shown() {
        let mut times = Values::of(&ColumnType::Timestamp { unit: TimeUnit::Millis, utc: true }).unwrap();
        // The largest number of 64 bits.
        let datum = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        let Misfit(reason) = times.read(&mut Cursor::new(&datum)).unwrap_err();
        assert!(reason.contains("out of range") && !reason.contains(&i64::MAX.to_string()), "{reason}");
    }

    #[test]
    fn a_decimal_with_too_many_digits_is_refused() {
        assert_eq!(decimal(&[0x03, 0xe7], 3).unwrap(), 999);
        assert_eq!(decimal(&[0xfc, 0x19], 3).unwrap(), -999);
        for bytes in [&[0x03, 0xe8][..], &[0xfc, 0x18], &[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
            assert!(decimal(bytes, 3).is_err(), "{bytes:?}");
        }
        // Sixteen bytes that have the other sign than the whole.
        let mut bytes = [0xff; 17];
        bytes[1] = 0;
        assert!(decimal(&bytes, 38).is_err());
    }
}
