//! What a schema marks as sensitive, with `"pii": true`.

use apache_avro::schema::{RecordField, RecordSchema, ResolvedSchema};
use serde_json::Value;

use super::contract::Contract;
use super::plan::{Base, Located, base};

/// The definitions of types, each branch of a union.
pub(super) fn types(places: Vec<Located<'_>>) -> Vec<Located<'_>> {
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
    is_field_marked(record, field) || marks_within(root.part(&field.schema), &mut Vec::new())
}

/// Whether anything within is marked.
pub(super) fn marks_within(place: Located<'_>, seen: &mut Vec<*const RecordSchema>) -> bool {
    types(vec![place]).into_iter().any(|place| match base(place.schema) {
        Base::Record(record) => {
            let this = std::ptr::from_ref(record);
            if seen.contains(&this) {
                return false;
            }
            seen.push(this);
            is_marked(record.attributes.get("pii"))
                || record
                    .fields
                    .iter()
                    .any(|field| is_field_marked(record, field) || marks_within(place.part(&field.schema), seen))
        }
        Base::Array(part) | Base::Map(part) => marks_within(place.part(part), seen),
        _ => false,
    })
}

/// Whether `"pii": true` is there.
pub(super) fn is_marked(property: Option<&Value>) -> bool {
    property == Some(&Value::Bool(true))
}

/// Whether a field is marked, or the record that it is a field of.
pub(super) fn is_field_marked(record: &RecordSchema, field: &RecordField) -> bool {
    is_marked(record.attributes.get("pii")) || is_marked(field.custom_attributes.get("pii"))
}
