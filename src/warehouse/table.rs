//! An event's table: the columns its payload becomes, whoever writes or reads them.
#![cfg_attr(
    not(feature = "parquet"),
    allow(dead_code, unreachable_pub, reason = "how to read a datum is for the sink")
)]

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, Name, NamesRef, RecordSchema, ResolvedSchema, UuidSchema};

use super::columns;
use crate::schema::SchemaError;
use crate::schema::contract::Contract;

/// How many columns a table may have, those within columns included: records within records could otherwise make two to the 64th.
const MAX_COLUMNS: usize = 4_096;

/// How deep columns may nest.
const MAX_DEPTH: usize = 64;

/// The most digits a decimal column has; a decimal with more is kept as its bytes.
pub(crate) const MAX_DIGITS: usize = 38;

/// Why an event has no table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The schema is no schema.
    #[error("the schema of {event} cannot be used")]
    Schema {
        /// The event.
        event: String,
        /// Why.
        #[source]
        source: SchemaError,
    },
    /// A record holds records of its own kind, so that its depth is not known.
    #[error(
        "{event} cannot be a table: its field `{field}` nests records of its own kind, {record}, and a column has a fixed \
         depth; carry the inner ones as text"
    )]
    Recursive {
        /// The event.
        event: String,
        /// The field, from the payload down.
        field: String,
        /// The record.
        record: String,
    },
    /// The schema has too many fields.
    #[error("{event} cannot be a table: it has more than {max} columns, or they nest deeper than {depth} levels")]
    TooLarge {
        /// The event.
        event: String,
        /// The columns allowed.
        max: usize,
        /// The levels allowed.
        depth: usize,
    },
}

/// What the payload of an event becomes.
#[derive(Debug)]
pub(crate) struct Table {
    /// The payload's fields, in their order.
    pub(crate) columns: Vec<Column>,
}

/// A field, an item or a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name in the table.
    pub(crate) name: String,
    /// Its name in the schema.
    #[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "for those who write it down"))]
    pub(crate) field: String,
    pub(crate) kind: ColumnType,
    /// Where it is a union of null and one other type: null's place in it.
    pub(crate) null_branch: Option<usize>,
    /// Whether it can be without a value.
    pub(crate) nullable: bool,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnType {
    /// Never a value.
    Nothing,
    /// A record without fields, or bytes without one: that there is one.
    Present,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Uuid,
    Fixed(usize),
    Enum(Vec<String>),
    /// `size`: the bytes of a fixed one.
    Decimal {
        precision: usize,
        scale: usize,
        size: Option<usize>,
    },
    Date,
    TimeMillis,
    TimeMicros,
    /// `utc`: an instant, and not a time on somebody's wall.
    Timestamp {
        unit: TimeUnit,
        utc: bool,
    },
    List(Box<Column>),
    Map(Box<Column>),
    Record(Vec<Column>),
    /// Of several types: a column for each, of which one has a value. `branches`: the column of each type in the schema.
    Union {
        columns: Vec<Column>,
        branches: Vec<Option<usize>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Millis,
    Micros,
    Nanos,
}

impl Table {
    /// The table of the event with `schema`.
    pub(crate) fn of(event: &str, schema: &str) -> Result<Self, TableError> {
        let contract = Contract::parse(schema).map_err(|source| TableError::Schema { event: event.into(), source })?;
        let resolved = ResolvedSchema::new(contract.schema()).map_err(|error| TableError::Schema {
            event: event.into(),
            source: SchemaError::Invalid(Box::new(error)),
        })?;
        let mut builder =
            Builder { event, names: resolved.get_names(), records: Vec::new(), path: Vec::new(), left: MAX_COLUMNS };
        let columns = match contract.schema() {
            Schema::Record(record) => builder.fields(record, true)?,
            // A contract is a record.
            _ => Vec::new(),
        };
        Ok(Self { columns })
    }

    /// The payload's fields that go by another name in the table, and why.
    #[cfg(feature = "cli")]
    pub(crate) fn renamed(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.name != column.field)
    }
}

struct Builder<'s> {
    event: &'s str,
    names: &'s NamesRef<'s>,
    /// The records around the place.
    records: Vec<&'s Name>,
    /// The fields down to the place.
    path: Vec<String>,
    left: usize,
}

impl<'s> Builder<'s> {
    fn fields(&mut self, record: &'s RecordSchema, top: bool) -> Result<Vec<Column>, TableError> {
        if self.records.contains(&&record.name) {
            return Err(TableError::Recursive {
                event: self.event.to_owned(),
                field: self.path.join("."),
                record: record.name.fullname(None),
            });
        }
        self.records.push(&record.name);
        let mut columns: Vec<Column> = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            self.path.push(field.name.clone());
            let name = free_name(&field.name, top, &columns);
            columns.push(self.column(name, &field.name, &field.schema)?);
            self.path.pop();
        }
        self.records.pop();
        Ok(columns)
    }

    fn column(&mut self, name: String, field: &str, schema: &'s Schema) -> Result<Column, TableError> {
        let deep = self.path.len() + self.records.len() > 2 * MAX_DEPTH;
        self.left = self.left.checked_sub(1).filter(|_| !deep).ok_or_else(|| TableError::TooLarge {
            event: self.event.to_owned(),
            max: MAX_COLUMNS,
            depth: MAX_DEPTH,
        })?;
        let schema = self.definition(schema);
        if let Schema::Union(union) = schema
            && let [first, second] = union.variants()
            && let Some((null_branch, value)) = match (first, second) {
                (Schema::Null, value) => Some((0, value)),
                (value, Schema::Null) => Some((1, value)),
                _ => None,
            }
        {
            let kind = self.kind(self.definition(value))?;
            return Ok(Column { name, field: field.to_owned(), kind, null_branch: Some(null_branch), nullable: true });
        }
        let kind = self.kind(schema)?;
        let nullable = match &kind {
            ColumnType::Nothing => true,
            ColumnType::Union { branches, .. } => branches.contains(&None),
            _ => false,
        };
        Ok(Column { name, field: field.to_owned(), kind, null_branch: None, nullable })
    }

    fn definition(&self, schema: &'s Schema) -> &'s Schema {
        match schema {
            Schema::Ref { name } => self.names.get(name).copied().unwrap_or(schema),
            schema => schema,
        }
    }

    fn kind(&mut self, schema: &'s Schema) -> Result<ColumnType, TableError> {
        let timestamp = |unit, utc| ColumnType::Timestamp { unit, utc };
        Ok(match schema {
            // A parsed schema refers to what it defines.
            Schema::Null | Schema::Ref { .. } => ColumnType::Nothing,
            Schema::Boolean => ColumnType::Boolean,
            Schema::Int => ColumnType::Int,
            Schema::Long => ColumnType::Long,
            Schema::Float => ColumnType::Float,
            Schema::Double => ColumnType::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => ColumnType::Bytes,
            Schema::String => ColumnType::Text,
            Schema::Uuid(UuidSchema::String) => ColumnType::Uuid,
            Schema::Fixed(fixed) | Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Duration(fixed) => {
                if fixed.size == 0 { ColumnType::Present } else { ColumnType::Fixed(fixed.size) }
            }
            Schema::Enum(symbols) => ColumnType::Enum(symbols.symbols.clone()),
            Schema::Decimal(decimal) => {
                let size = match &decimal.inner {
                    InnerDecimalSchema::Bytes => None,
                    InnerDecimalSchema::Fixed(fixed) => Some(fixed.size),
                };
                match (decimal.precision <= MAX_DIGITS, size) {
                    (true, size) => ColumnType::Decimal { precision: decimal.precision, scale: decimal.scale, size },
                    (false, Some(size)) => ColumnType::Fixed(size),
                    (false, None) => ColumnType::Bytes,
                }
            }
            Schema::Date => ColumnType::Date,
            Schema::TimeMillis => ColumnType::TimeMillis,
            Schema::TimeMicros => ColumnType::TimeMicros,
            Schema::TimestampMillis => timestamp(TimeUnit::Millis, true),
            Schema::TimestampMicros => timestamp(TimeUnit::Micros, true),
            Schema::TimestampNanos => timestamp(TimeUnit::Nanos, true),
            Schema::LocalTimestampMillis => timestamp(TimeUnit::Millis, false),
            Schema::LocalTimestampMicros => timestamp(TimeUnit::Micros, false),
            Schema::LocalTimestampNanos => timestamp(TimeUnit::Nanos, false),
            Schema::Array(array) => ColumnType::List(Box::new(self.within("element", &array.items)?)),
            Schema::Map(map) => ColumnType::Map(Box::new(self.within("value", &map.types)?)),
            Schema::Record(record) => {
                let columns = self.fields(record, false)?;
                if columns.is_empty() { ColumnType::Present } else { ColumnType::Record(columns) }
            }
            Schema::Union(union) => self.union(union.variants())?,
        })
    }

    fn within(&mut self, name: &str, schema: &'s Schema) -> Result<Column, TableError> {
        self.path.push(name.to_owned());
        let column = self.column(name.to_owned(), name, schema)?;
        self.path.pop();
        Ok(column)
    }

    fn union(&mut self, variants: &'s [Schema]) -> Result<ColumnType, TableError> {
        let (mut columns, mut branches): (Vec<Column>, _) = (Vec::new(), Vec::with_capacity(variants.len()));
        for variant in variants {
            if matches!(variant, Schema::Null) {
                branches.push(None);
                continue;
            }
            let full = crate::schema::branch_name(self.definition(variant));
            let short = full.rsplit('.').next().unwrap_or(&full);
            let column = Column { nullable: true, ..self.column(free_name(short, false, &columns), &full, variant)? };
            branches.push(Some(columns.len()));
            columns.push(column);
        }
        Ok(if columns.is_empty() { ColumnType::Nothing } else { ColumnType::Union { columns, branches } })
    }
}

/// The name of a column behind `columns`: the field's own, unless it is taken.
fn free_name(field: &str, top: bool, columns: &[Column]) -> String {
    let mut name = field.to_owned();
    if top && columns::reserved().any(|reserved| reserved.eq_ignore_ascii_case(field)) {
        name = format!("payload_{field}");
    }
    let taken = |name: &str| columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    if !taken(&name) {
        return name;
    }
    // One of the first numbers is free: there are more than columns.
    (2..=columns.len() + 2).map(|number| format!("{name}_{number}")).find(|name| !taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(fields: &str) -> Result<Table, TableError> {
        Table::of("a.B", &format!(r#"{{"type": "record", "name": "B", "namespace": "a", "fields": [{fields}]}}"#))
    }

    fn names(table: &Table) -> Vec<&str> {
        table.columns.iter().map(|column| column.name.as_str()).collect()
    }

    #[test]
    fn a_field_with_the_name_of_a_column_of_the_pipelines_is_the_payloads() {
        let table = table(
            r#"{"name": "source", "type": "string"}, {"name": "Day", "type": "int"}, {"name": "user_id", "type": "long"},
               {"name": "payload_source", "type": "string"}"#,
        );
        assert_eq!(names(&table.unwrap()), ["payload_source", "payload_Day", "user_id", "payload_source_2"]);
    }

    #[test]
    fn names_that_differ_in_case_alone_are_told_apart() {
        let table = table(
            r#"{"name": "id", "type": "int"}, {"name": "ID", "type": "int"}, {"name": "Id", "type": "int"},
               {"name": "inner", "type": {"type": "record", "name": "I", "fields": [
                   {"name": "source", "type": "int"}, {"name": "Source", "type": "int"}]}}"#,
        )
        .unwrap();
        assert_eq!(names(&table), ["id", "ID_2", "Id_3", "inner"]);
        let ColumnType::Record(inner) = &table.columns[3].kind else { panic!("{table:?}") };
        assert_eq!(inner.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["source", "Source_2"]);
    }

    #[test]
    fn a_record_within_its_own_kind_has_no_column() {
        let nested = r#"{"name": "root", "type": {"type": "record", "name": "Node", "fields": [
            {"name": "children", "type": {"type": "array", "items": "Node"}}]}}"#;
        let error = table(nested).unwrap_err().to_string();
        assert!(error.contains("`root.children.element` nests records of its own kind, a.Node"), "{error}");
    }

    #[test]
    fn records_that_double_at_every_level_are_refused() {
        let mut schema = r#"{"type": "record", "name": "R0", "fields": []}"#.to_owned();
        for level in 1..40 {
            let below = level - 1;
            schema = format!(
                r#"{{"type": "record", "name": "R{level}", "fields": [
                    {{"name": "a", "type": {schema}}}, {{"name": "b", "type": "R{below}"}}]}}"#
            );
        }
        assert!(matches!(Table::of("a.B", &schema), Err(TableError::TooLarge { .. })));
    }

    #[test]
    fn a_union_has_a_column_for_each_type() {
        let table =
            table(r#"{"name": "u", "type": ["null", "int", "string"]}, {"name": "n", "type": ["long", "null"]}"#);
        let table = table.unwrap();
        let ColumnType::Union { columns, branches } = &table.columns[0].kind else { panic!("{table:?}") };
        assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["int", "string"]);
        assert_eq!(branches, &[None, Some(0), Some(1)]);
        let nullable = &table.columns[1];
        assert_eq!((&nullable.kind, nullable.null_branch, nullable.nullable), (&ColumnType::Long, Some(1), true));
    }
}
