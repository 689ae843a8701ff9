//! Flink's SQL lands a topic with several events and versions as rows, through its own format for the registry.

use std::path::Path;

use serde_json::{Value, json};

use super::versions::{Published, Versions};
use crate::setting;
use crate::support::jvm::jvm_program;

const STATEMENTS: &str = include_str!("../flink/scores.sql");

/// The rows of a table that landed in `folder`, by their events' ids.
fn rows(folder: &Path) -> Vec<Value> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let mut rows: Vec<Value> = files
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect();
    rows.sort_by_key(|row| row["event_id"].as_str().unwrap().to_owned());
    rows
}

/// The row of an event: the columns that every event has, and these fields, null where the event's version has none.
fn row(published: &Published, fields: &[&str]) -> Value {
    let mut row = json!({
        "event_id": published.id,
        "event_version": published.version,
        "occurred_at": published.time,
        "sequence": published.sequence,
        "event_key": published.key,
    });
    for field in fields {
        row[field] = published.payload.get(field).cloned().unwrap_or_default();
    }
    row
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make soak runs it: it wants Maven and a Java compiler, which servers in containers do not"]
async fn flinks_sql_lands_a_row_of_every_event_in_every_version() {
    let versions = Versions::new().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("brokers", setting("TIDINGS_TEST_BROKERS")),
        ("registry", setting("TIDINGS_TEST_REGISTRY")),
        ("topic", versions.scene.topic()),
        ("folder", folder.path().to_str().unwrap().to_owned()),
    ];
    let statements =
        settings.iter().fold(STATEMENTS.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value));
    let file = folder.path().join("scores.sql");
    std::fs::write(&file, statements).unwrap();

    let output = jvm_program("integration/flink").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (table, event, fields) in [
        ("posted", "scores.ScorePosted", &["player", "serial", "game", "posted_at"][..]),
        ("erased", "scores.ScoreErased", &["player", "reason", "erased_by"]),
    ] {
        let expected: Vec<_> = versions.of(event).map(|published| row(published, fields)).collect();
        assert_eq!(rows(&folder.path().join(table)), expected, "{table}");
    }
    assert_eq!((versions.of("scores.ScorePosted").count(), versions.of("scores.ScoreErased").count()), (12, 5));
}
