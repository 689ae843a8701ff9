//! Reads a datum as JSON.

use serde_json::{Map, Number as JsonNumber, Value};

use super::cursor::Cursor;
use super::{DatumError, Node, NodeId, Number, Plan, symbol};

impl Plan {
    pub(super) fn json(&self, id: NodeId, cursor: &mut Cursor<'_>) -> Result<Value, DatumError> {
        Ok(match self.node(id) {
            Node::Null | Node::Unresolved => Value::Null,
            Node::Boolean => cursor.boolean()?.into(),
            Node::Number { written, read } => number(*written, *read, cursor)?,
            Node::Text => cursor.text()?.into(),
            Node::Bytes => characters(cursor.bytes()?),
            Node::Fixed { size, .. } => characters(cursor.fixed(*size)?),
            Node::Enum { symbols } => symbol(symbols, cursor)?.into(),
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
            Node::Union { branches, nullable, .. } => {
                let branch = &branches[cursor.index("branch", branches.len())?];
                let value = branch.value.as_ref().map_err(|reason| DatumError::unreadable_branch(reason))?;
                in_union(&branch.name, *nullable, self.json(*value, cursor)?)
            }
            Node::Branch { name, nullable, value, .. } => in_union(name, *nullable, self.json(*value, cursor)?),
            Node::Record(record) => {
                cursor.enter(record.empty_values)?;
                let mut object = Map::new();
                for field in &record.fields {
                    let Some(name) = &field.name else {
                        self.skip(field.value, cursor)?;
                        continue;
                    };
                    let value = self.json(field.value, cursor).map_err(|error| error.within(name))?;
                    object.insert(name.to_string(), value);
                }
                for field in &record.defaults {
                    let value = self.json(field.value, &mut cursor.within(&field.datum));
                    let value = value.map_err(|error| error.within(&field.name))?;
                    object.insert(field.name.to_string(), value);
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
        cursor.enter(0)?;
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

/// The bare value where the union is of null and one other type.
fn in_union(branch: &str, nullable: bool, value: Value) -> Value {
    if nullable || branch == "null" { value } else { Map::from_iter([(branch.to_owned(), value)]).into() }
}

// Avro promotes a long to a double, and an int to a float, at the cost of low digits.
#[allow(clippy::cast_precision_loss)]
fn number(written: Number, read: Number, cursor: &mut Cursor<'_>) -> Result<Value, DatumError> {
    Ok(match (written, read) {
        (Number::Int, Number::Int) => cursor.int()?.into(),
        (Number::Int | Number::Long, Number::Int | Number::Long) => cursor.long()?.into(),
        (Number::Int | Number::Long, Number::Float) => short(cursor.long()? as f32),
        (Number::Int | Number::Long, Number::Double) => float(cursor.long()? as f64),
        (Number::Float, Number::Double) => float(cursor.float()?.into()),
        (Number::Float, _) => short(cursor.float()?),
        (Number::Double, _) => float(cursor.double()?),
    })
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
