//! Writes a payload type as a datum, where its fields come as the schema has them.
//!
//! The library's writer looks up each field by its name in a map and makes a map of its own for each record. A type whose fields
//! come in the schema's order needs neither. Whatever is unusual (another order, skipped fields, tuples) is left to the library, and
//! so is every error: what is written here is what it would write. It would not write two things that are: an `Option` of an enum
//! into a union of null and several types, and a decimal of fewer bytes than its fixed type has.

use serde::Serialize;
use serde::ser::{self, Impossible, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::{Field, Node, NodeId, Number, Plan, Symbol};
use crate::schema::json_datum::{write_bytes, write_count, write_long};

/// A key of a map is text; plans have no node for it.
static KEY: Node = Node::Text;

/// The value is for the library to write, or to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is for the library to write")]
pub(crate) struct Unusual;

impl ser::Error for Unusual {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Plan {
    /// Append `value` to `datum`. The plan is one [as written](Self::as_written).
    ///
    /// # Errors
    /// The library has to write it; `datum` then ends somewhere within the value.
    pub(crate) fn write<T: Serialize>(&self, value: &T, datum: &mut Vec<u8>) -> Result<(), Unusual> {
        value.serialize(DatumSerializer { plan: self, node: self.node(self.root), datum, within_option: false })
    }
}

/// One value of a datum, about to be written.
struct DatumSerializer<'p, 'd> {
    plan: &'p Plan,
    node: &'p Node,
    datum: &'d mut Vec<u8>,
    /// Whether an `Option` around it has taken the null of its union: then an enum's variants are the other branches.
    within_option: bool,
}

impl<'p, 'd> DatumSerializer<'p, 'd> {
    fn int(self, value: i32) -> Result<(), Unusual> {
        match self.node {
            Node::Number { written: Number::Int, .. } => write_long(value.into(), self.datum),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn long(self, value: i64) -> Result<(), Unusual> {
        match self.node {
            Node::Number { written: Number::Long, .. } => write_long(value, self.datum),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    /// Into a union: the branch that is null, or the only one that is not.
    fn optional(self, null: bool) -> Result<Self, Unusual> {
        let Node::Union { branches, .. } = self.node else { return Err(Unusual) };
        let index = branches.iter().position(|branch| (&*branch.name == "null") == null).ok_or(Unusual)?;
        self.branch(index)
    }

    /// Into the branch of a union that is so many variants after the first.
    fn variant(self, index: u32) -> Result<Self, Unusual> {
        let Node::Union { null, .. } = self.node else { return Err(Unusual) };
        let after_null = self.within_option && null.is_some_and(|null| null <= index);
        self.branch(usize::try_from(index).map_err(|_| Unusual)? + usize::from(after_null))
    }

    fn branch(self, index: usize) -> Result<Self, Unusual> {
        let Node::Union { branches, .. } = self.node else { return Err(Unusual) };
        let value = *branches.get(index).and_then(|branch| branch.value.as_ref().ok()).ok_or(Unusual)?;
        write_count(index, self.datum);
        Ok(Self { node: self.plan.node(value), within_option: false, ..self })
    }

    /// A number as wide as a fixed type, the highest byte first.
    fn fixed_decimal(self, number: &[u8], size: usize) -> Result<(), Unusual> {
        let missing = size.checked_sub(number.len()).ok_or(Unusual)?;
        let sign = if number.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
        self.datum.extend(std::iter::repeat_n(sign, missing));
        self.datum.extend_from_slice(number);
        Ok(())
    }

    fn items(self, values: NodeId, count: Option<usize>) -> Result<Items<'p, 'd>, Unusual> {
        let left = count.ok_or(Unusual)?;
        if left > 0 {
            write_count(left, self.datum);
        }
        Ok(Items { plan: self.plan, values: self.plan.node(values), datum: self.datum, left })
    }
}

impl<'p, 'd> Serializer for DatumSerializer<'p, 'd> {
    type Ok = ();
    type Error = Unusual;
    type SerializeSeq = Items<'p, 'd>;
    type SerializeTuple = Impossible<(), Unusual>;
    type SerializeTupleStruct = Impossible<(), Unusual>;
    type SerializeTupleVariant = Impossible<(), Unusual>;
    type SerializeMap = Items<'p, 'd>;
    type SerializeStruct = Fields<'p, 'd>;
    type SerializeStructVariant = Impossible<(), Unusual>;

    fn serialize_bool(self, value: bool) -> Result<(), Unusual> {
        match self.node {
            Node::Boolean => self.datum.push(value.into()),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Unusual> {
        self.int(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Unusual> {
        self.int(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Unusual> {
        self.int(value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Unusual> {
        self.long(value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Unusual> {
        self.int(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Unusual> {
        self.int(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Unusual> {
        self.long(value.into())
    }

    fn serialize_u64(self, _: u64) -> Result<(), Unusual> {
        Err(Unusual)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unusual> {
        match self.node {
            Node::Number { written: Number::Float, .. } => self.datum.extend_from_slice(&value.to_le_bytes()),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unusual> {
        match self.node {
            Node::Number { written: Number::Double, .. } => self.datum.extend_from_slice(&value.to_le_bytes()),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_char(self, _: char) -> Result<(), Unusual> {
        Err(Unusual)
    }

    fn serialize_str(self, value: &str) -> Result<(), Unusual> {
        match self.node {
            Node::Text => write_bytes(value.as_bytes(), self.datum),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unusual> {
        match self.node {
            Node::Bytes => write_bytes(value, self.datum),
            Node::Fixed { size, decimal: true } => return self.fixed_decimal(value, *size),
            Node::Fixed { size, .. } if *size == value.len() => self.datum.extend_from_slice(value),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unusual> {
        self.optional(true).map(drop)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unusual> {
        match self.node {
            Node::Union { nullable: false, null: Some(_), .. } => value.serialize(Self { within_option: true, ..self }),
            Node::Union { nullable: true, .. } => value.serialize(self.optional(false)?),
            _ => Err(Unusual),
        }
    }

    fn serialize_unit(self) -> Result<(), Unusual> {
        match self.node {
            Node::Null => Ok(()),
            _ => Err(Unusual),
        }
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unusual> {
        Err(Unusual)
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, variant: &'static str) -> Result<(), Unusual> {
        let symbols = match self.node {
            Node::Enum { symbols } => symbols,
            Node::Union { .. } => match self.variant(index)?.node {
                Node::Null => return Ok(()),
                _ => return Err(Unusual),
            },
            _ => return Err(Unusual),
        };
        let index = usize::try_from(index).map_err(|_| Unusual)?;
        match symbols.get(index) {
            Some(Symbol::Known(symbol)) if **symbol == *variant => write_count(index, self.datum),
            _ => return Err(Unusual),
        }
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<(), Unusual> {
        Err(Unusual)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unusual> {
        let branch = self.variant(index)?;
        match branch.node {
            Node::Record(record) if record.wraps_variant => Err(Unusual),
            _ => value.serialize(branch),
        }
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Items<'p, 'd>, Unusual> {
        match self.node {
            Node::Array { items, .. } => self.items(*items, count),
            _ => Err(Unusual),
        }
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unusual> {
        Err(Unusual)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Unusual> {
        Err(Unusual)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unusual> {
        Err(Unusual)
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Items<'p, 'd>, Unusual> {
        match self.node {
            Node::Map { values } => self.items(*values, count),
            _ => Err(Unusual),
        }
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Fields<'p, 'd>, Unusual> {
        match self.node {
            Node::Record(record) => Ok(Fields { plan: self.plan, left: &record.fields, datum: self.datum }),
            _ => Err(Unusual),
        }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unusual> {
        Err(Unusual)
    }

    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The fields of a record that are not written yet.
struct Fields<'p, 'd> {
    plan: &'p Plan,
    left: &'p [Field],
    datum: &'d mut Vec<u8>,
}

impl SerializeStruct for Fields<'_, '_> {
    type Ok = ();
    type Error = Unusual;

    #[inline]
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unusual> {
        match self.left {
            [field, rest @ ..] if field.name.as_deref() == Some(name) => {
                self.left = rest;
                value.serialize(DatumSerializer {
                    plan: self.plan,
                    node: self.plan.node(field.value),
                    datum: self.datum,
                    within_option: false,
                })
            }
            _ => Err(Unusual),
        }
    }

    fn skip_field(&mut self, _: &'static str) -> Result<(), Unusual> {
        Err(Unusual)
    }

    fn end(self) -> Result<(), Unusual> {
        if self.left.is_empty() { Ok(()) } else { Err(Unusual) }
    }
}

/// The items of an array or the entries of a map that are not written yet: all in one block.
struct Items<'p, 'd> {
    plan: &'p Plan,
    values: &'p Node,
    datum: &'d mut Vec<u8>,
    left: usize,
}

impl Items<'_, '_> {
    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unusual> {
        self.left = self.left.checked_sub(1).ok_or(Unusual)?;
        let values = DatumSerializer { plan: self.plan, node: self.values, datum: self.datum, within_option: false };
        value.serialize(values)
    }

    fn finish(self) -> Result<(), Unusual> {
        if self.left > 0 {
            return Err(Unusual);
        }
        self.datum.push(0);
        Ok(())
    }
}

impl SerializeSeq for Items<'_, '_> {
    type Ok = ();
    type Error = Unusual;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unusual> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unusual> {
        self.finish()
    }
}

impl SerializeMap for Items<'_, '_> {
    type Ok = ();
    type Error = Unusual;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unusual> {
        key.serialize(DatumSerializer { plan: self.plan, node: &KEY, datum: self.datum, within_option: false })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unusual> {
        self.value(value)
    }

    fn end(self) -> Result<(), Unusual> {
        self.finish()
    }
}
