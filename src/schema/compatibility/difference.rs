//! What differs between two versions of a schema, field by field.

use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};
use serde::Serialize;

use crate::schema::SchemaError;
use crate::schema::contract::{Contract, describe};
use crate::schema::plan::sources;

/// A difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// A field that is new.
    Added {
        /// The field, as in `home.street`.
        field: String,
        /// Its type.
        r#type: String,
        /// Its default, as JSON.
        default: Option<String>,
    },
    /// A field that is gone.
    Removed {
        /// The field.
        field: String,
        /// Its type.
        r#type: String,
    },
    /// A field that has another name, and its former one as an alias.
    Renamed {
        /// The field.
        field: String,
        /// Its former name.
        from: String,
    },
    /// Something of a field, or of the record, that has another value.
    Changed {
        /// The field; empty for the record itself.
        field: String,
        /// What: `type`, `default`, `doc`, `symbols`, or a property's name.
        what: String,
        /// Its former value.
        from: String,
        /// Its present value.
        to: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added { field, r#type, default: Some(default) } => {
                write!(formatter, "+ {field}: {type}, {default} by default")
            }
            Self::Added { field, r#type, default: None } => write!(formatter, "+ {field}: {type}, without a default"),
            Self::Removed { field, r#type } => write!(formatter, "- {field}: {type}"),
            Self::Renamed { field, from } => write!(formatter, "~ {field}: it was {from}"),
            Self::Changed { field, what, from, to } => {
                let field = if field.is_empty() { "the record" } else { field };
                write!(formatter, "~ {field}: {what} was {from} and is {to}")
            }
        }
    }
}

/// What differs from `old` to `new`, in the order of the fields.
///
/// # Errors
/// One of the two is no schema of a record.
pub fn differences(old: &str, new: &str) -> Result<Vec<Difference>, SchemaError> {
    let (old, new) = (Contract::parse(old)?, Contract::parse(new)?);
    let mut comparison = Comparison { found: Vec::new(), seen: Vec::new() };
    comparison.types("", old.schema(), new.schema());
    Ok(comparison.found)
}

struct Comparison {
    found: Vec<Difference>,
    /// Records compared before, by address: recursive types come back to them.
    seen: Vec<(*const RecordSchema, *const RecordSchema)>,
}

impl Comparison {
    fn changed(&mut self, field: &str, what: &str, from: String, to: String) {
        if from != to {
            self.found.push(Difference::Changed { field: field.to_owned(), what: what.to_owned(), from, to });
        }
    }

    fn types(&mut self, at: &str, old: &Schema, new: &Schema) {
        match (old, new) {
            (Schema::Record(old), Schema::Record(new)) => self.records(at, old, new),
            (Schema::Array(old), Schema::Array(new)) => self.types(&format!("{at}[]"), &old.items, &new.items),
            (Schema::Map(old), Schema::Map(new)) => self.types(&format!("{at}{{}}"), &old.types, &new.types),
            (Schema::Union(before), Schema::Union(after)) if before.variants().len() == after.variants().len() => {
                self.changed(at, "type", describe(old), describe(new));
                before.variants().iter().zip(after.variants()).for_each(|(old, new)| self.parts(at, old, new));
            }
            (Schema::Enum(before), Schema::Enum(after)) => {
                self.changed(at, "name", before.name.fullname(None), after.name.fullname(None));
                self.changed(at, "symbols", before.symbols.join(", "), after.symbols.join(", "));
                self.changed(at, "default", shown(before.default.as_ref()), shown(after.default.as_ref()));
            }
            _ => self.changed(at, "type", describe(old), describe(new)),
        }
    }

    /// Within a union, whose branches were described already.
    fn parts(&mut self, at: &str, old: &Schema, new: &Schema) {
        if std::mem::discriminant(old) == std::mem::discriminant(new) && describe(old) == describe(new) {
            self.types(at, old, new);
        }
    }

    fn records(&mut self, at: &str, old: &RecordSchema, new: &RecordSchema) {
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        if self.seen.contains(&pair) {
            return;
        }
        self.seen.push(pair);
        self.changed(at, "name", old.name.fullname(None), new.name.fullname(None));
        self.changed(at, "doc", shown(old.doc.as_ref()), shown(new.doc.as_ref()));
        self.properties(at, &old.attributes, &new.attributes);
        let path = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
        let mut kept = Vec::new();
        for (field, source) in new.fields.iter().zip(sources(old, new)) {
            let field_path = path(&field.name);
            match source {
                Some(index) => {
                    kept.push(index);
                    self.fields(&field_path, &old.fields[index], field);
                }
                None => self.found.push(Difference::Added {
                    field: field_path,
                    r#type: describe(&field.schema),
                    default: field.default.as_ref().map(ToString::to_string),
                }),
            }
        }
        for (index, field) in old.fields.iter().enumerate() {
            if !kept.contains(&index) {
                self.found.push(Difference::Removed { field: path(&field.name), r#type: describe(&field.schema) });
            }
        }
    }

    fn fields(&mut self, at: &str, old: &RecordField, new: &RecordField) {
        if old.name != new.name {
            self.found.push(Difference::Renamed { field: at.to_owned(), from: old.name.clone() });
        }
        self.types(at, &old.schema, &new.schema);
        self.changed(at, "default", shown(old.default.as_ref()), shown(new.default.as_ref()));
        self.changed(at, "doc", shown(old.doc.as_ref()), shown(new.doc.as_ref()));
        self.properties(at, &old.custom_attributes, &new.custom_attributes);
    }

    fn properties<'s>(
        &mut self,
        at: &str,
        old: &'s std::collections::BTreeMap<String, serde_json::Value>,
        new: &'s std::collections::BTreeMap<String, serde_json::Value>,
    ) {
        let mut names: Vec<&'s String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            self.changed(at, name, shown(old.get(name)), shown(new.get(name)));
        }
    }
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "not there".to_owned(), ToString::to_string)
}
