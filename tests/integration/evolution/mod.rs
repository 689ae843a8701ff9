//! What becomes of payloads whose schema changed: every change of `matrix.json`, both ways, through Kafka and the registry; read by
//! our plans and by Python's fastavro, which have to agree.

use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::reader::read;
use crate::setting;
use crate::support::scene::{Scene, codec};

const MATRIX: &str = include_str!("matrix.json");

/// A change of a schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    change: String,
    /// Why we refuse what others read.
    stricter: Option<String>,
    /// What others do that were asked, too.
    #[serde(default)]
    note: String,
    old: Value,
    new: Value,
    cases: Vec<Case>,
}

/// A payload written with one of the schemas, and what a reader with the other sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    written: Side,
    value: Value,
    /// The value, or `"refused"`.
    read: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Old,
    New,
}

impl Row {
    /// A list of fields stands for a record of the same name everywhere.
    fn schema(&self, side: Side) -> String {
        let schema = if side == Side::Old { &self.old } else { &self.new };
        if schema.is_array() {
            json!({"type": "record", "name": "Changed", "namespace": "evolution", "fields": schema}).to_string()
        } else {
            schema.to_string()
        }
    }
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Old { Self::New } else { Self::Old }
    }
}

/// As Python has it: the value of a union without the name of its branch.
fn bare(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let first = fields.keys().next().map(String::as_str);
            let branch = first.is_some_and(|name| name == "long" || name == "string" || name.starts_with("evolution."));
            if fields.len() == 1 && branch {
                return bare(fields.into_iter().next().unwrap().1);
            }
            fields.into_iter().map(|(name, value)| (name, bare(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(bare).collect(),
        other => other,
    }
}

/// What fastavro makes of the records, by their keys.
fn python(topic: &str, count: usize) -> Vec<Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration");
    let output = Command::new(setting("TIDINGS_TEST_PYTHON"))
        .arg(format!("{folder}/python/read_evolved.py"))
        .args([setting("TIDINGS_TEST_BROKERS"), setting("TIDINGS_TEST_REGISTRY"), topic.to_owned(), count.to_string()])
        .arg(format!("{folder}/evolution/matrix.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn our_plans_and_fastavro_read_every_change_alike() {
    let rows: Vec<Row> = serde_json::from_str(MATRIX).unwrap();
    let (scene, writer) = (Scene::new(1).await, codec());
    let mut written = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        for (number, case) in row.cases.iter().enumerate() {
            let datum = writer.encode_json(&row.schema(case.written), &case.value).expect(&row.change);
            let framed = writer.frame(&scene.topic(), datum).await.expect(&row.change);
            let key = format!("{index}/{number}");
            scene.write(Some(key.as_bytes()), Some(&framed.bytes), &[]).await;
            written.push((row, case, key));
        }
    }

    let (reader, topic) = (codec(), scene.topic());
    let records = read(&setting("TIDINGS_TEST_BROKERS"), &topic, 1, written.len());
    let python = python(&topic, written.len());
    let mut wrong = Vec::new();
    for (((row, case, key), record), theirs) in written.iter().zip(&records).zip(&python) {
        assert_eq!((record.key.as_deref(), theirs["key"].as_str()), (Some(key.as_bytes()), Some(&**key)));
        let other = row.schema(case.written.other());
        let ours = match reader.decode_json_as(&other, record.payload.as_deref()).await {
            Ok(json) => bare(json.value),
            Err(error) => {
                assert!(!error.is_unavailable(), "{error}");
                "refused".into()
            }
        };
        let theirs = if theirs.get("refused").is_some() { &Value::from("refused") } else { &theirs["read"] };
        let agree = ours == *theirs || (row.stricter.is_some() && ours == "refused" && theirs != "refused");
        if ours != case.read || !agree {
            let Row { change, note, .. } = row;
            let Case { written, value, read } = case;
            wrong.push(format!(
                "{change}: {written:?} {value}: wanted {read}, ours {ours}, fastavro's {theirs}. {note}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((records.len(), python.len()), (written.len(), written.len()));
}

/// So that no kind of change is left out by accident, and none of the rows is empty.
#[test]
fn the_matrix_has_every_kind_of_change_both_ways() {
    let rows: Vec<Row> = serde_json::from_str(MATRIX).unwrap();
    for row in &rows {
        for side in [Side::Old, Side::New] {
            assert!(row.cases.iter().any(|case| case.written == side), "{}: {side:?} is not written", row.change);
        }
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
        "a value becomes optional",
        "an optional value becomes required",
        "a symbol is added",
        "a symbol is removed",
        "reordered",
        "a nested record",
        "a union is widened",
        "the namespace moves",
    ] {
        assert!(rows.iter().any(|row| row.change.contains(kind)), "no row for: {kind}");
    }
}
