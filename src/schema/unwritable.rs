//! Why a payload cannot be written, in plain words.

use apache_avro::error::Details;

use super::contract::Contract;
use super::marks::{holds_marks, is_marked_below};

/// Which field of a payload of `contract` does not fit, and why; the library's own message would print the whole schema. What is said of
/// a field that is marked, or that holds something marked, is left out: a type may name its value.
pub(super) fn unwritable(contract: &Contract, details: Details) -> String {
    let hint = " (a newtype needs #[serde(transparent)] to be written as what it holds)";
    match details {
        // The outermost field: what is said of those within it comes as text.
        Details::SerializeRecordFieldWithSchema { field_name, error, .. } => {
            let hint = if error.contains("`newtype struct`") { hint } else { "" };
            if is_marked_below(contract, &field_name) {
                return format!("field `{field_name}`: {NOT_SHOWN}{hint}");
            }
            format!("field `{field_name}`: {error}{hint}")
        }
        Details::GetField(name) | Details::FieldName(name) => format!("field `{name}`: the schema has no such field"),
        Details::MissingDefaultForSkippedField { field_name, .. } => {
            format!("field `{field_name}`: it is missing, and has no default")
        }
        // Said of the whole, which may be about any part of it.
        _ if holds_marks(contract) => NOT_SHOWN.into(),
        Details::SerializeValueWithSchema { value_type, value, .. } => format!("a value of type {value_type}: {value}"),
        other => other.to_string(),
    }
}

const NOT_SHOWN: &str = "why is not shown: the schema marks values in it as \"pii\"";
