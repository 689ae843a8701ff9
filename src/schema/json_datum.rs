//! Writes JSON as an Avro datum: what a person typed, or the default of a field.

use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UnionSchema};
use serde_json::Value;

use super::contract::describe;
use super::marks::is_field_marked;
use super::plan::{Base, Located, Number, base, has_branch_name};

/// How deep types may nest; the defaults of a recursive schema could otherwise never end.
const MAX_DEPTH: usize = 128;

/// How many values a payload given as JSON may have, with all defaults: defaults within defaults can make two to the 128th.
const MAX_VALUES: usize = 4_194_304;

/// How many bytes of text, bytes and keys such a payload may have: one long default can be that of thousands of records.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// How many symbols of an enum are looked through for the price of a value.
const SYMBOLS_A_VALUE: usize = 256;

/// How many symbols an error names.
const SYMBOLS_NAMED: usize = 20;

/// How much may still be written.
#[derive(Debug)]
pub(in crate::schema) struct Budget {
    values: usize,
    bytes: usize,
    exceeded: Option<Exceeded>,
}

/// What of a budget was not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schema) enum Exceeded {
    Values,
    Bytes,
}

impl Budget {
    /// So many values, and so many bytes of what is as long as somebody made it.
    pub(in crate::schema) const fn new(values: usize, bytes: usize) -> Self {
        Self { values, bytes, exceeded: None }
    }

    /// That of a payload given as JSON.
    pub(in crate::schema) const fn of_payload() -> Self {
        Self::new(MAX_VALUES, MAX_BYTES)
    }

    /// What was wanted of it and not there.
    pub(in crate::schema) const fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    fn take_values(&mut self, count: usize) -> Result<(), JsonMismatch> {
        self.values = self.values.checked_sub(count).ok_or_else(|| self.refuse(Exceeded::Values))?;
        Ok(())
    }

    /// # Errors
    /// There are not so many left.
    pub(in crate::schema) fn take_bytes(&mut self, count: usize) -> Result<(), JsonMismatch> {
        self.bytes = self.bytes.checked_sub(count).ok_or_else(|| self.refuse(Exceeded::Bytes))?;
        Ok(())
    }

    fn refuse(&mut self, exceeded: Exceeded) -> JsonMismatch {
        self.exceeded = Some(exceeded);
        JsonMismatch::new(match exceeded {
            Exceeded::Values => "with all its defaults it has too many values",
            Exceeded::Bytes => "with all its defaults it is too long",
        })
    }
}

/// Why a JSON value does not fit a schema, and at which field.
#[derive(Debug, thiserror::Error)]
pub(crate) struct JsonMismatch {
    /// Field names, the innermost first.
    path: Vec<String>,
    reason: String,
    /// The reason without the value, where `reason` shows it.
    without_value: Option<String>,
}

impl JsonMismatch {
    fn new(reason: impl Into<String>) -> Self {
        Self { path: Vec::new(), reason: reason.into(), without_value: None }
    }

    fn within(mut self, field: impl Into<String>) -> Self {
        self.path.push(field.into());
        self
    }

    /// The same failure seen from a field that is marked as sensitive, or is in a record that is: neither a value is shown nor a key
    /// within.
    fn hidden_where(mut self, marked: bool) -> Self {
        if marked {
            self.path.clear();
            self.reason = self.without_value.take().unwrap_or(self.reason);
        }
        self
    }
}

impl fmt::Display for JsonMismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(formatter, "field `{}`: ", path.join(".").replace(".[", "["))?;
        }
        formatter.write_str(&self.reason)
    }
}

/// Append `value` to `datum`, as `at` says. A field that is absent takes its default. What is written is taken off `left`.
///
/// # Errors
/// The first field that does not fit; `datum` then ends somewhere within the value.
pub(in crate::schema) fn write(
    at: Located<'_>,
    value: &Value,
    datum: &mut Vec<u8>,
    left: &mut Budget,
) -> Result<(), JsonMismatch> {
    left.take_values(1)?;
    if at.depth() > MAX_DEPTH {
        return Err(JsonMismatch::new(format!("it nests deeper than {MAX_DEPTH} levels")));
    }
    let at = at.definition().map_err(|error| JsonMismatch::new(error.to_string()))?;
    let wrong = || JsonMismatch::new(format!("it wants {}, and is {}", describe(at.schema), kind(value)));
    match (base(at.schema), value) {
        (Base::Null, Value::Null) => {}
        (Base::Boolean, Value::Bool(value)) => datum.push(u8::from(*value)),
        (Base::Number(Number::Int), Value::Number(number)) => {
            let number = number.as_i64().ok_or_else(wrong)?;
            let number = i32::try_from(number).map_err(|_| JsonMismatch::new("it does not fit an int of 32 bits"))?;
            write_long(number.into(), datum);
        }
        (Base::Number(Number::Long), Value::Number(number)) => write_long(number.as_i64().ok_or_else(wrong)?, datum),
        (Base::Number(Number::Float), _) => {
            // The nearest float is what a float field holds.
            #[allow(clippy::cast_possible_truncation)]
            let number = float(value).ok_or_else(wrong)? as f32;
            datum.extend(number.to_le_bytes());
        }
        (Base::Number(Number::Double), _) => datum.extend(float(value).ok_or_else(wrong)?.to_le_bytes()),
        (Base::Text, Value::String(text)) => {
            left.take_bytes(text.len())?;
            write_bytes(text.as_bytes(), datum);
        }
        (Base::Bytes, Value::String(text)) => {
            left.take_bytes(text.len())?;
            write_bytes(&bytes(text)?, datum);
        }
        (Base::Fixed(fixed), Value::String(text)) => {
            left.take_bytes(text.len())?;
            let bytes = bytes(text)?;
            if bytes.len() != fixed.size {
                return Err(JsonMismatch::new(format!("it has {} bytes, and wants {}", bytes.len(), fixed.size)));
            }
            datum.extend(bytes);
        }
        (Base::Enum(symbols), Value::String(symbol)) => {
            left.take_values(symbols.symbols.len() / SYMBOLS_A_VALUE)?;
            let index = symbols.symbols.iter().position(|candidate| candidate == symbol);
            let index = index.ok_or_else(|| unknown_symbol(symbol, &symbols.symbols))?;
            write_count(index, datum);
        }
        (Base::Array(items), Value::Array(values)) => {
            start_block(values.len(), datum);
            for (index, value) in values.iter().enumerate() {
                write(at.part(items), value, datum, left).map_err(|error| error.within(format!("[{index}]")))?;
            }
            datum.push(0);
        }
        (Base::Map(values), Value::Object(entries)) => {
            start_block(entries.len(), datum);
            for (key, value) in entries {
                left.take_bytes(key.len())?;
                write_bytes(key.as_bytes(), datum);
                write(at.part(values), value, datum, left).map_err(|error| error.within(key))?;
            }
            datum.push(0);
        }
        (Base::Record(record), Value::Object(fields)) => write_record(at, record, fields, datum, left)?,
        (Base::Union(union), value) => write_union(at, union, value, datum, left)?,
        _ => return Err(wrong()),
    }
    Ok(())
}

fn write_record(
    at: Located<'_>,
    record: &RecordSchema,
    values: &serde_json::Map<String, Value>,
    datum: &mut Vec<u8>,
    left: &mut Budget,
) -> Result<(), JsonMismatch> {
    if let Some(unknown) = values.keys().find(|name| record.fields.iter().all(|field| field.name != **name)) {
        let names: Vec<&str> = record.fields.iter().map(|field| field.name.as_str()).collect();
        let reason = format!("record {} has no such field; it has {}", record.name.name(), names.join(", "));
        return Err(JsonMismatch::new(reason).within(unknown));
    }
    for field in &record.fields {
        let value = values.get(&field.name).or(field.default.as_ref());
        let value = value.ok_or_else(|| {
            JsonMismatch::new(format!("it is missing; it wants {}", describe(&field.schema))).within(&field.name)
        })?;
        write(at.part(&field.schema), value, datum, left)
            .map_err(|error| error.hidden_where(is_field_marked(record, field)).within(&field.name))?;
    }
    Ok(())
}

/// Takes `{"type": value}` as Avro's JSON encoding has it, and the bare value.
fn write_union(
    at: Located<'_>,
    union: &UnionSchema,
    value: &Value,
    datum: &mut Vec<u8>,
    left: &mut Budget,
) -> Result<(), JsonMismatch> {
    let mut variants = Vec::with_capacity(union.variants().len());
    for (index, variant) in union.variants().iter().enumerate() {
        let variant = at.part(variant).definition().map_err(|error| JsonMismatch::new(error.to_string()))?;
        variants.push((index, variant));
    }
    let start = datum.len();
    let mut attempt = |index: usize, variant: Located<'_>, value: &Value| {
        datum.truncate(start);
        write_count(index, datum);
        write(variant, value, datum, left)
    };
    if let Value::Object(fields) = value
        && fields.len() == 1
        && let Some((name, value)) = fields.iter().next()
        && let Some((index, variant)) = variants.iter().find(|(_, variant)| has_branch_name(variant.schema, name))
        && attempt(*index, *variant, value).is_ok()
    {
        return Ok(());
    }
    let mut failures = Vec::new();
    for (index, variant) in &variants {
        match attempt(*index, *variant, value) {
            Ok(()) => return Ok(()),
            // Of null and one other type, the other one's reason is the one to tell.
            Err(_) if matches!(variant.schema, Schema::Null) => {}
            Err(error) => failures.push(error),
        }
    }
    match failures.pop() {
        Some(error) if failures.is_empty() && !value.is_null() => Err(error),
        _ => Err(JsonMismatch::new(format!("it wants {}, and is {}", describe(at.schema), kind(value)))),
    }
}

fn unknown_symbol(symbol: &str, symbols: &[String]) -> JsonMismatch {
    let named = symbols.iter().take(SYMBOLS_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = symbols.len().saturating_sub(SYMBOLS_NAMED);
    let reason = match more {
        0 => format!("is not one of {named}"),
        _ => format!("is not one of {named} and {more} more"),
    };
    let mut mismatch = JsonMismatch::new(format!("`{symbol}` {reason}"));
    mismatch.without_value = Some(format!("it {reason}"));
    mismatch
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" | "INF" => Some(f64::INFINITY),
            "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// One byte a character, as Avro's JSON encoding has it.
fn bytes(text: &str) -> Result<Vec<u8>, JsonMismatch> {
    text.chars()
        .map(|character| u8::try_from(character).ok())
        .collect::<Option<_>>()
        .ok_or_else(|| JsonMismatch::new("bytes are written with one character a byte, U+0000 to U+00FF"))
}

pub(super) fn write_long(number: i64, datum: &mut Vec<u8>) {
    let mut bits = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let [low, ..] = bits.to_le_bytes();
        bits >>= 7;
        if bits == 0 {
            datum.push(low & 0x7f);
            return;
        }
        datum.push(low | 0x80);
    }
}

pub(super) fn write_count(count: usize, datum: &mut Vec<u8>) {
    write_long(i64::try_from(count).unwrap_or(i64::MAX), datum);
}

pub(super) fn write_bytes(bytes: &[u8], datum: &mut Vec<u8>) {
    write_count(bytes.len(), datum);
    datum.extend_from_slice(bytes);
}

/// All items in one block; a count of 0 then ends the array or map.
fn start_block(count: usize, datum: &mut Vec<u8>) {
    if count > 0 {
        write_count(count, datum);
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Append `value` to `datum`, as `schema` says.
///
/// # Errors
/// As [`write`].
pub(crate) fn write_payload(schema: &Schema, value: &Value, datum: &mut Vec<u8>) -> Result<(), JsonMismatch> {
    let names =
        apache_avro::schema::ResolvedSchema::new(schema).map_err(|error| JsonMismatch::new(error.to_string()))?;
    write(Located::root(schema, names.get_names()), value, datum, &mut Budget::of_payload())
}
