//! The Parquet sink on real brokers, killed again and again, and its files read with `DuckDB` through the exported views.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tidings::Event as _;
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::envelope::Envelope;
use tidings::event::Stream;
use tidings::prelude::*;
use tidings::testing::{FAULT_POINT_VARIABLE, SINK_FAULT_POINTS};
use tidings::warehouse::ParquetSink;
use uuid::Uuid;

use crate::command::tidings;
use crate::setting;
use crate::support::child::{Child, told};
use crate::support::groups::caught_up;
use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec, kafka};

mod flink;

mod events {
    tidings::events!("tests/schemas/warehouse");
}

use events::scores::{ScoreErased, ScorePosted};

/// Fills the warehouse.
struct Filler {
    files: ParquetSink,
}

#[dispatcher(source = "scores", concurrency = 1)]
impl Filler {
    #[on("scores.ScorePosted", batch(max = 60, wait = "50ms"))]
    async fn on_posted(&self, events: Vec<ScorePosted>, messages: Vec<Message>) -> Result<()> {
        self.files.write(events, messages).await?;
        Ok(())
    }

    #[on("scores.ScoreErased", batch(max = 40, wait = "30ms"))]
    async fn on_erased(&self, events: Vec<ScoreErased>, messages: Vec<Message>) -> Result<()> {
        self.files.write(events, messages).await?;
        Ok(())
    }
}

/// The child's part: fill the warehouse, until it is ended.
pub(crate) async fn fill() {
    let files = ParquetSink::local(told("FOLDER"));
    // The member that comes back is the one that was killed: nobody waits for its session to end.
    let kafka = kafka().property("group.instance.id", "filler");
    let options = ConsumerOptions::new(told("SERVICE")).kafka(kafka).commit_interval(Duration::from_millis(50));
    let builder = Consumer::builder(options).codec(codec());
    let consumer = builder.dispatch_with(Filler { files }, |settings| settings.source(told("TOPIC")));
    consumer.build().await.unwrap().run().await.unwrap();
}

/// A schema as another version has it.
fn version(schema: &str, version: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut schema: Value = serde_json::from_str(schema).unwrap();
    schema["tidings.version"] = version.into();
    change(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

/// What is published: an event's versions, each with its schema.
fn versions() -> Vec<(&'static str, &'static str, String)> {
    let (posted, erased) = (ScorePosted::SCHEMA, ScoreErased::SCHEMA);
    let named = |name: &'static str| move |field: &Value| field["name"] == name;
    vec![
        (ScorePosted::NAME, "1.2.0", version(posted, "1.2.0", |fields| fields.retain(|field| !named("combo")(field)))),
        (ScorePosted::NAME, "1.3.0", posted.to_owned()),
        (
            ScorePosted::NAME,
            "1.4.0",
            version(posted, "1.4.0", |fields| {
                // A number that was narrower there, another order, and a field that the sink's build does not know.
                fields.iter_mut().find(|field| named("serial")(field)).unwrap()["type"] = "int".into();
                fields.rotate_left(3);
                fields.push(json!({"name": "device", "type": "string", "default": ""}));
            }),
        ),
        (ScoreErased::NAME, "1.0.0", erased.to_owned()),
        (
            ScoreErased::NAME,
            "1.1.0",
            version(erased, "1.1.0", |fields| {
                fields.insert(0, json!({"name": "by", "type": ["null", "string"], "default": null}));
            }),
        ),
    ]
}

/// The payload of the event number `serial`, as it is written, and as its row has it.
fn payload(event: &str, version: &str, player: i64, serial: i64) -> (Value, Value) {
    if event == ScoreErased::NAME {
        let reason = if serial % 2 == 0 { json!("why \"not\"") } else { Value::Null };
        let mut written = json!({"player": player, "reason": reason});
        if version == "1.1.0" {
            written["by"] = json!({"string": "somebody"});
        }
        return (written, json!({"player": player, "reason": reason}));
    }
    let (session, micros) = (Uuid::from_u128(serial.unsigned_abs().into()).to_string(), 1_700_000_000_123_456 + serial);
    let home = if serial % 3 == 0 { Value::Null } else { json!({"city": "Łódź", "zip": null}) };
    let mut written = json!({
        "player": player, "serial": serial, "source": "mobile", "flag": serial % 2 == 0, "ratio": 0.5, "raw": "\u{0}\u{ff}",
        "digest": "ab", "suit": "SPADES", "price": "\u{4}\u{d2}", "session": session, "day": 20_000, "at": micros,
        "wall_clock": 1_700_000_000_000_001_i64, "tags": ["x", null], "counts": {"some": serial}, "home": home,
        "previous": [{"city": "b", "zip": "1"}],
    });
    let combo = if version == "1.2.0" { Value::Null } else { json!(serial * 10) };
    if version != "1.2.0" {
        written["combo"] = combo.clone();
    }
    let row = json!({
        "player": player, "serial": serial, "payload_source": "mobile", "flag": serial % 2 == 0, "ratio": 0.5, "raw": "00ff",
        "digest": "6162", "suit": "SPADES", "price": "12.34", "session": session, "payload_day": "2024-10-04", "at": micros,
        "wall_clock": "2023-11-14 22:13:20.000001", "tags": ["x", null], "counts": {"some": serial}, "home": home,
        "previous": [{"city": "b", "zip": "1"}], "combo": combo,
    });
    (written, row)
}

/// Rows by their event, partition and offset.
type Rows = BTreeMap<(String, i64, i64), Value>;

/// How many rows an event has on a day, and of how many records.
type Days = BTreeMap<(String, String), (i64, i64)>;

/// Publish `count` events, and what their rows are to be. They happen before and after a midnight, in no order.
async fn publish(scene: &Scene, count: i64) -> Rows {
    let (codec, versions) = (codec(), versions());
    let midnight: DateTime<Utc> = "2026-01-02T00:00:00Z".parse().unwrap();
    let (codec, versions) = (&codec, &versions);
    let write = |serial: i64| async move {
        let (event, version, schema) = &versions[usize::try_from(serial * 7 % 5).unwrap()];
        let (player, topic) = (serial % 11, scene.topic());
        let (written, row) = payload(event, version, player, serial);
        let datum = codec.encode_json(schema, &written).unwrap();
        let framed = codec.frame(&topic, datum).await.unwrap();
        let time = midnight + TimeDelta::milliseconds(if serial % 2 == 0 { -serial - 1 } else { serial });
        let envelope = Envelope {
            id: Uuid::now_v7(),
            source: topic.clone().into(),
            event: (*event).into(),
            schema_version: (*version).into(),
            time,
            recorded_time: time + TimeDelta::microseconds(7),
            stream: Stream::new("Player", &player.to_string()),
            sequence: (serial % 4 != 0).then_some(serial.unsigned_abs()),
            stream_epoch: 0,
            key: player.to_string(),
            correlation_id: "c".to_owned(),
            causation_id: (serial % 5 == 0).then(|| "b".to_owned()),
            data_schema: framed.data_schema.to_string(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
            tracestate: None,
        };
        let headers = envelope.to_headers();
        let text = |name| std::str::from_utf8(name).unwrap();
        let headers: Vec<RawHeader<'_>> = headers.iter().map(|header| (text(header.name), header.value)).collect();
        let (partition, offset) = scene.write(Some(envelope.key.as_bytes()), Some(&framed.bytes[..]), &headers).await;
        let mut whole = json!({
            "event_id": envelope.id.to_string(), "event_type": event, "schema_version": version, "source": topic,
            "stream": format!("Player/{player}"), "sequence": envelope.sequence, "stream_epoch": 0,
            "occurred_at": time.timestamp_micros(), "recorded_at": time.timestamp_micros() + 7,
            "partition_key": player.to_string(), "correlation_id": "c", "causation_id": envelope.causation_id,
            "kafka_topic": topic, "kafka_partition": partition, "kafka_offset": offset, "day": time.date_naive().to_string(),
        });
        whole.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        (((*event).to_owned(), i64::from(partition), offset), whole)
    };
    let mut rows = Rows::new();
    for from in (0..count).step_by(100) {
        rows.extend(join_all((from..from + 100).map(write)).await);
    }
    rows
}

fn start(scene: &Scene, service: &str, folder: &Path, fault: &str) -> Child {
    let folder = folder.to_str().unwrap();
    let settings =
        [("TOPIC", &*scene.topic()), ("SERVICE", service), ("FOLDER", folder), (FAULT_POINT_VARIABLE, fault)];
    let settings = if fault.is_empty() { &settings[..3] } else { &settings[..] };
    Child::start("fill warehouse", settings)
}

/// The exported views over `folder`, of some events or all.
fn exported(folder: &Path, events: &[&str]) -> String {
    let schemas = format!("{}/tests/schemas/warehouse", env!("CARGO_MANIFEST_DIR"));
    let location = folder.to_str().unwrap();
    let exported = tidings(["pipeline", "export", "--to", "duckdb", "--location", location, "--schemas", &schemas]);
    exported.args(events.iter().copied()).run().succeeded().stdout
}

/// What `DuckDB` shows of each of `views` after these statements.
fn shown(statements: &str, views: &[&str]) -> Vec<Value> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, statements).unwrap();
    let output = Command::new(setting("TIDINGS_TEST_PYTHON"))
        .arg(format!("{}/tests/integration/python/read_warehouse.py", env!("CARGO_MANIFEST_DIR")))
        .arg(file.path())
        .args(views)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `DuckDB` finds in `folder` through the exported views: the rows, how often each is there, and how many each day has.
fn read(folder: &Path) -> (Rows, usize, Days) {
    let views = [("scores_ScorePosted", ScorePosted::NAME), ("scores_ScoreErased", ScoreErased::NAME)];
    let found = shown(&exported(folder, &[]), &views.map(|(view, _)| view));
    let (mut rows, mut count, mut days) = (Rows::new(), 0, BTreeMap::new());
    for (mut found, (_, event)) in found.into_iter().zip(views) {
        for day in found["days"].as_array().unwrap() {
            let number = |index: usize| day[index].as_i64().unwrap();
            days.insert((event.to_owned(), day[0].as_str().unwrap().to_owned()), (number(1), number(2)));
        }
        for row in found["rows"].as_array_mut().unwrap() {
            // The client's own: no test knows it.
            assert!(row.as_object_mut().unwrap().remove("kafka_timestamp").unwrap().is_i64());
            let number = |name: &str| row[name].as_i64().unwrap();
            rows.insert((event.to_owned(), number("kafka_partition"), number("kafka_offset")), row.clone());
            count += 1;
        }
    }
    (rows, count, days)
}

/// Compare what `DuckDB` finds with what was published, row by row.
#[track_caller]
fn is_complete(folder: &Path, published: &Rows) {
    let (rows, count, days) = read(folder);
    for (place, row) in published {
        assert_eq!(rows.get(place), Some(row), "{place:?}");
    }
    assert_eq!((rows.len(), count), (published.len(), published.len()));
    let mut expected: Days = BTreeMap::new();
    for ((event, ..), row) in published {
        let (all, different) = expected.entry((event.clone(), row["day"].as_str().unwrap().to_owned())).or_default();
        (*all, *different) = (*all + 1, *different + 1);
    }
    assert_eq!((days.len(), days), (4, expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_finds_each_event_of_every_version_once_however_often_the_sink_was_killed() {
    let (scene, folder) = (Scene::new(3).await, tempfile::tempdir().unwrap());
    let published = publish(&scene, 1_000).await;
    let service = scene.name("boards");
    for times in [1, 2, 4] {
        for point in SINK_FAULT_POINTS {
            let status = start(&scene, &service, folder.path(), &format!("{point}*{times}")).ended();
            assert!(!status.success(), "{point}: {status:?}");
        }
    }
    let child = start(&scene, &service, folder.path(), "");
    caught_up(&scene, &scene.group("Filler")).await;
    child.kill();
    is_complete(folder.path(), &published);

    // All of it once more, to a group that has committed nothing and cuts its batches anew.
    let (before, again) = (files(folder.path()), scene.name("again"));
    let child = start(&scene, &again, folder.path(), "");
    caught_up(&scene, &format!("{again}.Filler")).await;
    child.kill();
    assert_eq!(files(folder.path()), before);
    is_complete(folder.path(), &published);
}

/// The statement of the documents that makes a view without repeats, of another event's.
fn view_without_repeats(event: &str) -> String {
    let documents = include_str!("../../docs/warehouse.md");
    let statement = documents.split("```sql\n").find(|part| part.starts_with("CREATE VIEW user_updates")).unwrap();
    let statement = statement.split("```").next().unwrap();
    assert!(statement.contains("FROM \"accounts_UserUpdated\""), "{statement}");
    statement.replace("accounts_UserUpdated", event).replace("user_updates", "without_repeats")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_on_the_topic_twice_is_a_row_for_each_record_and_the_documented_view_has_it_once() {
    let (scene, folder, codec) = (Scene::new(2).await, tempfile::tempdir().unwrap(), codec());
    for player in 0..10_i64 {
        let event = ScoreErased { player, reason: None };
        let framed = codec.frame(&scene.topic(), codec.encode(&event).unwrap()).await.unwrap();
        let id = Uuid::now_v7().to_string();
        let mut headers: Vec<RawHeader<'_>> = vec![("ce_type", Some(ScoreErased::NAME.as_bytes()))];
        // What has no id is not known again.
        if player > 0 {
            headers.push(("ce_id", Some(id.as_bytes())));
        }
        // As a producer does that was not told of its first attempt.
        for _ in 0..=player % 3 {
            scene.write(Some(player.to_string().as_bytes()), Some(&framed.bytes[..]), &headers).await;
        }
        if player == 0 {
            scene.write(Some(b"0"), Some(&framed.bytes[..]), &headers).await;
        }
    }
    let filler = Filler { files: ParquetSink::local(folder.path()) };
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec)
        .dispatch_with(filler, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    caught_up(&scene, &scene.group("Filler")).await;
    running.stop().await;

    let statements = exported(folder.path(), &["ScoreErased"]) + &view_without_repeats("scores_ScoreErased");
    let found = shown(&statements, &["scores_ScoreErased", "without_repeats"]);
    let players = |view: &Value| {
        let mut players: Vec<_> =
            view["rows"].as_array().unwrap().iter().map(|row| row["player"].as_i64().unwrap()).collect();
        players.sort_unstable();
        players
    };
    let once: Vec<i64> = std::iter::once(0).chain(0..10).collect();
    assert_eq!(players(&found[0]), [0, 0, 1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5, 6, 7, 7, 8, 8, 8, 9]);
    assert_eq!(players(&found[1]), once);
}

/// The files with a name.
fn files(folder: &Path) -> Vec<String> {
    let mut found: Vec<_> = walk(folder)
        .into_iter()
        .filter(|path| Path::new(path).extension().is_some_and(|end| end == "parquet"))
        .collect();
    found.sort();
    found
}

fn walk(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path.to_str().unwrap().to_owned()] }).collect()
}
