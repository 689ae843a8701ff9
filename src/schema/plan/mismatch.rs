//! Why a reader cannot read what a writer wrote.

use std::fmt;

use apache_avro::Schema;

use crate::schema::contract::describe;

/// Why a reader cannot read what a writer wrote.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Mismatch {
    /// Field names, the innermost first.
    path: Vec<String>,
    reason: String,
}

impl Mismatch {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into() }
    }

    pub(super) fn within(mut self, field: &str) -> Self {
        self.path.push(field.to_owned());
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(formatter, "field `{}`: ", path.join("."))?;
        }
        formatter.write_str(&self.reason)
    }
}

/// The types do not go together.
pub(super) fn mismatch(writer: &Schema, reader: &Schema) -> Mismatch {
    Mismatch::new(format!("it was written as {} and cannot be read as {}", describe(writer), describe(reader)))
}
