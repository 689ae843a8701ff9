//! What a type is in bytes, and what a union calls it.

use apache_avro::Schema;
use apache_avro::schema::{EnumSchema, FixedSchema, InnerDecimalSchema, Name, RecordSchema, UnionSchema, UuidSchema};

use super::Number;
use crate::schema::contract::describe;

/// What a type is in bytes, its logical type set aside.
pub(in crate::schema) enum Base<'s> {
    Null,
    Boolean,
    Number(Number),
    Bytes,
    Text,
    Fixed(&'s FixedSchema),
    Enum(&'s EnumSchema),
    Array(&'s Schema),
    Map(&'s Schema),
    Union(&'s UnionSchema),
    Record(&'s RecordSchema),
    /// A name, where a definition was wanted.
    Name,
}

pub(in crate::schema) fn base(schema: &Schema) -> Base<'_> {
    match schema {
        Schema::Null => Base::Null,
        Schema::Boolean => Base::Boolean,
        Schema::Int | Schema::Date | Schema::TimeMillis => Base::Number(Number::Int),
        Schema::Long
        | Schema::TimeMicros
        | Schema::TimestampMillis
        | Schema::TimestampMicros
        | Schema::TimestampNanos
        | Schema::LocalTimestampMillis
        | Schema::LocalTimestampMicros
        | Schema::LocalTimestampNanos => Base::Number(Number::Long),
        Schema::Float => Base::Number(Number::Float),
        Schema::Double => Base::Number(Number::Double),
        Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Base::Bytes,
        Schema::String | Schema::Uuid(UuidSchema::String) => Base::Text,
        Schema::Fixed(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Duration(fixed) => Base::Fixed(fixed),
        Schema::Decimal(decimal) => match &decimal.inner {
            InnerDecimalSchema::Bytes => Base::Bytes,
            InnerDecimalSchema::Fixed(fixed) => Base::Fixed(fixed),
        },
        Schema::Enum(symbols) => Base::Enum(symbols),
        Schema::Array(array) => Base::Array(&array.items),
        Schema::Map(map) => Base::Map(&map.types),
        Schema::Union(union) => Base::Union(union),
        Schema::Record(record) => Base::Record(record),
        Schema::Ref { .. } => Base::Name,
    }
}

/// The name of a type within a union: its full name, or its Avro type.
pub(crate) fn branch_name(schema: &Schema) -> String {
    match base(schema) {
        Base::Null => "null".into(),
        Base::Boolean => "boolean".into(),
        Base::Number(Number::Int) => "int".into(),
        Base::Number(Number::Long) => "long".into(),
        Base::Number(Number::Float) => "float".into(),
        Base::Number(Number::Double) => "double".into(),
        Base::Bytes => "bytes".into(),
        Base::Text => "string".into(),
        Base::Array(_) => "array".into(),
        Base::Map(_) => "map".into(),
        Base::Fixed(fixed) => fixed.name.fullname(None),
        Base::Enum(symbols) => symbols.name.fullname(None),
        Base::Record(record) => record.name.fullname(None),
        // A union holds no union, and names are looked up first.
        Base::Union(_) | Base::Name => describe(schema),
    }
}

/// Whether two types have the same name within a union. Copies no name: it may be long, and is asked for again and again.
pub(super) fn same_branch_name(one: &Schema, other: &Schema) -> bool {
    match (name(one), name(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => branch_name(one) == branch_name(other),
        _ => false,
    }
}

/// Whether a type has this name within a union; copies none.
pub(in crate::schema) fn has_branch_name(schema: &Schema, wanted: &str) -> bool {
    let Some(name) = name(schema) else { return branch_name(schema) == wanted };
    let namespace = wanted.strip_suffix(name.name());
    match name.namespace() {
        Some(own) => namespace.and_then(|namespace| namespace.strip_suffix('.')) == Some(own),
        None => namespace == Some(""),
    }
}

fn name(schema: &Schema) -> Option<&Name> {
    match base(schema) {
        Base::Fixed(fixed) => Some(&fixed.name),
        Base::Enum(symbols) => Some(&symbols.name),
        Base::Record(record) => Some(&record.name),
        _ => None,
    }
}
