//! The rows of `matrix.json`.

use serde::Deserialize;
use serde_json::{Value, json};

const MATRIX: &str = include_str!("matrix.json");

/// What is in place of a value where a reader refuses it.
pub(crate) const REFUSED: &str = "refused";

/// A change of a schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    pub(crate) change: String,
    /// Why others do otherwise than we; only where they do.
    pub(crate) why: Option<String>,
    old: Value,
    new: Value,
    pub(crate) cases: Vec<Case>,
}

/// A payload written with one of the schemas, and what a reader with the other sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) written: Side,
    pub(crate) value: Value,
    /// The value, or `"refused"`.
    pub(crate) read: Value,
    /// What Python's fastavro reads, where it is something else.
    pub(crate) python: Option<Value>,
    /// What Java's Avro reads, where it is something else.
    pub(crate) java: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Old,
    New,
}

impl Row {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        serde_json::from_str(MATRIX).unwrap()
    }

    /// A list of fields stands for a record of the same name everywhere.
    pub(crate) fn schema(&self, side: Side) -> String {
        let schema = if side == Side::Old { &self.old } else { &self.new };
        if schema.is_array() {
            json!({"type": "record", "name": "Changed", "namespace": "evolution", "fields": schema}).to_string()
        } else {
            schema.to_string()
        }
    }
}

impl Side {
    pub(crate) fn other(self) -> Self {
        if self == Self::Old { Self::New } else { Self::Old }
    }
}

/// So that no kind of change is left out by accident, none of the rows is empty, and nobody differs without a reason.
#[test]
fn the_matrix_has_every_kind_of_change_both_ways() {
    let rows = Row::all();
    for row in &rows {
        for side in [Side::Old, Side::New] {
            assert!(row.cases.iter().any(|case| case.written == side), "{}: {side:?} is not written", row.change);
        }
        let differ = row.cases.iter().any(|case| case.python.is_some() || case.java.is_some());
        assert_eq!(
            differ,
            row.why.is_some(),
            "{}: a reason goes with what others read, and with nothing else",
            row.change
        );
    }
    for kind in [
        "is added, with a default",
        "is added, without a default",
        "is removed",
        "is renamed, with the old name as its alias",
        "int becomes long",
        "int becomes float",
        "int becomes double",
        "long becomes float",
        "long becomes double",
        "float becomes double",
        "string becomes bytes",
        "a value becomes optional",
        "an optional value becomes required",
        "a symbol is added to an enum, with a default",
        "a symbol is added to an enum, without a default",
        "a symbol is removed from an enum, with a default",
        "a symbol is removed from an enum, without a default",
        "reordered",
        "a nested record",
        "a union is widened",
        "the namespace moves",
    ] {
        assert!(rows.iter().any(|row| row.change.contains(kind)), "no row for: {kind}");
    }
}
