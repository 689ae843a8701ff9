//! Reads a datum into a payload type through serde.

mod items;
mod record_fields;
mod variant;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use self::items::{Items, Single};
use self::record_fields::RecordFields;
use self::variant::Variant;
use super::cursor::Cursor;
use super::{DatumError, Node, NodeId, Number, Plan, Record, Symbol, symbol};

/// One value of a datum, about to be read.
pub(super) struct DatumDeserializer<'c, 'de> {
    plan: &'de Plan,
    id: NodeId,
    cursor: &'c mut Cursor<'de>,
    /// Which variant of an enum it is, where the `Option` around it has read the branch of the union. Null is none of them.
    variant: Option<u32>,
}

impl<'c, 'de> DatumDeserializer<'c, 'de> {
    pub(super) fn new(plan: &'de Plan, id: NodeId, cursor: &'c mut Cursor<'de>) -> Self {
        Self { plan, id, cursor, variant: None }
    }

    fn node(&self) -> &'de Node {
        self.plan.node(self.id)
    }

    /// The value within a union.
    fn settle(self) -> Result<Self, DatumError> {
        let (_, id) = self.plan.branch(self.id, self.cursor)?;
        Ok(Self { id, ..self })
    }

    fn visit_record<V: Visitor<'de>>(self, record: &'de Record, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter(record.empty_values)?;
        let mut fields = RecordFields::new(self.plan, record, self.cursor);
        let value = visitor.visit_map(&mut fields)?;
        fields.finish()?;
        self.cursor.leave();
        Ok(value)
    }

    fn visit_record_in_order<V: Visitor<'de>>(self, record: &'de Record, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter(record.empty_values)?;
        let mut fields = RecordFields::new(self.plan, record, self.cursor);
        let value = visitor.visit_seq(&mut fields)?;
        fields.finish()?;
        self.cursor.leave();
        Ok(value)
    }

    fn visit_items<V: Visitor<'de>>(self, items: NodeId, weightless: bool, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter(0)?;
        let mut items = Items::new(self.plan, items, weightless, self.cursor)?;
        let value = visitor.visit_seq(&mut items)?;
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.leave();
        Ok(value)
    }

    fn visit_entries<V: Visitor<'de>>(self, values: NodeId, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter(0)?;
        let mut entries = Items::new(self.plan, values, false, self.cursor)?;
        let value = visitor.visit_map(&mut entries)?;
        while entries.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.leave();
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for DatumDeserializer<'_, 'de> {
    type Error = DatumError;

    // Every value is read as it was written, whatever the type hopes for: serde's own visitors then take a smaller
    // number for a larger, and refuse what does not fit.
    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        match self.node() {
            Node::Null | Node::Unresolved => visitor.visit_unit(),
            Node::Boolean => visitor.visit_bool(self.cursor.boolean()?),
            Node::Number { written, read } => visit_number(*written, *read, self.cursor, visitor),
            Node::Text => visitor.visit_borrowed_str(self.cursor.text()?),
            Node::Bytes => visitor.visit_borrowed_bytes(self.cursor.bytes()?),
            Node::Fixed { size, .. } => visitor.visit_borrowed_bytes(self.cursor.fixed(*size)?),
            Node::Enum { symbols } => visitor.visit_borrowed_str(symbol(symbols, self.cursor)?),
            Node::Array { items, weightless } => self.visit_items(*items, *weightless, visitor),
            Node::Map { values } => self.visit_entries(*values, visitor),
            Node::Union { .. } | Node::Branch { .. } => self.settle()?.deserialize_any(visitor),
            Node::Record(record) => self.visit_record(record, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        let several = match self.node() {
            Node::Union { nullable: false, null, .. } | Node::Branch { nullable: false, null, .. } => Some(*null),
            _ => None,
        };
        let (branch, id) = self.plan.branch(self.id, self.cursor)?;
        let value = Self { id, ..self };
        match (value.node(), several, branch) {
            (Node::Null, ..) => visitor.visit_none(),
            (_, Some(null), Some(branch)) => {
                let variant = branch - u32::from(null.is_some_and(|null| null < branch));
                visitor.visit_some(Self { variant: Some(variant), ..value })
            }
            _ => visitor.visit_some(value),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DatumError> {
        let value = self.settle()?;
        match value.node() {
            Node::Record(record)
                if record.defaults.is_empty() && record.fields.iter().all(|field| field.name.is_none()) =>
            {
                value.plan.skip(value.id, value.cursor)?;
                visitor.visit_unit()
            }
            _ => value.deserialize_any(visitor),
        }
    }

    /// A newtype is its inner value, except where the schema has a record of its name around it.
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        match self.node() {
            Node::Record(Record { name: record, fields, .. }) if **record == *name && fields.len() == 1 => {
                visitor.visit_newtype_struct(Self { id: fields[0].value, ..self })
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DatumError> {
        let value = self.settle()?;
        match value.node() {
            Node::Record(record) => value.visit_record_in_order(record, visitor),
            Node::Array { .. } => value.deserialize_any(visitor),
            // A tuple of one is written as its item.
            _ if length == 1 => visitor.visit_seq(Single(Some(value))),
            _ => value.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        if let Some(index) = self.variant {
            // An enum of symbols, or one of the union's branches: a symbol that it has says which.
            let value = Self { variant: None, ..self };
            return match value.node() {
                Node::Enum { symbols } if has_one_of(variants, symbols) => {
                    value.deserialize_enum(name, variants, visitor)
                }
                _ => visitor.visit_enum(Variant { index, value }),
            };
        }
        match self.node() {
            Node::Enum { symbols } => {
                visitor.visit_enum(BorrowedStrDeserializer::<DatumError>::new(symbol(symbols, self.cursor)?))
            }
            Node::Union { .. } | Node::Branch { .. } => {
                let (index, id) = self.plan.branch(self.id, self.cursor)?;
                let value = Self { id, ..self };
                match index {
                    Some(index) => visitor.visit_enum(Variant { index, value }),
                    None => value.deserialize_enum(name, variants, visitor),
                }
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        self.plan.skip(self.id, self.cursor)?;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit seq map struct identifier
    }

    /// Identifiers and addresses are text in a payload, so that other languages can read them.
    fn is_human_readable(&self) -> bool {
        true
    }
}

fn has_one_of(variants: &[&str], symbols: &[Symbol]) -> bool {
    symbols.iter().any(|symbol| matches!(symbol, Symbol::Known(symbol) if variants.contains(&&**symbol)))
}

// Avro promotes a long to a double, and an int to a float, at the cost of low digits.
#[allow(clippy::cast_precision_loss)]
#[inline]
fn visit_number<'de, V: Visitor<'de>>(
    written: Number,
    read: Number,
    cursor: &mut Cursor<'_>,
    visitor: V,
) -> Result<V::Value, DatumError> {
    match (written, read) {
        (Number::Int, Number::Int) => visitor.visit_i32(cursor.int()?),
        (Number::Int | Number::Long, Number::Int | Number::Long) => visitor.visit_i64(cursor.long()?),
        (Number::Int | Number::Long, Number::Float) => visitor.visit_f32(cursor.long()? as f32),
        (Number::Int | Number::Long, Number::Double) => visitor.visit_f64(cursor.long()? as f64),
        (Number::Float, Number::Double) => visitor.visit_f64(cursor.float()?.into()),
        (Number::Float, _) => visitor.visit_f32(cursor.float()?),
        (Number::Double, _) => visitor.visit_f64(cursor.double()?),
    }
}
