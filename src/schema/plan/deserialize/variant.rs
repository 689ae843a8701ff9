//! A variant of a Rust enum.

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::DatumDeserializer;
use crate::schema::plan::{DatumError, Node};

/// A variant of a Rust enum whose schema is a union: the branch's position says which.
pub(super) struct Variant<'c, 'de> {
    pub(super) index: u32,
    pub(super) value: DatumDeserializer<'c, 'de>,
}

impl<'c, 'de> EnumAccess<'de> for Variant<'c, 'de> {
    type Error = DatumError;
    type Variant = DatumDeserializer<'c, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), DatumError> {
        let index: serde::de::value::U32Deserializer<DatumError> = self.index.into_deserializer();
        Ok((seed.deserialize(index)?, self.value))
    }
}

impl<'de> VariantAccess<'de> for DatumDeserializer<'_, 'de> {
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
