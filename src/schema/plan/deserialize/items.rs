//! The items of an array, the entries of a map.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::DatumDeserializer;
use crate::schema::plan::cursor::Cursor;
use crate::schema::plan::{DatumError, NodeId, Plan};

/// The items of an array, or the entries of a map.
pub(super) struct Items<'c, 'de> {
    plan: &'de Plan,
    value: NodeId,
    weightless: bool,
    cursor: &'c mut Cursor<'de>,
    /// How many are left in this block; 0 only at the end.
    left: usize,
    read: usize,
}

impl<'c, 'de> Items<'c, 'de> {
    pub(super) fn new(
        plan: &'de Plan,
        value: NodeId,
        weightless: bool,
        cursor: &'c mut Cursor<'de>,
    ) -> Result<Self, DatumError> {
        let left = cursor.block(weightless)?;
        Ok(Self { plan, value, weightless, cursor, left, read: 0 })
    }

    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DatumError> {
        let value = DatumDeserializer::new(self.plan, self.value, self.cursor);
        let value = seed.deserialize(value).map_err(|error| error.within(&format!("[{}]", self.read)))?;
        self.read += 1;
        self.left -= 1;
        if self.left == 0 {
            self.left = self.cursor.block(self.weightless)?;
        }
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        if self.left == 0 { Ok(None) } else { self.value(seed).map(Some) }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
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
pub(super) struct Single<'c, 'de>(pub(super) Option<DatumDeserializer<'c, 'de>>);

impl<'de> SeqAccess<'de> for Single<'_, 'de> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        self.0.take().map(|value| seed.deserialize(value)).transpose()
    }
}

/// A key of a map: text in Avro.
struct Key<'k>(&'k str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = DatumError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DatumError> {
        visitor.visit_borrowed_str(self.0)
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
        visitor.visit_enum(BorrowedStrDeserializer::<DatumError>::new(self.0))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}
