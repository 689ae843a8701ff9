//! Reads a datum into a payload type through serde.

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::cursor::Cursor;
use super::{DatumError, Node, NodeId, Number, Plan, Record, Symbol};

/// One value of a datum, about to be read.
pub(super) struct DatumDeserializer<'p, 'c, 'd> {
    plan: &'p Plan,
    id: NodeId,
    cursor: &'c mut Cursor<'d>,
}

impl<'p, 'c, 'd> DatumDeserializer<'p, 'c, 'd> {
    pub(super) fn new(plan: &'p Plan, id: NodeId, cursor: &'c mut Cursor<'d>) -> Self {
        Self { plan, id, cursor }
    }

    fn node(&self) -> &'p Node {
        self.plan.node(self.id)
    }

    /// The value within a union.
    fn settle(self) -> Result<Self, DatumError> {
        let (_, id) = self.plan.branch(self.id, self.cursor)?;
        Ok(Self { id, ..self })
    }

    fn visit_record<'de, V: Visitor<'de>>(self, record: &'p Record, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter()?;
        let mut fields = RecordFields { plan: self.plan, record, cursor: self.cursor, next: 0, default: 0 };
        let value = visitor.visit_map(&mut fields)?;
        fields.finish()?;
        self.cursor.leave();
        Ok(value)
    }

    fn visit_record_in_order<'de, V: Visitor<'de>>(
        self,
        record: &'p Record,
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        self.cursor.enter()?;
        let mut fields = RecordFields { plan: self.plan, record, cursor: self.cursor, next: 0, default: 0 };
        let value = visitor.visit_seq(&mut fields)?;
        fields.finish()?;
        self.cursor.leave();
        Ok(value)
    }

    fn visit_items<'de, V: Visitor<'de>>(
        self,
        items: NodeId,
        weightless: bool,
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        self.cursor.enter()?;
        let mut items = Items::new(self.plan, items, weightless, self.cursor)?;
        let value = visitor.visit_seq(&mut items)?;
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.leave();
        Ok(value)
    }

    fn visit_entries<'de, V: Visitor<'de>>(self, values: NodeId, visitor: V) -> Result<V::Value, DatumError> {
        self.cursor.enter()?;
        let mut entries = Items::new(self.plan, values, false, self.cursor)?;
        let value = visitor.visit_map(&mut entries)?;
        while entries.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        self.cursor.leave();
        Ok(value)
    }
}

impl<'de> Deserializer<'de> for DatumDeserializer<'_, '_, '_> {
    type Error = DatumError;

    // Every value is read as it was written, whatever the type hopes for: serde's own visitors then take a smaller
    // number for a larger, and refuse what does not fit.
    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        match self.node() {
            Node::Null | Node::Unresolved => visitor.visit_unit(),
            Node::Boolean => visitor.visit_bool(self.cursor.boolean()?),
            Node::Number { written, read } => visit_number(*written, *read, self.cursor, visitor),
            Node::Text => visitor.visit_str(self.cursor.text()?),
            Node::Bytes => visitor.visit_bytes(self.cursor.bytes()?),
            Node::Fixed(size) => visitor.visit_bytes(self.cursor.fixed(*size)?),
            Node::Enum { symbols } => visitor.visit_str(symbol(symbols, self.cursor)?),
            Node::Array { items, weightless } => self.visit_items(*items, *weightless, visitor),
            Node::Map { values } => self.visit_entries(*values, visitor),
            Node::Union { .. } | Node::Branch { .. } => self.settle()?.deserialize_any(visitor),
            Node::Record(record) => self.visit_record(record, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        let value = self.settle()?;
        match value.node() {
            Node::Null => visitor.visit_none(),
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
        match self.node() {
            Node::Enum { symbols } => {
                let symbol: StrDeserializer<'_, DatumError> = symbol(symbols, self.cursor)?.into_deserializer();
                visitor.visit_enum(symbol)
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

fn symbol<'p>(symbols: &'p [Symbol], cursor: &mut Cursor<'_>) -> Result<&'p str, DatumError> {
    match &symbols[cursor.index("symbol", symbols.len())?] {
        Symbol::Known(symbol) => Ok(symbol),
        Symbol::Unknown(symbol) => {
            Err(DatumError::new(format!("the symbol {symbol} is unknown to the type, and its enum has no default")))
        }
    }
}

/// The fields of a record, as they were written; then those that were not.
struct RecordFields<'p, 'c, 'd> {
    plan: &'p Plan,
    record: &'p Record,
    cursor: &'c mut Cursor<'d>,
    next: usize,
    default: usize,
}

impl RecordFields<'_, '_, '_> {
    /// Pass over the fields the reader does not know, up to the next that it does.
    #[inline]
    fn skip_unknown(&mut self) -> Result<(), DatumError> {
        while let Some(field) = self.record.fields.get(self.next)
            && field.name.is_none()
        {
            self.plan.skip(field.value, self.cursor)?;
            self.next += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), DatumError> {
        while let Some(field) = self.record.fields.get(self.next) {
            self.plan.skip(field.value, self.cursor)?;
            self.next += 1;
        }
        Ok(())
    }

    #[inline]
    fn value<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DatumError> {
        if let Some(field) = self.record.fields.get(self.next) {
            self.next += 1;
            let name = field.name.as_deref().unwrap_or_default();
            let value = DatumDeserializer { plan: self.plan, id: field.value, cursor: self.cursor };
            return seed.deserialize(value).map_err(|error| error.within(name));
        }
        let Some(field) = self.record.defaults.get(self.default) else {
            return Err(DatumError::new("a value was asked for without a field"));
        };
        self.default += 1;
        let mut cursor = self.cursor.within(&field.datum);
        let value = DatumDeserializer { plan: self.plan, id: field.value, cursor: &mut cursor };
        seed.deserialize(value).map_err(|error| error.within(&field.name))
    }
}

impl<'de> MapAccess<'de> for RecordFields<'_, '_, '_> {
    type Error = DatumError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DatumError> {
        self.skip_unknown()?;
        let field = self.record.fields.get(self.next).and_then(|field| field.name.as_deref());
        let name = field.or_else(|| self.record.defaults.get(self.default).map(|field| &*field.name));
        name.map(|name| seed.deserialize(StrDeserializer::<DatumError>::new(name))).transpose()
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DatumError> {
        self.value(seed)
    }
}

impl<'de> SeqAccess<'de> for RecordFields<'_, '_, '_> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        self.skip_unknown()?;
        let more = self.next < self.record.fields.len() || self.default < self.record.defaults.len();
        more.then(|| self.value(seed)).transpose()
    }
}

/// The items of an array, or the entries of a map.
struct Items<'p, 'c, 'd> {
    plan: &'p Plan,
    value: NodeId,
    weightless: bool,
    cursor: &'c mut Cursor<'d>,
    /// How many are left in this block; 0 only at the end.
    left: usize,
    read: usize,
}

impl<'p, 'c, 'd> Items<'p, 'c, 'd> {
    fn new(plan: &'p Plan, value: NodeId, weightless: bool, cursor: &'c mut Cursor<'d>) -> Result<Self, DatumError> {
        let left = cursor.block(weightless)?;
        Ok(Self { plan, value, weightless, cursor, left, read: 0 })
    }

    fn value<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DatumError> {
        let value = DatumDeserializer { plan: self.plan, id: self.value, cursor: self.cursor };
        let value = seed.deserialize(value).map_err(|error| error.within(&format!("[{}]", self.read)))?;
        self.read += 1;
        self.left -= 1;
        if self.left == 0 {
            self.left = self.cursor.block(self.weightless)?;
        }
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        if self.left == 0 { Ok(None) } else { self.value(seed).map(Some) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_, '_, '_> {
    type Error = DatumError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DatumError> {
        if self.left == 0 {
            return Ok(None);
        }
        seed.deserialize(Key(self.cursor.text()?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DatumError> {
        if self.left == 0 {
            return Err(DatumError::new("a value was asked for without a key"));
        }
        self.value(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A tuple of one.
struct Single<'p, 'c, 'd>(Option<DatumDeserializer<'p, 'c, 'd>>);

impl<'de> SeqAccess<'de> for Single<'_, '_, '_> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        self.0.take().map(|value| seed.deserialize(value)).transpose()
    }
}

/// A variant of a Rust enum whose schema is a union: the branch's position says which.
struct Variant<'p, 'c, 'd> {
    index: u32,
    value: DatumDeserializer<'p, 'c, 'd>,
}

impl<'de, 'p, 'c, 'd> EnumAccess<'de> for Variant<'p, 'c, 'd> {
    type Error = DatumError;
    type Variant = DatumDeserializer<'p, 'c, 'd>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), DatumError> {
        let index: serde::de::value::U32Deserializer<DatumError> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self.value))
    }
}

impl<'de> VariantAccess<'de> for DatumDeserializer<'_, '_, '_> {
    type Error = DatumError;

    fn unit_variant(self) -> Result<(), DatumError> {
        self.plan.skip(self.id, self.cursor)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, DatumError> {
        match self.node() {
            Node::Record(record) if record.wraps_variant && record.fields.len() == 1 => {
                seed.deserialize(Self { id: record.fields[0].value, ..self })
            }
            _ => seed.deserialize(self),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, DatumError> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, DatumError> {
        self.deserialize_any(visitor)
    }
}

/// A key of a map: text in Avro.
struct Key<'k>(&'k str);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = DatumError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DatumError> {
        visitor.visit_enum(StrDeserializer::<DatumError>::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}
