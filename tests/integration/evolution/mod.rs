//! What becomes of payloads whose schema changed: every change of `matrix.json`, both ways, through Kafka and the registry; read by
//! our plans, by Python's fastavro and by Java's Avro.

mod matrix;

use std::process::Command;

use serde_json::Value;
use tidings::schema::compatibility::breaks;

use self::matrix::{Case, REFUSED, Row};
use crate::reader::read;
use crate::setting;
use crate::support::jvm::jvm_program;
use crate::support::scene::{Scene, codec};

/// A payload of the matrix on a topic.
struct Written<'m> {
    /// The position of the row and of its case, as "3/1".
    key: String,
    row: &'m Row,
    case: &'m Case,
}

/// Write every payload of the matrix with its schema in the registry.
async fn write<'m>(rows: &'m [Row], scene: &Scene) -> Vec<Written<'m>> {
    let writer = codec();
    let mut written = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        for (number, case) in row.cases.iter().enumerate() {
            let datum = writer.encode_json(&row.schema(case.written), &case.value).expect(&row.change);
            let framed = writer.frame(&scene.topic(), datum).await.expect(&row.change);
            let key = format!("{index}/{number}");
            scene.write(Some(key.as_bytes()), Some(&framed.bytes), &[]).await;
            written.push(Written { key, row, case });
        }
    }
    written
}

/// What our plans make of the records.
async fn ours(scene: &Scene, written: &[Written<'_>]) -> Vec<Value> {
    let reader = codec();
    let records = read(&setting("TIDINGS_TEST_BROKERS"), &scene.topic(), 1, written.len());
    let mut ours = Vec::new();
    for (Written { key, row, case }, record) in written.iter().zip(&records) {
        assert_eq!(record.key.as_deref(), Some(key.as_bytes()));
        let other = row.schema(case.written.other());
        ours.push(match reader.decode_json_as(&other, record.payload.as_deref()).await {
            Ok(json) => bare(json.value),
            Err(error) => {
                assert!(!error.is_unavailable(), "{error}");
                REFUSED.into()
            }
        });
    }
    ours
}

/// The value of a union without the name of its branch, as others have it.
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

/// What the other program says of the records, a line for each.
fn answers(mut program: Command, scene: &Scene, written: &[Written<'_>]) -> Vec<Value> {
    let output = program
        .args([setting("TIDINGS_TEST_BROKERS"), setting("TIDINGS_TEST_REGISTRY"), scene.topic()])
        .args([
            &written.len().to_string(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/evolution/matrix.json"),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<_> = answers.iter().map(|answer| answer["key"].as_str().unwrap()).collect();
    assert_eq!(keys, written.iter().map(|written| &*written.key).collect::<Vec<_>>());
    answers
}

/// Hold what `who` read to what the matrix says.
fn compare(who: &str, read: &[Value], written: &[Written<'_>], expected: impl Fn(&Case) -> &Value) {
    let wrong: Vec<_> = written
        .iter()
        .zip(read)
        .filter(|(written, read)| expected(written.case) != *read)
        .map(|(Written { row, case, .. }, read)| {
            let (change, wanted) = (&row.change, expected(case));
            format!("{change}: {:?} {}: wanted {wanted}, {who} read {read}", case.written, case.value)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(read.len(), written.len());
}

/// The value of an answer, or that there is none.
fn value(answer: &Value) -> Value {
    if answer.get("refused").is_some() { REFUSED.into() } else { answer["read"].clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn our_plans_and_fastavro_read_every_change_alike() {
    let (rows, scene) = (Row::all(), Scene::new(1).await);
    let written = write(&rows, &scene).await;
    compare("we", &ours(&scene, &written).await, &written, |case| &case.read);

    let mut python = Command::new(setting("TIDINGS_TEST_PYTHON"));
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/python/read_evolved.py"));
    let python: Vec<_> = answers(python, &scene, &written).iter().map(value).collect();
    compare("fastavro", &python, &written, |case| case.python.as_ref().unwrap_or(&case.read));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make soak runs it: it wants Maven and a Java compiler, which servers in containers do not"]
async fn javas_avro_reads_every_change_as_the_matrix_says() {
    let (rows, scene) = (Row::all(), Scene::new(1).await);
    let written = write(&rows, &scene).await;
    compare("we", &ours(&scene, &written).await, &written, |case| &case.read);

    let java = answers(jvm_program("integration/java"), &scene, &written);
    let read: Vec<_> = java.iter().map(value).collect();
    compare("Java", &read, &written, |case| case.java.as_ref().unwrap_or(&case.read));

    // What can be said from the schemas alone, before anything is written. Where we refuse what all others read, so do we here.
    let mut wrong = Vec::new();
    for (Written { row, case, .. }, answer) in written.iter().zip(&java) {
        let breaks = breaks(&row.schema(case.written), &row.schema(case.written.other())).unwrap();
        let theirs = answer["compatible"].as_bool().unwrap();
        if breaks.is_empty() != theirs && !(theirs && case.read == REFUSED && case.python.is_some()) {
            wrong.push(format!("{}: {:?}: Java says {theirs}, we find {breaks:?}", row.change, case.written));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
