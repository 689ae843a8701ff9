//! An Avro schema that has been read and checked: the contract of an event.

use std::fmt;
use std::sync::Arc;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;

use super::parsing;

/// An Avro schema, parsed once.
pub(crate) struct Contract {
    text: Box<str>,
    schema: Schema,
    name: Arc<str>,
    fingerprint: u64,
}

/// A text that is no Avro schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The text does not follow the Avro specification.
    #[error("the Avro schema is not valid")]
    Invalid(#[source] Box<apache_avro::Error>),
    /// The text is too long, or too deep, to be read safely.
    #[error(
        "the Avro schema is too large: it has {bytes} bytes and {depth} levels with all it refers to; {max_bytes} and \
         {max_depth} are allowed"
    )]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// How deep its JSON nests, each schema's depth added up.
        depth: usize,
        /// The bytes allowed.
        max_bytes: usize,
        /// The levels allowed.
        max_depth: usize,
    },
    /// A name is too long: whoever refers to it, however often, has a copy.
    #[error("the Avro schema has a name of {bytes} bytes; {max_bytes} are allowed")]
    LongName {
        /// Its length.
        bytes: usize,
        /// The bytes allowed.
        max_bytes: usize,
    },
    /// The schema nests deep, and the system has no thread to parse it on.
    #[error("the Avro schema nests deep, and no thread can be started to parse it")]
    NoStack(#[source] Arc<std::io::Error>),
    /// A payload is a record, so that fields can be added later.
    #[error("the Avro schema is {found}, and a payload must be a record")]
    NotARecord {
        /// What the schema is instead.
        found: String,
    },
}

impl Contract {
    /// Read a schema that stands alone.
    pub(crate) fn parse(text: &str) -> Result<Self, SchemaError> {
        Self::parse_with_references(text, &[])
    }

    /// Read a schema that names types which other schemas define.
    pub(crate) fn parse_with_references(text: &str, references: &[String]) -> Result<Self, SchemaError> {
        parsing::on_a_stack_for(text, references, || {
            parsing::check_names(text, references)?;
            Self::of(text, parsing::parse(text, references).map_err(invalid)?)
        })
    }

    fn of(text: &str, schema: Schema) -> Result<Self, SchemaError> {
        let Schema::Record(record) = &schema else {
            return Err(SchemaError::NotARecord { found: describe(&schema) });
        };
        let name = record.name.fullname(None).into();
        let digest = schema.fingerprint::<Rabin>().bytes;
        let fingerprint = digest.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Ok(Self { text: text.into(), schema, name, fingerprint })
    }

    /// The schema as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The parsed schema.
    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The record's full name, with its namespace.
    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The CRC-64-AVRO fingerprint of the canonical form: equal for schemas whose data look alike.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

fn invalid(source: apache_avro::Error) -> SchemaError {
    SchemaError::Invalid(Box::new(source))
}

impl fmt::Debug for Contract {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Contract({}, {:016x})", self.name, self.fingerprint)
    }
}

/// A type in the words of the Avro specification: `long`, `record Address`, `null or string`.
pub(super) fn describe(schema: &Schema) -> String {
    use apache_avro::schema::UuidSchema;
    match schema {
        Schema::Null => "null".into(),
        Schema::Boolean => "boolean".into(),
        Schema::Int => "int".into(),
        Schema::Long => "long".into(),
        Schema::Float => "float".into(),
        Schema::Double => "double".into(),
        Schema::Bytes => "bytes".into(),
        Schema::String => "string".into(),
        Schema::Array(array) => format!("array of {}", describe(&array.items)),
        Schema::Map(map) => format!("map of {}", describe(&map.types)),
        Schema::Union(union) => union.variants().iter().map(describe).collect::<Vec<_>>().join(" or "),
        Schema::Record(record) => format!("record {}", record.name.name()),
        Schema::Enum(symbols) => format!("enum {}", symbols.name.name()),
        Schema::Fixed(fixed) => format!("fixed {} of {} bytes", fixed.name.name(), fixed.size),
        Schema::Decimal(decimal) => format!("decimal({}, {})", decimal.precision, decimal.scale),
        Schema::BigDecimal => "big-decimal".into(),
        Schema::Uuid(UuidSchema::String) => "uuid (string)".into(),
        Schema::Uuid(UuidSchema::Bytes) => "uuid (bytes)".into(),
        Schema::Uuid(UuidSchema::Fixed(_)) => "uuid (fixed)".into(),
        Schema::Date => "date".into(),
        Schema::TimeMillis => "time-millis".into(),
        Schema::TimeMicros => "time-micros".into(),
        Schema::TimestampMillis => "timestamp-millis".into(),
        Schema::TimestampMicros => "timestamp-micros".into(),
        Schema::TimestampNanos => "timestamp-nanos".into(),
        Schema::LocalTimestampMillis => "local-timestamp-millis".into(),
        Schema::LocalTimestampMicros => "local-timestamp-micros".into(),
        Schema::LocalTimestampNanos => "local-timestamp-nanos".into(),
        Schema::Duration(_) => "duration".into(),
        Schema::Ref { name } => name.name().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str =
        r#"{"type":"record","name":"Address","namespace":"common","fields":[{"name":"city","type":"string"}]}"#;
    const PERSON: &str = r#"{"type":"record","name":"Person","namespace":"accounts","fields":[
        {"name":"home","type":"common.Address"},{"name":"work","type":["null","common.Address"],"default":null}]}"#;

    #[test]
    fn a_record_has_a_full_name_and_a_fingerprint_that_ignores_documentation() {
        let plain = Contract::parse(r#"{"type":"record","name":"foo","fields":[{"name":"a","type":"int"}]}"#).unwrap();
        let wordy = Contract::parse(
            r#"{"doc":"x","fields":[{"type":"int","name":"a","doc":"y"}],"name":"foo","type":"record"}"#,
        )
        .unwrap();
        assert_eq!((&**plain.name(), plain.fingerprint()), ("foo", wordy.fingerprint()));
    }

    #[test]
    fn references_are_written_into_the_schema() {
        let person = Contract::parse_with_references(PERSON, &[ADDRESS.to_owned()]).unwrap();
        assert_eq!(&**person.name(), "accounts.Person");
        assert!(Contract::parse(&person.schema().canonical_form()).is_ok());
    }

    #[test]
    fn a_missing_reference_a_scalar_and_nonsense_are_errors() {
        assert!(matches!(Contract::parse(PERSON), Err(SchemaError::Invalid(_))));
        assert_eq!(
            Contract::parse(r#"["null","long"]"#).unwrap_err().to_string(),
            "the Avro schema is null or long, and a payload must be a record"
        );
        assert!(matches!(Contract::parse("nonsense"), Err(SchemaError::Invalid(_))));
    }
}
