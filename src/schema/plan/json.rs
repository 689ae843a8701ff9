//! Reads a datum as JSON.

use serde_json::{Map, Number as JsonNumber, Value};

use super::cursor::Cursor;
use super::{DatumError, Node, NodeId, Number, Plan, Symbol};

impl Plan {
    pub(super) fn json(&self, id: NodeId, cursor: &mut Cursor<'_>) -> Result<Value, DatumError> {
        Ok(match self.node(id) {
            Node::Null | Node::Unresolved => Value::Null,
            Node::Boolean => cursor.boolean()?.into(),
            Node::Number { written: Number::Int, .. } => cursor.int()?.into(),
            Node::Number { written: Number::Long, .. } => cursor.long()?.into(),
            Node::Number { written: Number::Float, .. } => short(cursor.float()?),
            Node::Number { written: Number::Double, .. } => float(cursor.double()?),
            Node::Text => cursor.text()?.into(),
            Node::Bytes => characters(cursor.bytes()?),
            Node::Fixed(size) => characters(cursor.fixed(*size)?),
            Node::Enum { symbols } => match &symbols[cursor.index("symbol", symbols.len())?] {
                Symbol::Known(symbol) | Symbol::Unknown(symbol) => (&**symbol).into(),
            },
            Node::Array { items, weightless } => {
                let mut array = Vec::new();
                self.each(*weightless, cursor, |plan, cursor| {
                    array.push(plan.json(*items, cursor).map_err(|error| error.within(&format!("[{}]", array.len())))?);
                    Ok(())
                })?;
                array.into()
            }
            Node::Map { values } => {
                let mut object = Map::new();
                self.each(false, cursor, |plan, cursor| {
                    let key = cursor.text()?.to_owned();
                    let value = plan.json(*values, cursor).map_err(|error| error.within(&key))?;
                    object.insert(key, value);
                    Ok(())
                })?;
                object.into()
            }
            Node::Union { branches } => {
                let branch = &branches[cursor.index("branch", branches.len())?];
                let Ok(value) = branch.value.as_ref() else { return Err(DatumError::new("it cannot be read")) };
                let value = self.json(*value, cursor)?;
                let nullable = branches.len() == 2 && branches.iter().any(|branch| &*branch.name == "null");
                if nullable || &*branch.name == "null" {
                    value
                } else {
                    Map::from_iter([(branch.name.to_string(), value)]).into()
                }
            }
            Node::Branch { value, .. } => self.json(*value, cursor)?,
            Node::Record(record) => {
                cursor.enter()?;
                let mut object = Map::new();
                for field in &record.fields {
                    let Some(name) = &field.name else {
                        self.skip(field.value, cursor)?;
                        continue;
                    };
                    let value = self.json(field.value, cursor).map_err(|error| error.within(name))?;
                    object.insert(name.to_string(), value);
                }
                cursor.leave();
                object.into()
            }
        })
    }

    fn each<'d>(
        &self,
        weightless: bool,
        cursor: &mut Cursor<'d>,
        mut read: impl FnMut(&Self, &mut Cursor<'d>) -> Result<(), DatumError>,
    ) -> Result<(), DatumError> {
        cursor.enter()?;
        loop {
            let count = cursor.block(weightless)?;
            if count == 0 {
                cursor.leave();
                return Ok(());
            }
            for _ in 0..count {
                read(self, cursor)?;
            }
        }
    }
}

/// As Avro's JSON encoding has it: one character a byte.
fn characters(bytes: &[u8]) -> Value {
    bytes.iter().copied().map(char::from).collect::<String>().into()
}

/// The shortest decimal that is this float, not the double nearest to it.
fn short(number: f32) -> Value {
    number.to_string().parse().map_or(Value::Null, float)
}

/// JSON has no NaN and no infinities: Java's Avro writes them as strings.
fn float(number: f64) -> Value {
    match JsonNumber::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}
