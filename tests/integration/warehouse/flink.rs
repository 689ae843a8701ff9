//! The tables and views that `tidings pipeline export --to flink` writes, run by Flink.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tidings::Event as _;

use super::{Rows, ScoreErased, ScorePosted, publish};
use crate::command::tidings;
use crate::setting;
use crate::support::jvm::jvm_program;
use crate::support::scene::Scene;

/// Lands what the views show. Times and decimals as text: JSON has neither.
const LANDING: &str = include_str!("../flink/landing.sql");

/// A row as Flink lands it, made of one as `DuckDB` shows it: no microseconds, bytes in base 64.
fn landed(row: &Value) -> Value {
    let mut row = row.clone();
    let text = |micros: &Value, format: &str| {
        let time: DateTime<Utc> = DateTime::from_timestamp_micros(micros.as_i64().unwrap()).unwrap();
        Value::from(time.format(format).to_string())
    };
    for name in ["occurred_at", "recorded_at"] {
        row[name] = text(&row[name], "%F %T%.6f");
    }
    let fields = row.as_object_mut().unwrap();
    fields.remove("day").unwrap();
    if fields.contains_key("at") {
        fields["at"] = text(&fields["at"], "%F %T%.3f");
        fields["raw"] = "AP8=".into();
        fields["digest"] = "YWI=".into();
        // The payload's number: Flink has no time on a wall in this format.
        fields["wall_clock"] = json!(1_700_000_000_000_001_i64);
    }
    row
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make soak runs it: it wants Maven and a Java compiler, which servers in containers do not"]
async fn the_exported_tables_land_a_row_of_every_event_in_every_version_in_flink() {
    let (scene, folder) = (Scene::new(3).await, tempfile::tempdir().unwrap());
    let published = publish(&scene, 200).await;
    let schemas = format!("{}/tests/schemas/warehouse", env!("CARGO_MANIFEST_DIR"));
    let exported = tidings(["pipeline", "export", "--to", "flink", "--schemas", &schemas, "--topic", &scene.topic()])
        .args(["--brokers", &setting("TIDINGS_TEST_BROKERS"), "--registry", &setting("TIDINGS_TEST_REGISTRY")])
        .run()
        .succeeded();
    let file = folder.path().join("tables.sql");
    // As it is exported a table has no end, and a job over it none either.
    let start = "    'scan.startup.mode' = 'earliest-offset',\n";
    let bounded = exported.stdout.replace(start, &format!("{start}    'scan.bounded.mode' = 'latest-offset',\n"));
    assert_ne!(bounded, exported.stdout);
    let landing = LANDING.replace("@folder@", folder.path().to_str().unwrap());
    std::fs::write(&file, bounded + &landing).unwrap();

    let output = jvm_program("integration/flink").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = Rows::new();
    for (table, event) in [("posted", ScorePosted::NAME), ("erased", ScoreErased::NAME)] {
        for file in std::fs::read_dir(folder.path().join(table)).unwrap() {
            for line in std::fs::read_to_string(file.unwrap().path()).unwrap().lines() {
                let row: Value = serde_json::from_str(line).unwrap();
                let place = (row["kafka_partition"].as_i64().unwrap(), row["kafka_offset"].as_i64().unwrap());
                let known = found.insert((event.to_owned(), place.0, place.1), row);
                assert_eq!(known, None, "{table} has {place:?} twice");
            }
        }
    }
    for (place, row) in &published {
        assert_eq!(found.get(place), Some(&landed(row)), "{place:?}");
    }
    assert_eq!((found.len(), published.len()), (200, 200));
}
