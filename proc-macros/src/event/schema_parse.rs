//! Reads a schema. Each piece remembers its place in the text, so that an error can quote it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::schema::{Fault, Field, Place, Properties, Record, Shape, quote};
use crate::names::is_avro_name;

const PRIMITIVES: &[&str] = &["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

/// Deeper nesting is a mistake, and must not exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Longer quotations are cut.
const MAX_QUOTE: usize = 120;

type Object<'a> = BTreeMap<String, &'a RawValue>;

/// The record that `text` defines.
pub(crate) fn parse(text: &str) -> Result<Record, Fault> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        let place = Place { line: error.line(), quoted: shorten(line) };
        Fault { message: format!("it is not JSON: {error}"), place }
    })?;
    let mut reader = Reader { text, defined: BTreeMap::new() };
    match reader.shape(raw, "", 0)? {
        Shape::Record(record) => Ok(record),
        _ => {
            Err(reader.fault(raw, "its top level is not a record: a payload is a record, so that fields can be added"))
        }
    }
}

/// What a name of a fixed type stands for.
#[derive(Clone)]
struct Fixed {
    size: u64,
    logical: Option<String>,
    decimal: Option<(u64, u64)>,
}

struct Reader<'a> {
    text: &'a str,
    /// The named types so far, by full name. A fixed one is no type of its own in Rust, so it is kept.
    defined: BTreeMap<String, Option<Fixed>>,
}

impl<'a> Reader<'a> {
    fn shape(&mut self, raw: &'a RawValue, namespace: &str, depth: usize) -> Result<Shape, Fault> {
        if depth > MAX_DEPTH {
            return Err(self.fault(raw, &format!("it nests deeper than {MAX_DEPTH} levels")));
        }
        if let Ok(name) = serde_json::from_str::<String>(raw.get()) {
            return self.named(raw, &name, namespace, None, None);
        }
        if let Ok(branches) = serde_json::from_str::<Vec<&'a RawValue>>(raw.get()) {
            let branches = branches.into_iter().map(|branch| self.shape(branch, namespace, depth + 1));
            return branches.collect::<Result<_, _>>().map(Shape::Union);
        }
        let object = self.object(raw)?;
        let Some(kind) = object.get("type") else {
            return Err(self.fault(raw, "this has no \"type\""));
        };
        let kind_name = serde_json::from_str::<String>(kind.get());
        if object.contains_key("pii") && !matches!(kind_name.as_deref(), Ok("record" | "error")) {
            let message = "\"pii\" marks nothing in a type\nhelp: \"pii\": true beside the field's \"name\"";
            return Err(self.fault(raw, message));
        }
        let Ok(kind_name) = kind_name else {
            // `{"type": {"type": ..}}` and `{"type": [..]}` wrap the type they hold.
            return self.shape(kind, namespace, depth + 1);
        };
        let logical = text_of(&object, "logicalType");
        match kind_name.as_str() {
            "array" => Ok(Shape::Array(self.part(raw, &object, "items", namespace, depth)?)),
            "map" => Ok(Shape::Map(self.part(raw, &object, "values", namespace, depth)?)),
            "record" | "error" => self.record(raw, &object, namespace, depth).map(Shape::Record),
            "enum" => {
                let (full_name, _) = self.define(raw, &object, namespace)?;
                let Some(symbols) = value_of(&object, "symbols") else {
                    return Err(self.fault(raw, "an enum needs \"symbols\", a list of names"));
                };
                let (default, doc) = (text_of(&object, "default"), text_of(&object, "doc"));
                Ok(Shape::Enum { full_name, symbols, default, doc, place: self.place(raw) })
            }
            "fixed" => {
                let Some(size) = value_of(&object, "size") else {
                    return Err(self.fault(raw, "this needs a \"size\", a number of bytes"));
                };
                let full_name = self.define(raw, &object, namespace)?.0;
                let fixed = Fixed { size, logical, decimal: decimal(&object) };
                self.defined.insert(full_name.clone(), Some(fixed.clone()));
                Ok(fixed.named(full_name))
            }
            other => self.named(raw, other, namespace, logical, decimal(&object)),
        }
    }

    fn part(
        &mut self,
        raw: &'a RawValue,
        object: &Object<'a>,
        key: &str,
        namespace: &str,
        depth: usize,
    ) -> Result<Box<Shape>, Fault> {
        match object.get(key) {
            Some(part) => self.shape(part, namespace, depth + 1).map(Box::new),
            None => Err(self.fault(raw, &format!("this has no {key:?}"))),
        }
    }

    /// A primitive type, or a named one defined above.
    fn named(
        &self,
        raw: &'a RawValue,
        name: &str,
        namespace: &str,
        logical: Option<String>,
        decimal: Option<(u64, u64)>,
    ) -> Result<Shape, Fault> {
        if PRIMITIVES.contains(&name) {
            return Ok(Shape::Primitive { name: name.to_owned(), logical, decimal });
        }
        let full_name = qualify(name, namespace);
        match self.defined.get(&full_name) {
            Some(Some(fixed)) => return Ok(fixed.clone().named(full_name)),
            Some(None) => return Ok(Shape::Reference(full_name)),
            None => {}
        }
        Err(self.fault(raw, &format!("{name:?} is neither an Avro type nor defined above")))
    }

    fn record(
        &mut self,
        raw: &'a RawValue,
        object: &Object<'a>,
        namespace: &str,
        depth: usize,
    ) -> Result<Record, Fault> {
        let (full_name, namespace) = self.define(raw, object, namespace)?;
        self.check_mark(raw, object)?;
        let list = object.get("fields").and_then(|list| serde_json::from_str::<Vec<&'a RawValue>>(list.get()).ok());
        let Some(list) = list else {
            return Err(self.fault(raw, "a record needs \"fields\", a list"));
        };
        let mut fields: Vec<Field> = Vec::new();
        for entry in list {
            let object = self.object(entry)?;
            let name = match text_of(&object, "name") {
                Some(name) if is_avro_name(&name) => name,
                _ => {
                    let message = "a field needs a \"name\": a letter or `_`, then letters, digits or `_`";
                    return Err(self.fault(entry, message));
                }
            };
            self.check_mark(entry, &object)?;
            if fields.iter().any(|field| field.name == name) {
                return Err(self.fault(entry, &format!("there is more than one field {name:?}")));
            }
            let shape = *self.part(entry, &object, "type", &namespace, depth)?;
            let default = value_of(&object, "default");
            let (doc, properties) = (text_of(&object, "doc"), properties(&object));
            fields.push(Field { name, doc, shape, default, properties, place: self.place(entry) });
        }
        let (doc, properties) = (text_of(object, "doc"), properties(object));
        Ok(Record { full_name, doc, fields, properties, place: self.place(raw) })
    }

    /// What is no mark would hide nothing, and nobody would know.
    fn check_mark(&self, raw: &RawValue, object: &Object<'_>) -> Result<(), Fault> {
        match object.get("pii").map(|mark| mark.get()) {
            None | Some("true" | "false") => Ok(()),
            Some(other) => {
                let message = format!("\"pii\": {} marks nothing\nhelp: \"pii\": true", shorten(other));
                Err(self.fault(raw, &message))
            }
        }
    }

    /// Note a named type; its full name, and the namespace inside of it.
    fn define(&mut self, raw: &'a RawValue, object: &Object<'a>, namespace: &str) -> Result<(String, String), Fault> {
        let Some(name) = text_of(object, "name") else {
            return Err(self.fault(raw, "this type needs a \"name\""));
        };
        let namespace = text_of(object, "namespace").unwrap_or_else(|| namespace.to_owned());
        let full_name = qualify(&name, &namespace);
        if !full_name.split('.').all(is_avro_name) {
            return Err(self.fault(raw, &format!("{full_name:?} is not an Avro name")));
        }
        if self.defined.insert(full_name.clone(), None).is_some() {
            return Err(self.fault(raw, &format!("{full_name:?} is defined more than once")));
        }
        let inner = full_name.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        Ok((full_name, inner))
    }

    fn object(&self, raw: &'a RawValue) -> Result<Object<'a>, Fault> {
        serde_json::from_str(raw.get())
            .map_err(|_| self.fault(raw, "this is not a type: expected a name, a list or an object"))
    }

    fn fault(&self, raw: &RawValue, message: &str) -> Fault {
        Fault { message: message.to_owned(), place: self.place(raw) }
    }

    /// A raw value is a slice of the text it was read from.
    fn place(&self, raw: &RawValue) -> Place {
        let offset = (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let line = self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
        Place { line, quoted: shorten(raw.get()) }
    }
}

impl Fixed {
    fn named(self, full_name: String) -> Shape {
        Shape::Fixed { full_name, size: self.size, logical: self.logical, decimal: self.decimal }
    }
}

/// The text on one line, cut where it is too long.
fn shorten(text: &str) -> String {
    let mut quoted = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = quoted.char_indices().nth(MAX_QUOTE) {
        quoted.truncate(end);
        quoted.push('…');
    }
    quoted
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn text_of(object: &Object<'_>, key: &str) -> Option<String> {
    value_of(object, key)
}

fn value_of<T: DeserializeOwned>(object: &Object<'_>, key: &str) -> Option<T> {
    object.get(key).and_then(|raw| serde_json::from_str(raw.get()).ok())
}

/// The precision and the scale of a decimal.
fn decimal(object: &Object<'_>) -> Option<(u64, u64)> {
    value_of(object, "precision").map(|precision| (precision, value_of(object, "scale").unwrap_or_default()))
}

/// What Avro does not know.
fn properties(object: &Object<'_>) -> Properties {
    let known = ["type", "name", "namespace", "doc", "fields", "default", "aliases", "order"];
    let others = object.keys().filter(|key| !known.contains(&key.as_str()));
    others.filter_map(|key| Some((key.clone(), value_of(object, key)?))).collect()
}

/// A fault as part of a message, the help after the place.
pub(crate) fn describe(label: &str, fault: &Fault) -> String {
    let place = quote(label, &fault.place);
    match fault.message.split_once("\nhelp: ") {
        Some((message, help)) => format!("{message}\n{place}\nhelp: {help}"),
        None => format!("{}\n{place}", fault.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NESTED: &str = r#"{
        "type": "record", "name": "UserUpdated", "namespace": "accounts",
        "fields": [
            {"name": "id", "type": "long"},
            {"name": "tier", "type": {"type": "enum", "name": "Tier", "symbols": ["A"], "default": "A"}},
            {"name": "others",
             "type": {"type": "array", "items": ["null", "Tier", "accounts.Tier"]}}
        ]
    }"#;

    fn fault(text: &str) -> Fault {
        parse(text).unwrap_err()
    }

    #[test]
    fn a_piece_knows_its_line_and_its_text() {
        let record = parse(NESTED).unwrap();
        assert_eq!(record.full_name, "accounts.UserUpdated");
        assert_eq!(record.place.line, 1);
        let places: Vec<_> = record.fields.iter().map(|field| (field.name.as_str(), field.place.line)).collect();
        assert_eq!(places, [("id", 4), ("tier", 5), ("others", 6)]);
        assert_eq!(record.fields[0].place.quoted, r#"{"name": "id", "type": "long"}"#);
        assert!(record.fields[2].place.quoted.starts_with(r#"{"name": "others", "type": {"type""#));
    }

    #[test]
    fn a_name_is_looked_up_in_its_namespace() {
        let record = parse(NESTED).unwrap();
        assert_eq!(record.fields[2].shape.rust_type(), "Vec<…>");
        let unknown = fault(&NESTED.replace("\"accounts.Tier\"", "\"players.Tier\""));
        assert!(unknown.message.contains("\"players.Tier\" is neither"), "{unknown:?}");
        assert_eq!(unknown.place.line, 7);
    }

    #[test]
    fn the_name_of_a_fixed_type_is_the_fixed_type() {
        let record = parse(
            r#"{"type": "record", "name": "B", "fields": [
                {"name": "a", "type": {"type": "fixed", "name": "F", "size": 3}}, {"name": "b", "type": ["null", "F"]}]}"#,
        );
        let Shape::Union(branches) = &record.unwrap().fields[1].shape else { panic!("a union") };
        assert!(matches!(&branches[1], Shape::Fixed { size: 3, full_name, .. } if full_name == "F"));
    }

    #[test]
    fn what_is_no_record_says_so() {
        assert!(fault("{").message.starts_with("it is not JSON"));
        assert!(fault("\"string\"").message.contains("not a record"));
        assert!(fault("5").message.contains("not a type"));
        assert!(fault(r#"{"name": "a.B"}"#).message.contains("no \"type\""));
        assert!(fault(r#"{"type": "record", "name": "a.B"}"#).message.contains("\"fields\""));
        assert!(fault(r#"{"type": "record", "fields": []}"#).message.contains("\"name\""));
        assert!(fault(r#"{"type": "record", "name": "a.B-", "fields": []}"#).message.contains("not an Avro name"));
    }

    #[test]
    fn a_mark_is_true_or_false_and_in_a_field_or_a_record() {
        let with = |record: &str, field: &str, of: &str| {
            let text = format!(
                "{{\"type\": \"record\", \"name\": \"B\"{record}, \"fields\": [{{\"name\": \"a\"{field}, \"type\": {of}}}]}}"
            );
            parse(&text)
        };
        let marked = "{\"type\": \"string\", \"pii\": true}";
        for mark in ["", ", \"pii\": true", ", \"pii\": false"] {
            assert!(with(mark, mark, "\"string\"").is_ok(), "{mark}");
        }
        for mark in [", \"pii\": \"true\"", ", \"pii\": 1", ", \"pii\": null"] {
            for record in [with(mark, "", "\"string\""), with("", mark, "\"string\"")] {
                let fault = record.unwrap_err();
                assert!(fault.message.contains("marks nothing\nhelp: \"pii\": true"), "{fault:?}");
            }
        }
        let list = format!("{{\"type\": \"array\", \"items\": {marked}}}");
        for of in [marked, &format!("[\"null\", {marked}]"), &list, &format!("{{\"type\": {list}}}")] {
            let fault = with("", "", of).unwrap_err();
            assert!(fault.message.starts_with("\"pii\" marks nothing in a type"), "{fault:?}");
            assert_eq!(fault.place.quoted, marked);
        }
    }

    #[test]
    fn a_field_is_named_once() {
        let twice = r#"{"type": "record", "name": "B", "fields": [
            {"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}"#;
        assert!(fault(twice).message.contains("more than one field"));
    }

    #[test]
    fn hostile_nesting_ends() {
        let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(100), "}".repeat(100));
        assert!(fault(&deep).message.contains("nests deeper"));
    }
}
