//! Says nothing of values that a schema marks as sensitive, where they cannot be read or written.

use apache_avro::schema::{RecordSchema, ResolvedSchema};
use serde_json::Value;

use super::contract::Contract;
use super::plan::{Base, DatumError, Located, base};

/// A failure to read a payload of `contract`, without a reason that may show some of a value that is marked, and without a key within.
pub(super) fn hide_failure(contract: &Contract, error: DatumError) -> DatumError {
    let Ok(names) = ResolvedSchema::new(contract.schema()) else { return error.hidden_below(0) };
    let mut places = vec![Located::root(contract.schema(), names.get_names())];
    let mut marked = None;
    for (index, name) in error.path().enumerate() {
        let mut parts = Vec::new();
        for place in types(places) {
            match base(place.schema) {
                Base::Record(record) => {
                    for field in record.fields.iter().filter(|field| field.name == name) {
                        if is_marked(record.attributes.get("pii")) || is_marked(field.custom_attributes.get("pii")) {
                            marked = Some(index + 1);
                        }
                        parts.push(place.part(&field.schema));
                    }
                }
                Base::Array(part) | Base::Map(part) => parts.push(place.part(part)),
                _ => {}
            }
        }
        places = parts;
        if marked.is_some() {
            break;
        }
    }
    match marked {
        Some(length) => error.hidden_below(length),
        // What is said of a whole may be about a part of it.
        None if error.may_show_value()
            && types(places).into_iter().any(|place| marks_within(place, &mut Vec::new())) =>
        {
            let length = error.path().count();
            error.hidden_below(length)
        }
        None => error,
    }
}

/// The definitions of types, each branch of a union.
fn types(places: Vec<Located<'_>>) -> Vec<Located<'_>> {
    let definitions = places.into_iter().filter_map(|place| place.definition().ok());
    let branches = definitions.flat_map(|place| match base(place.schema) {
        Base::Union(union) => {
            union.variants().iter().filter_map(|variant| place.part(variant).definition().ok()).collect()
        }
        _ => vec![place],
    });
    branches.collect()
}

/// Whether anything in payloads of `contract` is marked.
pub(super) fn holds_marks(contract: &Contract) -> bool {
    match ResolvedSchema::new(contract.schema()) {
        Ok(names) => marks_within(Located::root(contract.schema(), names.get_names()), &mut Vec::new()),
        Err(_) => true,
    }
}

/// Whether this field of the payload itself is marked, or anything within it.
pub(super) fn is_marked_below(contract: &Contract, field: &str) -> bool {
    let Ok(names) = ResolvedSchema::new(contract.schema()) else { return true };
    let root = Located::root(contract.schema(), names.get_names());
    let Base::Record(record) = base(root.schema) else { return true };
    let Some(field) = record.fields.iter().find(|candidate| candidate.name == field) else { return true };
    is_marked(record.attributes.get("pii"))
        || is_marked(field.custom_attributes.get("pii"))
        || marks_within(root.part(&field.schema), &mut Vec::new())
}

/// Whether anything within is marked.
fn marks_within(place: Located<'_>, seen: &mut Vec<*const RecordSchema>) -> bool {
    types(vec![place]).into_iter().any(|place| match base(place.schema) {
        Base::Record(record) => {
            let this = std::ptr::from_ref(record);
            if seen.contains(&this) {
                return false;
            }
            seen.push(this);
            is_marked(record.attributes.get("pii"))
                || record.fields.iter().any(|field| {
                    is_marked(field.custom_attributes.get("pii")) || marks_within(place.part(&field.schema), seen)
                })
        }
        Base::Array(part) | Base::Map(part) => marks_within(place.part(part), seen),
        _ => false,
    })
}

/// Whether `"pii": true` is there.
pub(super) fn is_marked(property: Option<&Value>) -> bool {
    property == Some(&Value::Bool(true))
}
