//! A place within a schema, and the names that hold there.

use apache_avro::Schema;

use super::{Mismatch, Names};

/// A place within a schema.
#[derive(Clone, Copy)]
pub(in crate::schema) struct Located<'s> {
    /// The type there; may be a name.
    pub(in crate::schema) schema: &'s Schema,
    /// The named types it may refer to.
    names: &'s Names<'s>,
    /// How many types are around it.
    depth: usize,
}

impl<'s> Located<'s> {
    /// The whole schema.
    pub(in crate::schema) fn root(schema: &'s Schema, names: &'s Names<'s>) -> Self {
        Self { schema, names, depth: 0 }
    }

    /// A type within this one.
    pub(in crate::schema) fn part(self, schema: &'s Schema) -> Self {
        Self { schema, depth: self.depth + 1, ..self }
    }

    /// How many types are around it.
    pub(in crate::schema) fn depth(self) -> usize {
        self.depth
    }

    /// The definition behind a name.
    pub(in crate::schema) fn definition(self) -> Result<Self, Mismatch> {
        match self.schema {
            Schema::Ref { name } => match self.names.get(name) {
                Some(schema) => Ok(Self { schema, ..self }),
                None => Err(Mismatch::new(format!("the type {} is not defined", name.fullname(None)))),
            },
            _ => Ok(self),
        }
    }
}
