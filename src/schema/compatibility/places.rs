//! Finds a field in the text of its schema.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use super::walk::Step;

/// Deeper definitions are not looked for.
const MAX_DEPTH: usize = 128;

type Object<'t> = BTreeMap<String, &'t RawValue>;

/// Where the part lies that `path` leads to, in bytes; where it cannot be found, the closest around it.
pub(super) fn find(text: &str, path: &[Step]) -> Range<usize> {
    let Ok(root) = serde_json::from_str::<&RawValue>(text) else { return 0..text.len().min(1) };
    let mut definitions = BTreeMap::new();
    define(root, &mut definitions, 0);
    let mut place = head(text, root);
    let mut node = Some(root);
    for step in path {
        let Some(at) = node.and_then(|node| definition(node, &definitions, 0)) else { break };
        node = match step {
            Step::Field(name) => match field(at, name) {
                Some((whole, ty)) => {
                    place = span(text, whole);
                    ty
                }
                None => None,
            },
            Step::Items => object(at).and_then(|object| object.get("items").copied()),
            Step::Values => object(at).and_then(|object| object.get("values").copied()),
            Step::Branch(index) => branches(at).and_then(|branches| branches.get(*index).copied()),
        };
    }
    place
}

/// The place of a raw value: a slice of the text it was read from.
fn span(text: &str, raw: &RawValue) -> Range<usize> {
    let start = (raw.get().as_ptr().addr()).saturating_sub(text.as_ptr().addr()).min(text.len());
    start..(start + raw.get().len()).min(text.len())
}

/// The record's name stands for the record: all of it would be all of the text.
fn head(text: &str, root: &RawValue) -> Range<usize> {
    object(root).and_then(|object| object.get("name").map(|name| span(text, name))).unwrap_or_else(|| span(text, root))
}

fn object(raw: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(raw.get()).ok()
}

fn branches(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A field, and its type.
fn field<'t>(record: &'t RawValue, name: &str) -> Option<(&'t RawValue, Option<&'t RawValue>)> {
    let fields: Vec<&RawValue> = serde_json::from_str(object(record)?.get("fields")?.get()).ok()?;
    fields.into_iter().find_map(|whole| {
        let object = object(whole)?;
        (text_of(object.get("name")?)? == name).then(|| (whole, object.get("type").copied()))
    })
}

/// The definition behind a name, or behind a type that only wraps another.
fn definition<'t>(
    raw: &'t RawValue,
    definitions: &BTreeMap<String, &'t RawValue>,
    depth: usize,
) -> Option<&'t RawValue> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(name) = text_of(raw) {
        return definitions.get(last_part(&name)).copied();
    }
    match object(raw) {
        Some(object) => match object.get("type") {
            Some(ty) if text_of(ty).is_none() => definition(ty, definitions, depth + 1),
            _ => Some(raw),
        },
        None => Some(raw),
    }
}

/// Note the named types, by their last names: two that differ in their namespaces alone are rare, and this only shows a place.
fn define<'t>(raw: &'t RawValue, definitions: &mut BTreeMap<String, &'t RawValue>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(branches) = branches(raw) {
        for branch in branches {
            define(branch, definitions, depth + 1);
        }
        return;
    }
    let Some(object) = object(raw) else { return };
    let fields = object.get("fields");
    let is_type = fields.is_some() || object.contains_key("symbols") || object.contains_key("size");
    if let Some(name) = object.get("name").and_then(|name| text_of(name)).filter(|_| is_type) {
        definitions.entry(last_part(&name).to_owned()).or_insert(raw);
    }
    for part in ["type", "items", "values", "fields"] {
        if let Some(part) = object.get(part) {
            define(part, definitions, depth + 1);
        }
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type": "record", "name": "a.Moved", "fields": [
        {"name": "home", "type": {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}},
        {"name": "others", "type": ["null", {"type": "array", "items": "a.Address"}]}
    ]}"#;

    fn found(path: &[Step]) -> &'static str {
        &TEXT[find(TEXT, path)]
    }

    #[test]
    fn a_field_is_found_through_unions_arrays_and_names() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert_eq!(found(&[]), "\"a.Moved\"");
        assert_eq!(found(&[field("home"), field("city")]), r#"{"name": "city", "type": "string"}"#);
        let through_a_name = [field("others"), Step::Branch(1), Step::Items, field("city")];
        assert_eq!(found(&through_a_name), r#"{"name": "city", "type": "string"}"#);
    }

    #[test]
    fn what_is_not_there_is_shown_by_what_is_around_it() {
        let field = |name: &str| Step::Field(name.to_owned());
        assert!(found(&[field("home"), field("street")]).starts_with(r#"{"name": "home""#));
        assert_eq!(found(&[field("nowhere"), Step::Items]), "\"a.Moved\"");
        assert_eq!(find("no json", &[]), 0..1);
        assert_eq!(find("", &[]), 0..0);
    }
}
