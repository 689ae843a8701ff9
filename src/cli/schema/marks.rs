//! Marks of sensitive values that would hide nothing, and nobody would know.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::value::RawValue;

use super::finding::{Finding, Piece};
use super::history::Revision;

/// Deeper types are not looked at.
const MAX_DEPTH: usize = 128;

/// What is said as `"pii"` and marks nothing.
pub(super) fn misplaced(event: &str, working: &Revision) -> Vec<Finding> {
    let mut marks = Vec::new();
    if let Ok(root) = serde_json::from_str(&working.text) {
        visit(root, &mut marks, 0);
    }
    marks.into_iter().map(|mark| mark.finding(event, working)).collect()
}

/// A mark that is none.
struct Mark<'t> {
    value: &'t RawValue,
    /// Whether it is in a type; else it is in a field or a record, and not true or false.
    in_type: bool,
}

impl Mark<'_> {
    fn finding(&self, event: &str, working: &Revision) -> Finding {
        let (message, help) = if self.in_type {
            (
                format!("a mark of {event} marks nothing: \"pii\" is in a type"),
                "\"pii\": true beside the field's \"name\"",
            )
        } else {
            (format!("a mark of {event} marks nothing: \"pii\" is neither true nor false"), "\"pii\": true")
        };
        let piece = Piece {
            origin: working.path.display().to_string(),
            text: working.text.clone(),
            at: span(&working.text, self.value),
            label: "hides nothing".to_owned(),
        };
        Finding { is_error: true, message, pieces: vec![piece], help: Some(help.to_owned()) }
    }
}

fn visit<'t>(raw: &'t RawValue, marks: &mut Vec<Mark<'t>>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Ok(branches) = serde_json::from_str::<Vec<&'t RawValue>>(raw.get()) {
        return branches.into_iter().for_each(|branch| visit(branch, marks, depth + 1));
    }
    let Some(object) = object(raw) else { return };
    let kind = object.get("type").and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
    if matches!(kind.as_deref(), Some("record" | "error")) {
        check(&object, marks);
        let fields =
            object.get("fields").and_then(|fields| serde_json::from_str::<Vec<&'t RawValue>>(fields.get()).ok());
        for field in fields.into_iter().flatten().filter_map(self::object) {
            check(&field, marks);
            if let Some(of) = field.get("type") {
                visit(of, marks, depth + 1);
            }
        }
        return;
    }
    marks.extend(object.get("pii").map(|value| Mark { value, in_type: true }));
    for part in ["type", "items", "values"] {
        if let Some(part) = object.get(part) {
            visit(part, marks, depth + 1);
        }
    }
}

/// The mark of a field or a record.
fn check<'t>(object: &BTreeMap<String, &'t RawValue>, marks: &mut Vec<Mark<'t>>) {
    let none = object.get("pii").filter(|value| !matches!(value.get(), "true" | "false"));
    marks.extend(none.map(|value| Mark { value, in_type: false }));
}

fn object(raw: &RawValue) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(raw.get()).ok()
}

/// The place of a raw value: a slice of the text it was read from.
fn span(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr().saturating_sub(text.as_ptr().addr()).min(text.len());
    start..(start + raw.get().len()).min(text.len())
}
