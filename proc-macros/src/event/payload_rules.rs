//! What a payload's schema may not hold, because some reader of the topic would misread it.

use super::schema::{Place, Record, Shape};

/// A broken rule: what is wrong, and the piece of the schema that is.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) message: String,
    pub(crate) place: Place,
}

/// The rules a field breaks, those of its parts included.
pub(crate) fn check(shape: &Shape, place: &Place) -> Vec<Breach> {
    let mut breaches = Vec::new();
    visit(shape, place, &mut breaches);
    breaches
}

fn visit(shape: &Shape, place: &Place, breaches: &mut Vec<Breach>) {
    let mut report = |message: String, place: &Place| breaches.push(Breach { message, place: place.clone() });
    match shape {
        Shape::Primitive { name, logical: Some(logical), .. } => {
            if let Some(message) = forbidden_logical_type(name, logical) {
                report(message, place);
            }
        }
        Shape::Fixed { logical: Some(logical), .. } => {
            if let Some(message) = forbidden_logical_type("fixed", logical) {
                report(message, place);
            }
        }
        Shape::Enum { default: None, full_name, place, .. } => {
            let message = format!(
                "the enum `{full_name}` has no default, so a reader that does not know a new symbol cannot read the event\n\
                 help: add \"default\": one of its symbols, such as \"UNKNOWN\""
            );
            report(message, place);
        }
        Shape::Array(part) | Shape::Map(part) => visit(part, place, breaches),
        Shape::Union(branches) => branches.iter().for_each(|branch| visit(branch, place, breaches)),
        Shape::Record(record) => visit_record(record, breaches),
        Shape::Primitive { .. } | Shape::Fixed { .. } | Shape::Enum { .. } | Shape::Reference(_) => {}
    }
}

fn visit_record(record: &Record, breaches: &mut Vec<Breach>) {
    for field in &record.fields {
        visit(&field.shape, &field.place, breaches);
        breaches.extend(check_optional(&field.shape, field.default.as_ref(), &field.place));
    }
}

fn forbidden_logical_type(base: &str, logical: &str) -> Option<String> {
    let fault = match logical {
        "time-millis" | "time-micros" | "duration" => format!(
            "the logical type \"{logical}\" is not read the same everywhere\n\
             help: a `long` that names its unit, such as `elapsed_ms`"
        ),
        "timestamp-millis" | "timestamp-nanos" | "local-timestamp-millis" | "local-timestamp-nanos" => {
            let micros = logical.replace("millis", "micros").replace("nanos", "micros");
            format!(
                "timestamps are in microseconds, not \"{logical}\"\nhelp: {{\"type\": \"long\", \"logicalType\": \"{micros}\"}}"
            )
        }
        "uuid" if base != "string" => {
            format!("a UUID is a string here, not {base:?}\nhelp: {{\"type\": \"string\", \"logicalType\": \"uuid\"}}")
        }
        _ => return None,
    };
    Some(fault)
}

/// An optional field is `["null", T]` with the default null, in this order: others may add or leave out the field then.
pub(crate) fn check_optional(shape: &Shape, default: Option<&serde_json::Value>, place: &Place) -> Option<Breach> {
    let branches = shape.optional_branches()?;
    let ty = branches.iter().find(|branch| !branch.is_null()).map_or_else(|| "T".to_owned(), |_| "…".to_owned());
    let help = format!("help: \"type\": [\"null\", {ty}], \"default\": null");
    let message = if !branches.first().is_some_and(Shape::is_null) {
        format!("an optional field has \"null\" as its first branch, as a default of null belongs to that one\n{help}")
    } else if default.is_none() {
        format!(
            "an optional field has a default, so that readers and writers without the field understand each other\n{help}"
        )
    } else if default.is_some_and(|value| !value.is_null()) {
        format!("the default of an optional field is null, which is its first branch\n{help}")
    } else {
        return None;
    };
    Some(Breach { message, place: place.clone() })
}
