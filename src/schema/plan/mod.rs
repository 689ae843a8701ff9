//! Decode plans: how a datum written with one schema is read with another.
//!
//! A plan is resolved once for a pair of schemas, by Avro's rules, and then read with as often as wanted: the fields that the
//! reader does not know are passed over, those it misses have their defaults ready as bytes, and numbers are promoted where
//! they stand. Reading allocates what the payload type needs and nothing else, whatever the bytes say.

mod base;
mod bounds;
mod cursor;
mod deserialize;
mod error;
mod json;
mod located;
mod mismatch;
mod resolve;
mod rules;
mod serialize;
mod skip;

use std::sync::Arc;

use apache_avro::schema::{NamesRef, ResolvedSchema};
use serde::Deserialize;

pub(crate) use self::base::branch_name;
pub(super) use self::base::{Base, base, has_branch_name};
pub(super) use self::bounds::Bounds;
pub(crate) use self::cursor::Cursor;
use self::deserialize::DatumDeserializer;
pub(crate) use self::error::DatumError;
pub(super) use self::located::Located;
pub(crate) use self::mismatch::Mismatch;
use self::resolve::Resolver;
pub(super) use self::rules::{promotes, same_decimal, same_enum_name, same_fixed_name, same_unit, sources};
use super::contract::Contract;

/// Where a node stands in its plan.
type NodeId = usize;

/// How a datum is read.
#[derive(Debug)]
pub(crate) struct Plan {
    nodes: Box<[Node]>,
    root: NodeId,
}

/// How one value is read.
#[derive(Debug)]
enum Node {
    Null,
    Boolean,
    Number {
        written: Number,
        read: Number,
    },
    /// Bytes with their length before them.
    Bytes,
    /// The same, read as text; Avro lets either be read as the other.
    Text,
    Fixed {
        size: usize,
        /// Whether it is a number, which fewer bytes can be as well.
        decimal: bool,
    },
    Enum {
        /// The same for all places of the enum.
        symbols: Arc<[Symbol]>,
    },
    /// `weightless`: an item can be without a byte.
    Array {
        items: NodeId,
        weightless: bool,
    },
    Map {
        values: NodeId,
    },
    /// A union as written.
    Union {
        branches: Box<[Branch]>,
        /// Whether what is read is a union of null and one other type, or none at all.
        nullable: bool,
        /// Where null is among the branches that are read.
        null: Option<u32>,
    },
    /// Not a union as written, and a union as read.
    Branch {
        index: u32,
        /// The branch's type as the reader's union names it.
        name: Box<str>,
        /// Whether the reader's union is of null and one other type.
        nullable: bool,
        /// Where null is in the reader's union.
        null: Option<u32>,
        value: NodeId,
    },
    Record(Record),
    /// Being resolved: no finished plan has one.
    Unresolved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Int,
    Long,
    Float,
    Double,
}

#[derive(Debug)]
enum Symbol {
    Known(Box<str>),
    /// The reader has no such symbol, and no default.
    Unknown(Box<str>),
}

#[derive(Debug)]
struct Branch {
    /// The branch's type as a union names it, the reader's where the reader has a union.
    name: Box<str>,
    /// The branch of the reader's union, where the reader has a union.
    read_as: Option<u32>,
    /// How its value is read, or why it cannot be.
    value: Result<NodeId, Box<str>>,
}

#[derive(Debug)]
struct Record {
    name: Box<str>,
    fields: Box<[Field]>,
    defaults: Box<[DefaultField]>,
    /// How many values without a byte it has itself: nulls and empty fixed ones, and the record where all of it is empty.
    empty_values: usize,
    /// Whether it only wraps the one value of a Rust enum's variant.
    wraps_variant: bool,
}

#[derive(Debug)]
struct Field {
    /// Its name in the reader's schema; `None` where the reader does not know it.
    name: Option<Box<str>>,
    value: NodeId,
}

/// A field the writer did not know.
#[derive(Debug)]
struct DefaultField {
    name: Box<str>,
    datum: Box<[u8]>,
    value: NodeId,
}

impl Plan {
    /// How `reader` reads what `writer` wrote.
    ///
    /// # Errors
    /// It cannot, and why.
    pub(crate) fn resolve(writer: &Contract, reader: &Contract) -> Result<Self, Mismatch> {
        let (written, read) = (names(writer)?, names(reader)?);
        let mut resolver = Resolver::default();
        let root = resolver.root(
            Located::root(writer.schema(), written.get_names()),
            Located::root(reader.schema(), read.get_names()),
        )?;
        Ok(Self { nodes: resolver.into_nodes(), root })
    }

    /// How to read what `writer` wrote, as it was written.
    pub(crate) fn as_written(writer: &Contract) -> Result<Self, Mismatch> {
        Self::resolve(writer, writer)
    }

    /// Read a datum. What the type borrows is the datum's, or the plan's own: defaults and symbols.
    ///
    /// # Errors
    /// The bytes are not such a datum, or bytes are left behind it: then it was written with another schema than it says.
    pub(crate) fn read<'d, T: Deserialize<'d>>(&'d self, datum: &'d [u8]) -> Result<T, DatumError> {
        let mut cursor = Cursor::new(datum);
        let value = T::deserialize(DatumDeserializer::new(self, self.root, &mut cursor))?;
        finish(&cursor)?;
        Ok(value)
    }

    /// Read a datum as JSON: unions of null and one other type as the bare value, other unions as `{"type": value}`,
    /// bytes as text with one character a byte, everything else as Avro's JSON encoding has it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_json(&self, datum: &[u8]) -> Result<serde_json::Value, DatumError> {
        let mut cursor = Cursor::new(datum);
        let value = self.json(self.root, &mut cursor)?;
        finish(&cursor)?;
        Ok(value)
    }

    fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

/// The symbol that was written, as the reader has it.
fn symbol<'s>(symbols: &'s [Symbol], cursor: &mut Cursor<'_>) -> Result<&'s str, DatumError> {
    match &symbols[cursor.index("symbol", symbols.len())?] {
        Symbol::Known(symbol) => Ok(symbol),
        Symbol::Unknown(symbol) => {
            let reason = "is unknown to the type, and its enum has no default";
            Err(DatumError::of_value(format!("the symbol {symbol} {reason}"), format!("the symbol {reason}")))
        }
    }
}

fn finish(cursor: &Cursor<'_>) -> Result<(), DatumError> {
    match cursor.remaining() {
        0 => Ok(()),
        left => Err(DatumError::new(format!("{left} bytes are left behind the payload"))),
    }
}

/// The named types of a schema.
fn names(contract: &Contract) -> Result<ResolvedSchema<'_>, Mismatch> {
    ResolvedSchema::new(contract.schema()).map_err(|error| Mismatch::new(error.to_string()))
}

/// Named types by their full names.
type Names<'s> = NamesRef<'s>;

#[cfg(test)]
mod tests;
