//! How far an event's version has to rise.

use std::fmt;

use semver::Version;
use serde_json::Value;

use super::breaks::between;
use crate::schema::SchemaError;
use crate::schema::contract::Contract;

/// The property of a schema that states the event's version.
pub(crate) const VERSION_PROPERTY: &str = "tidings.version";

/// What kind of change lies between two versions of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// None: they say the same.
    None,
    /// Documentation and properties only: payloads are alike.
    Patch,
    /// Payloads differ, and each version reads the other's.
    Minor,
    /// One of the two cannot read what the other writes.
    ///
    /// Whichever it is: a handler that takes `^1` is sent every version 1 there will be, and one that was written for 1.5 is sent
    /// the 1.0 that is still on the topic. So removing a field that handlers need is as much a major change as adding one
    /// without a default.
    Major,
}

impl Change {
    /// The change from `old` to `new`.
    ///
    /// # Errors
    /// One of the two is no schema of a record.
    pub fn between(old: &str, new: &str) -> Result<Self, SchemaError> {
        let (before, after) = (Contract::parse(old)?, Contract::parse(new)?);
        if !between(&before, &after).is_empty() || !between(&after, &before).is_empty() {
            return Ok(Self::Major);
        }
        let (old, new) = (meaning(old), meaning(new));
        if old == new {
            return Ok(Self::None);
        }
        Ok(if without_remarks(old) == without_remarks(new) { Self::Patch } else { Self::Minor })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "no change",
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// The version a schema states in its property `tidings.version`; `None` where it states none, or none that is a semantic version.
pub fn stated_version(schema: &str) -> Option<Version> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    schema.get(VERSION_PROPERTY)?.as_str()?.parse().ok()
}

/// The least version that may follow `last` after such a change.
///
/// Below 1.0.0 the minor version does what the major version does above, as `^0.1` has it.
pub fn least_version(last: &Version, change: Change) -> Version {
    let Version { major, minor, patch, .. } = *last;
    match (change, major) {
        (Change::None, _) => last.clone(),
        (Change::Major, 0) => Version::new(0, minor + 1, 0),
        (Change::Major, _) => Version::new(major + 1, 0, 0),
        (Change::Minor, 1..) => Version::new(major, minor + 1, 0),
        // A release of what was a pre-release needs no further step.
        (Change::Patch, _) if !last.pre.is_empty() => Version::new(major, minor, patch),
        (Change::Minor, 0) | (Change::Patch, _) => Version::new(major, minor, patch + 1),
    }
}

/// A schema's meaning: without the version it states.
fn meaning(schema: &str) -> Value {
    let mut schema: Value = serde_json::from_str(schema).unwrap_or_default();
    if let Value::Object(record) = &mut schema {
        record.remove(VERSION_PROPERTY);
    }
    schema
}

/// What of a schema decides how payloads are written and read.
fn without_remarks(schema: Value) -> Value {
    const KEPT: &[&str] = &[
        "type",
        "name",
        "namespace",
        "fields",
        "symbols",
        "items",
        "values",
        "size",
        "logicalType",
        "precision",
        "scale",
        "default",
        "aliases",
    ];
    match schema {
        Value::Object(object) => {
            let kept = object.into_iter().filter(|(key, _)| KEPT.contains(&key.as_str()));
            // A default is a value, not a schema: its keys are the payload's own.
            kept.map(|(key, value)| if key == "default" { (key, value) } else { (key, without_remarks(value)) })
                .collect()
        }
        Value::Array(items) => items.into_iter().map(without_remarks).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)
    }

    fn change(old: &str, new: &str) -> Change {
        Change::between(&schema(old), &schema(new)).unwrap()
    }

    #[test]
    fn a_change_is_as_great_as_what_it_does_to_either_reader() {
        let id = r#"{"name": "id", "type": "long"}"#;
        let with = |field: &str| format!("{id}, {field}");
        assert_eq!(change(id, r#"{"type": "long", "name": "id"}"#), Change::None);
        assert_eq!(change(id, r#"{"name": "id", "type": "long", "doc": "x", "pii": true}"#), Change::Patch);
        assert_eq!(change(id, &with(r#"{"name": "a", "type": "int", "default": 0}"#)), Change::Minor);
        assert_eq!(change(&with(r#"{"name": "a", "type": "int", "default": 0}"#), id), Change::Minor);
        assert_eq!(change(id, &with(r#"{"name": "a", "type": "int"}"#)), Change::Major);
        assert_eq!(change(&with(r#"{"name": "a", "type": "int"}"#), id), Change::Major);
        let of = |default: &str| with(&format!(r#"{{"name": "a", "type": "int", "default": {default}}}"#));
        assert_eq!(change(&of("0"), &of("1")), Change::Minor);
        // Only the new reader can take both.
        assert_eq!(change(r#"{"name": "id", "type": "int"}"#, id), Change::Major);
    }

    #[test]
    fn the_version_a_schema_states_is_no_change_of_its_own() {
        let stating = |version: &str| {
            format!(r#"{{"type": "record", "name": "R", "tidings.version": "{version}", "fields": []}}"#)
        };
        assert_eq!(Change::between(&stating("1.0.0"), &stating("1.1.0")).unwrap(), Change::None);
        assert_eq!(stated_version(&stating("1.2.3")), Some(Version::new(1, 2, 3)));
        assert_eq!((stated_version(&stating("1")), stated_version(&schema(""))), (None, None));
    }

    #[test]
    fn a_version_rises_by_the_kind_of_change() {
        for (last, change, least) in [
            ("1.2.3", Change::Major, "2.0.0"),
            ("1.2.3", Change::Minor, "1.3.0"),
            ("1.2.3", Change::Patch, "1.2.4"),
            ("1.2.3", Change::None, "1.2.3"),
            ("0.2.3", Change::Major, "0.3.0"),
            ("0.2.3", Change::Minor, "0.2.4"),
            ("2.0.0-rc.1", Change::Patch, "2.0.0"),
        ] {
            assert_eq!(least_version(&last.parse().unwrap(), change).to_string(), least, "{last} {change}");
        }
    }
}
