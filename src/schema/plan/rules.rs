//! What Avro's rules say of two types, whatever is within them.

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, FixedSchema, RecordSchema};
use rustc_hash::FxHashMap;

use super::Number;
use super::mismatch::{Mismatch, mismatch};

/// Where the writer's record has each of the reader's fields: by its name, else by an alias. A written field is read once:
/// the name goes before aliases, and the first alias before others.
pub(in crate::schema) fn sources(written: &RecordSchema, read: &RecordSchema) -> Vec<Option<usize>> {
    let mut unclaimed: FxHashMap<&str, usize> =
        written.fields.iter().enumerate().map(|(position, field)| (field.name.as_str(), position)).collect();
    let mut sources: Vec<Option<usize>> =
        read.fields.iter().map(|field| unclaimed.remove(field.name.as_str())).collect();
    for (field, source) in read.fields.iter().zip(&mut sources) {
        if source.is_none() {
            *source = field.aliases.iter().find_map(|alias| unclaimed.remove(alias.as_str()));
        }
    }
    sources
}

/// Whether both count in the same unit, where both say in which.
pub(in crate::schema) fn same_unit(writer: &Schema, reader: &Schema) -> bool {
    match (unit(writer), unit(reader)) {
        (Some(written), Some(read)) => written == read,
        _ => true,
    }
}

/// The unit a number counts, where its logical type says so. Avro lets a reader take milliseconds for microseconds; we do not.
fn unit(schema: &Schema) -> Option<&'static str> {
    match schema {
        Schema::Date => Some("days"),
        Schema::TimeMillis | Schema::TimestampMillis | Schema::LocalTimestampMillis => Some("milliseconds"),
        Schema::TimeMicros | Schema::TimestampMicros | Schema::LocalTimestampMicros => Some("microseconds"),
        Schema::TimestampNanos | Schema::LocalTimestampNanos => Some("nanoseconds"),
        _ => None,
    }
}

pub(in crate::schema) fn promotes(written: Number, read: Number) -> bool {
    match written {
        Number::Int => true,
        Number::Long => read != Number::Int,
        Number::Float => matches!(read, Number::Float | Number::Double),
        Number::Double => read == Number::Double,
    }
}

pub(in crate::schema) fn same_decimal(writer: &Schema, reader: &Schema) -> Result<(), Mismatch> {
    match (writer, reader) {
        (Schema::Decimal(written), Schema::Decimal(read))
            if (written.precision, written.scale) != (read.precision, read.scale) =>
        {
            Err(mismatch(writer, reader))
        }
        _ => Ok(()),
    }
}

pub(in crate::schema) fn same_fixed_name(written: &FixedSchema, read: &FixedSchema) -> bool {
    written.name.name() == read.name.name()
        || read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name())
}

pub(in crate::schema) fn same_enum_name(written: &EnumSchema, read: &EnumSchema) -> bool {
    written.name.name() == read.name.name()
        || read.aliases.iter().flatten().any(|alias| alias.name() == written.name.name())
}
