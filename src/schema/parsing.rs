//! Parses schemas that anyone may have written, by a library that trusts them.
//!
//! - Its parser goes as deep as the text does: text is measured first, and what is deep gets a stack of its own.
//! - It resolves each default while it parses, and defaults hold defaults: a short schema makes it write out two to the power of
//!   their number. So it gets them under a name that it keeps and does not look into; a plan writes out those it needs, within a
//!   bound. Schemas of others whose defaults do not match their types can be read, too: what they wrote is whole.
//! - It panics where an attribute has the name of something that other types have (`"size": "large"` in a record). Such
//!   attributes mean nothing, and are left out.

use std::borrow::Cow;
use std::sync::Arc;

use apache_avro::schema::{RecordSchema, UnionSchema};
use apache_avro::{AvroResult, Schema};
use serde_json::{Map, Value};

use super::contract::SchemaError;

/// The longest schema, in bytes, with all it refers to: what a registry that keeps its schemas in Kafka can hold.
const MAX_BYTES: usize = 1_048_576;

/// How deep the JSON of a schema may nest, that of all it refers to added up.
const MAX_DEPTH: usize = 512;

/// The longest name or namespace, in bytes. The library writes the whole of it at each place that refers to it, and within a long
/// namespace a reference is short.
const MAX_NAME_BYTES: usize = 1_024;

/// What nests deeper is parsed on a stack of its own: where a stack ends, the process ends.
const DEPTH_OF_ANY_STACK: usize = 32;

/// The stack for the deepest schema there may be, in bytes.
const DEEP_STACK: usize = 33_554_432;

/// What the default of a field is called while the library parses.
const HIDDEN: &str = "tidings.default";

/// The attributes that mean something to the library where the type has them.
const ATTRIBUTES: [&str; 9] = ["default", "fields", "items", "name", "order", "precision", "scale", "size", "values"];

/// Do `work` where the stack is deep enough for these texts.
///
/// # Errors
/// They are too long or too deep; or the work fails.
pub(super) fn on_a_stack_for<T: Send>(
    text: &str,
    references: &[String],
    work: impl FnOnce() -> Result<T, SchemaError> + Send,
) -> Result<T, SchemaError> {
    let texts = || std::iter::once(text).chain(references.iter().map(String::as_str));
    let (bytes, depth) = (texts().map(str::len).sum(), texts().map(depth).sum());
    if bytes > MAX_BYTES || depth > MAX_DEPTH {
        return Err(SchemaError::TooLarge { bytes, depth, max_bytes: MAX_BYTES, max_depth: MAX_DEPTH });
    }
    if depth <= DEPTH_OF_ANY_STACK {
        return work();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("schema-parser".into()).stack_size(DEEP_STACK);
        let working = thread.spawn_scoped(scope, work).map_err(|source| SchemaError::NoStack(Arc::new(source)))?;
        working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Refuse names that are too long to be written again and again.
///
/// # Errors
/// There is one.
pub(super) fn check_names(text: &str, references: &[String]) -> Result<(), SchemaError> {
    for text in std::iter::once(text).chain(references.iter().map(String::as_str)) {
        // What is no JSON is for the library to complain of.
        let longest = serde_json::from_str(text).map_or(0, |schema| longest_name(&schema));
        if longest > MAX_NAME_BYTES {
            return Err(SchemaError::LongName { bytes: longest, max_bytes: MAX_NAME_BYTES });
        }
    }
    Ok(())
}

/// The length of the longest name among types and fields. What a default calls a name is none.
fn longest_name(schema: &Value) -> usize {
    let parts = match schema {
        Value::Array(parts) => return parts.iter().map(longest_name).max().unwrap_or(0),
        Value::Object(parts) => parts,
        _ => return 0,
    };
    let names = ["name", "namespace"].iter().filter_map(|key| parts.get(*key)?.as_str()).map(str::len);
    let within = ["type", "items", "values", "fields"].iter().filter_map(|key| parts.get(*key)).map(longest_name);
    names.chain(within).max().unwrap_or(0)
}

/// Parse a schema, with the types it refers to written into it.
pub(super) fn parse(text: &str, references: &[String]) -> AvroResult<Schema> {
    if references.is_empty() {
        return restore(Schema::parse_str(&prepare(text))?);
    }
    let references: Vec<_> = references.iter().map(|reference| prepare(reference)).collect();
    let (mut schema, others) = Schema::parse_str_with_list(&prepare(text), &references)?;
    schema.denormalize(&others)?;
    restore(schema)
}

/// How deep JSON nests.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted) = (0_usize, 0, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => drop(bytes.next()),
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The schema as the library may see it; what is no JSON is for the library to complain of.
fn prepare(text: &str) -> Cow<'_, str> {
    match serde_json::from_str(text) {
        Ok(mut schema) => {
            prepare_type(&mut schema);
            schema.to_string().into()
        }
        Err(_) => text.into(),
    }
}

fn prepare_type(schema: &mut Value) {
    let parts = match schema {
        Value::Array(variants) => return variants.iter_mut().for_each(prepare_type),
        Value::Object(parts) => parts,
        _ => return,
    };
    let own: &[&str] = match parts.get("type").and_then(Value::as_str) {
        Some("record" | "error") => &["name", "fields"],
        Some("enum") => &["name", "default"],
        Some("fixed") => &["name", "size", "precision", "scale"],
        Some("array") => &["items"],
        Some("map") => &["values"],
        _ => &["precision", "scale"],
    };
    keep(parts, own);
    if parts.get("type").and_then(Value::as_str) != Some("enum") {
        parts.remove("symbols");
    }
    for field in parts.get_mut("fields").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(field) = field.as_object_mut() else { continue };
        let default = field.remove("default");
        keep(field, &["name", "order"]);
        field.remove("symbols");
        field.remove(HIDDEN);
        if let Some(default) = default {
            field.insert(HIDDEN.into(), default);
        }
        field.get_mut("type").into_iter().for_each(prepare_type);
    }
    for part in ["type", "items", "values"] {
        parts.get_mut(part).into_iter().for_each(prepare_type);
    }
}

/// Leave out the attributes that are not this type's own, and numbers and orders that are none.
fn keep(parts: &mut Map<String, Value>, own: &[&str]) {
    parts.retain(|name, value| {
        let name = name.as_str();
        let whole = match name {
            "size" | "precision" | "scale" => match value.as_str() {
                Some(text) => text.parse::<i64>().is_ok(),
                None => value.as_i64().is_some(),
            },
            "order" => value.is_string(),
            _ => true,
        };
        !ATTRIBUTES.contains(&name) || (own.contains(&name) && whole)
    });
}

/// The parsed schema with its defaults where they belong.
fn restore(schema: Schema) -> AvroResult<Schema> {
    Ok(match schema {
        Schema::Record(RecordSchema { mut fields, name, aliases, doc, lookup, attributes }) => {
            for field in &mut fields {
                if let Some(default) = field.custom_attributes.remove(HIDDEN) {
                    field.default = Some(default);
                }
                field.schema = restore(std::mem::replace(&mut field.schema, Schema::Null))?;
            }
            Schema::Record(RecordSchema { fields, name, aliases, doc, lookup, attributes })
        }
        Schema::Array(mut array) => {
            array.items = Box::new(restore(*array.items)?);
            Schema::Array(array)
        }
        Schema::Map(mut map) => {
            map.types = Box::new(restore(*map.types)?);
            Schema::Map(map)
        }
        Schema::Union(union) => {
            let variants = union.variants().iter().cloned().map(restore).collect::<AvroResult<_>>()?;
            Schema::Union(UnionSchema::new(variants)?)
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_come_back_at_every_level_and_all_else_stays() {
        let inner = json!({"type": "record", "name": "N", "fields": [{"name": "n", "type": "int", "default": 1}]});
        let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2});
        let schema = json!({"type": "record", "name": "R", "doc": "d", "owner": "us", "fields": [
            {"name": "a", "type": ["null", {"type": "array", "items": {"type": "map", "values": inner}}], "default": null},
            {"name": "b", "type": {"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}, "default": "A"},
            {"name": "c", "type": "N", "default": {"default": 7, "n": 2}},
            {"name": "d", "type": decimal, "doc": "money", "pii": true, "aliases": ["e"]},
            {"name": "f", "type": {"type": "fixed", "name": "F", "size": 4}}]});
        let parsed = parse(&schema.to_string(), &[]).unwrap();
        let shown = serde_json::to_value(&parsed).unwrap();
        assert_eq!(shown, schema);
        assert!(!prepare(&schema.to_string()).contains(r#""default":null"#));
    }

    #[test]
    fn attributes_of_other_types_are_left_out_before_they_make_the_library_panic() {
        for odd in [
            json!({"size": "large"}),
            json!({"items": 7, "values": 7, "symbols": 7}),
            json!({"precision": "high", "scale": 1.5}),
            json!({"size": 18_446_744_073_709_551_615_u64}),
            json!({"order": 7}),
            json!({"default": {}, "tidings.default": 7}),
        ] {
            let with = |mut schema: Value| {
                schema.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
                schema
            };
            let types = [
                with(json!({"type": "record", "name": "N", "fields": []})),
                with(json!({"type": "enum", "name": "E", "symbols": ["A"]})),
                with(json!({"type": "fixed", "name": "F", "size": 2})),
                with(json!({"type": "array", "items": "int"})),
                with(json!({"type": "map", "values": "int"})),
                with(json!({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2})),
                with(json!({"type": "string", "name": 7})),
            ];
            for of in types {
                let field = with(json!({"name": "f", "type": of}));
                let schema = with(json!({"type": "record", "name": "R", "fields": [field]}));
                if let Ok(parsed) = parse(&schema.to_string(), &[]) {
                    assert!(parsed.canonical_form().contains("\"R\""));
                }
            }
        }
    }
}
