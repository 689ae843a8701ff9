//! The fields of a record.

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

use super::DatumDeserializer;
use crate::schema::plan::cursor::Cursor;
use crate::schema::plan::{DatumError, Plan, Record};

/// The fields of a record, as they were written; then those that were not.
pub(super) struct RecordFields<'c, 'de> {
    plan: &'de Plan,
    record: &'de Record,
    cursor: &'c mut Cursor<'de>,
    next: usize,
    default: usize,
}

impl<'c, 'de> RecordFields<'c, 'de> {
    pub(super) fn new(plan: &'de Plan, record: &'de Record, cursor: &'c mut Cursor<'de>) -> Self {
        Self { plan, record, cursor, next: 0, default: 0 }
    }

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

    pub(super) fn finish(mut self) -> Result<(), DatumError> {
        while let Some(field) = self.record.fields.get(self.next) {
            self.plan.skip(field.value, self.cursor)?;
            self.next += 1;
        }
        Ok(())
    }

    #[inline]
    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DatumError> {
        if let Some(field) = self.record.fields.get(self.next) {
            self.next += 1;
            let name = field.name.as_deref().unwrap_or_default();
            let value = DatumDeserializer::new(self.plan, field.value, self.cursor);
            return seed.deserialize(value).map_err(|error| error.within(name));
        }
        let Some(field) = self.record.defaults.get(self.default) else {
            return Err(DatumError::new("a value was asked for without a field"));
        };
        self.default += 1;
        let mut cursor = self.cursor.within(&field.datum);
        let value = DatumDeserializer::new(self.plan, field.value, &mut cursor);
        seed.deserialize(value).map_err(|error| error.within(&field.name))
    }
}

impl<'de> MapAccess<'de> for RecordFields<'_, 'de> {
    type Error = DatumError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DatumError> {
        self.skip_unknown()?;
        let field = self.record.fields.get(self.next).and_then(|field| field.name.as_deref());
        let name = field.or_else(|| self.record.defaults.get(self.default).map(|field| &*field.name));
        name.map(|name| seed.deserialize(BorrowedStrDeserializer::<DatumError>::new(name))).transpose()
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DatumError> {
        self.value(seed)
    }
}

impl<'de> SeqAccess<'de> for RecordFields<'_, 'de> {
    type Error = DatumError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DatumError> {
        self.skip_unknown()?;
        let more = self.next < self.record.fields.len() || self.default < self.record.defaults.len();
        more.then(|| self.value(seed)).transpose()
    }
}
