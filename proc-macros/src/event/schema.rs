//! An Avro schema, as far as the payload rules need it.

use std::collections::BTreeMap;

/// A payload's schema: a record.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Where it was read: the path as the user wrote it.
    pub(crate) label: String,
    pub(crate) record: Record,
}

/// A record.
#[derive(Debug)]
pub(crate) struct Record {
    /// Namespace and name.
    pub(crate) full_name: String,
    pub(crate) doc: Option<String>,
    pub(crate) fields: Vec<Field>,
    /// What Avro does not know, such as `tidings.version`.
    pub(crate) properties: Properties,
    pub(crate) place: Place,
}

/// What a schema says beyond Avro.
pub(crate) type Properties = BTreeMap<String, serde_json::Value>;

/// A field of a record.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) doc: Option<String>,
    pub(crate) shape: Shape,
    pub(crate) default: Option<serde_json::Value>,
    /// What Avro does not know, such as `tidings.key`.
    pub(crate) properties: Properties,
    pub(crate) place: Place,
}

/// A type.
#[derive(Debug)]
pub(crate) enum Shape {
    Primitive {
        name: String,
        logical: Option<String>,
        /// Precision and scale.
        decimal: Option<(u64, u64)>,
    },
    Array(Box<Self>),
    Map(Box<Self>),
    Union(Vec<Self>),
    Enum {
        full_name: String,
        symbols: Vec<String>,
        default: Option<String>,
        doc: Option<String>,
        place: Place,
    },
    Fixed {
        full_name: String,
        size: u64,
        logical: Option<String>,
        /// Precision and scale.
        decimal: Option<(u64, u64)>,
    },
    Record(Record),
    /// A named type defined above.
    Reference(String),
}

/// A piece of the schema's text.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// The piece on one line, shortened.
    pub(crate) quoted: String,
}

/// What is wrong with a schema, and where.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) place: Place,
}

impl Schema {
    /// `file:line: piece`.
    pub(crate) fn quote(&self, place: &Place) -> String {
        quote(&self.label, place)
    }
}

/// `file:line: piece`.
pub(crate) fn quote(label: &str, place: &Place) -> String {
    format!("{label}:{}: {}", place.line, place.quoted)
}

impl Shape {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Primitive { name, .. } if name == "null")
    }

    /// The branches of a union that has a null among them.
    pub(crate) fn optional_branches(&self) -> Option<&[Self]> {
        match self {
            Self::Union(branches) if branches.iter().any(Self::is_null) => Some(branches),
            _ => None,
        }
    }

    /// The branches of a union besides null, where they are more than one: an enum has a variant for each.
    pub(crate) fn choices(&self) -> Option<Vec<&Self>> {
        let Self::Union(branches) = self else { return None };
        let choices: Vec<&Self> = branches.iter().filter(|branch| !branch.is_null()).collect();
        (choices.len() > 1).then_some(choices)
    }

    /// What one would write for it, in words.
    pub(crate) fn suggestion(&self) -> String {
        let Some(choices) = self.choices() else { return format!("`{}`", self.rust_type()) };
        let types: Vec<String> = choices.iter().map(|choice| choice.rust_type()).collect();
        let option = if self.optional_branches().is_some() { "an `Option` of " } else { "" };
        format!("{option}an enum with a variant for each of {}, in this order", types.join(", "))
    }

    /// What a union calls it: its full name, or its Avro type.
    pub(crate) fn branch_name(&self) -> &str {
        match self {
            Self::Primitive { name, .. } => name,
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Enum { full_name, .. } | Self::Fixed { full_name, .. } | Self::Reference(full_name) => full_name,
            Self::Record(record) => &record.full_name,
        }
    }

    /// The Rust type one would write for it, as a hint.
    pub(crate) fn rust_type(&self) -> String {
        match self {
            Self::Primitive { name, .. } => match name.as_str() {
                "null" => "()",
                "boolean" => "bool",
                "int" => "i32",
                "long" => "i64",
                "float" => "f32",
                "double" => "f64",
                "bytes" => "tidings::payload::Bytes",
                _ => "String",
            }
            .to_owned(),
            Self::Array(items) => format!("Vec<{}>", items.rust_type()),
            Self::Map(values) => format!("HashMap<String, {}>", values.rust_type()),
            Self::Union(branches) => match branches.as_slice() {
                [null, other] if null.is_null() => format!("Option<{}>", other.rust_type()),
                [other, null] if null.is_null() => format!("Option<{}>", other.rust_type()),
                _ => "…".to_owned(),
            },
            Self::Fixed { decimal: Some((_, scale)), logical: Some(logical), .. } if logical == "decimal" => {
                format!("tidings::payload::Decimal<{scale}>")
            }
            Self::Fixed { size, .. } => format!("tidings::payload::FixedBytes<{size}>"),
            Self::Enum { full_name, .. } | Self::Reference(full_name) => last_part(full_name).to_owned(),
            Self::Record(record) => last_part(&record.full_name).to_owned(),
        }
    }
}

/// A full name without its namespace.
pub(crate) fn last_part(full_name: &str) -> &str {
    full_name.rsplit('.').next().unwrap_or(full_name)
}
