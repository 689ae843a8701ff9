//! What makes an event of a record: its key, its version, and a payload that every reader reads alike.

use semver::Version;
use serde_json::Value;
use syn::LitStr;

use super::folder::SchemaFile;
use crate::diagnostics::Diagnostics;
use crate::event::payload_rules;
use crate::event::schema::{Field, Place, Shape};
use crate::names;

/// What the properties of a schema say of its event.
pub(super) struct EventProperties {
    pub(super) version: String,
    pub(super) entity: Option<String>,
    /// The field's name in the schema.
    pub(super) key: String,
    pub(super) entity_id: Option<String>,
}

/// Check an event's schema; what its properties say.
pub(super) fn check(file: &SchemaFile, literal: &LitStr, diagnostics: &mut Diagnostics) -> Option<EventProperties> {
    let mut report = |message: String, place: &Place, help: &str| {
        let place = file.schema.quote(place);
        diagnostics.error(literal, format!("{message}\n{place}\nhelp: {help}"));
    };
    let record = file.record();
    let name = &record.full_name;
    if let Err(message) = names::check_event_name(name) {
        let (message, help) = message.split_once("\nhelp: ").unwrap_or((&message, ""));
        report(message.to_owned(), &record.place, help);
    }
    for field in &record.fields {
        let mut breaches = payload_rules::check(&field.shape, &field.place);
        breaches.extend(payload_rules::check_optional(&field.shape, field.default.as_ref(), &field.place));
        for breach in breaches {
            let (rule, help) = breach.message.split_once("\nhelp: ").unwrap_or((&breach.message, ""));
            report(format!("field `{}` of `{name}`: {rule}", field.name), &breach.place, help);
        }
    }
    let version = record.properties.get("tidings.version").and_then(Value::as_str);
    let version_help = "\"tidings.version\": \"1.0.0\" beside the record's name";
    match version.map(str::parse::<Version>) {
        None => {
            report(format!("`{name}` states no version, which handlers choose events by"), &record.place, version_help);
        }
        Some(Err(error)) => report(format!("the version of `{name}` is none: {error}"), &record.place, version_help),
        Some(Ok(_)) => {}
    }
    let marked = |property: &str| -> Vec<&Field> {
        record.fields.iter().filter(|field| field.properties.get(property) == Some(&Value::Bool(true))).collect()
    };
    let keys = marked("tidings.key");
    match keys.as_slice() {
        [key] if !can_be_key(&key.shape) => {
            let help = "a key is an `int`, a `long`, a `string` or a UUID, and never null";
            report(format!("`{}` of `{name}` cannot be the key", key.name), &key.place, help);
        }
        [_] => {}
        [] => report(
            format!("`{name}` has no key: events of one key, usually the user's id, stay in order"),
            &record.place,
            "\"tidings.key\": true in one of its fields",
        ),
        [_, second, ..] => report(
            format!("`{name}` has more than one key, and the key decides the partition"),
            &second.place,
            "\"tidings.key\": true in one field only; the entity's id, if it is another, is \"tidings.entity_id\": true",
        ),
    }
    let ids = marked("tidings.entity_id");
    if let [_, second, ..] = ids.as_slice() {
        report(
            format!("`{name}` belongs to one entity"),
            &second.place,
            "\"tidings.entity_id\": true in one field only",
        );
    }
    let entity = record.properties.get("tidings.entity").and_then(Value::as_str);
    Some(EventProperties {
        version: version?.to_owned(),
        entity: entity.map(str::to_owned),
        key: keys.first()?.name.clone(),
        entity_id: ids.first().map(|field| field.name.clone()),
    })
}

fn can_be_key(shape: &Shape) -> bool {
    matches!(shape, Shape::Primitive { name, logical, .. }
        if matches!(name.as_str(), "int" | "long" | "string") && logical.as_ref().is_none_or(|logical| logical == "uuid"))
}
