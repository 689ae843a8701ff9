//! Says nothing of values that a schema marks as sensitive, where they cannot be read.

use apache_avro::schema::ResolvedSchema;

use super::contract::Contract;
use super::marks::{is_field_marked, marks_within, types};
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
                        if is_field_marked(record, field) {
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
