//! Programs nobody here wrote do both ends: kcat, Python's confluent-kafka with its serializers and without, the `CloudEvents` SDK,
//! and Flink.

mod cloud_events;
mod flink;
mod python_clients;
mod versions;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidings::consumer::Consumer;
use tidings::outbox::{KafkaProducers, Relay};
use tidings::prelude::*;
use tidings::publisher::{Acks, DeliveryMode};

use crate::setting;
use crate::support::groups::caught_up;
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::ScorePosted;
use crate::support::store::{Store, post_next, publishing};

/// One event of each mode: player 1's straight to Kafka, player 2's through the outbox.
async fn publish_in_both_modes(scene: &Scene) {
    let direct = scene.publisher().await;
    direct.send(&ScorePosted::new(1, 1), Acks::All).await.unwrap();
    let store = Store::new().await;
    let recorded = scene.publisher_in(DeliveryMode::Outbox).await;
    let database = publishing(&store, &recorded);
    let relay = Relay::new(&database, KafkaProducers::of(&recorded)).spawn();
    post_next(&database, 2).await.unwrap();
    store.until_published().await;
    relay.shutdown().await.unwrap();
}

/// Run a program of the folder `python` on the scene's topic.
fn python(scene: &Scene, script: &str, argument: &str, input: &[Value]) -> Vec<Value> {
    let mut child = Command::new(setting("TIDINGS_TEST_PYTHON"))
        .arg(format!("{}/tests/integration/python/{script}", env!("CARGO_MANIFEST_DIR")))
        .args([setting("TIDINGS_TEST_BROKERS"), setting("TIDINGS_TEST_REGISTRY"), scene.topic(), argument.to_owned()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for line in input {
        writeln!(stdin, "{line}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script} failed: its reason is above");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kcat_shows_the_headers_of_both_modes() {
    let scene = Scene::new(1).await;
    publish_in_both_modes(&scene).await;
    let (topic, brokers) = (scene.topic(), setting("TIDINGS_TEST_BROKERS"));
    let output = Command::new(setting("TIDINGS_TEST_KCAT"))
        .args(["-C", "-q", "-e", "-o", "beginning", "-b", &brokers, "-t", &topic, "-f", "%k %h\n"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = String::from_utf8(output.stdout).unwrap();
    let [direct, recorded] = &shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
    let names = |line: &str| -> Vec<String> {
        let (_, headers) = line.split_once(' ').unwrap();
        headers.split(',').map(|header| header.split_once('=').unwrap().0.to_owned()).collect()
    };
    assert_eq!(
        names(direct),
        [
            "ce_specversion",
            "ce_id",
            "ce_source",
            "ce_type",
            "ce_schemaversion",
            "ce_time",
            "ce_recordedtime",
            "ce_subject",
            "ce_partitionkey",
            "ce_correlationid",
            "ce_dataschema",
            "content-type",
            "traceparent",
        ]
    );
    let mut with_sequence = names(direct);
    with_sequence.insert(8, "ce_sequence".to_owned());
    assert_eq!(names(recorded), with_sequence);
    for (line, player) in [(direct, "1"), (recorded, "2")] {
        assert!(line.starts_with(&format!("{player} ce_specversion=1.0,ce_id=")), "{line}");
        for header in [
            format!(",ce_source=/{topic},ce_type=scores.ScorePosted,ce_schemaversion=1.2.0,"),
            format!(",ce_subject=Player/{player},"),
            format!(",ce_partitionkey={player},"),
            format!(
                ",ce_dataschema={}/subjects/{topic}-scores.ScorePosted/versions/1,content-type=application/avro,",
                setting("TIDINGS_TEST_REGISTRY")
            ),
        ] {
            assert!(line.contains(&header), "{header} is not in {line}");
        }
    }
    assert!(recorded.contains(",ce_sequence=00000000000000000001,"), "{recorded}");
}

/// A score, and what its message said of it.
#[derive(Debug, PartialEq, Eq)]
struct Posted {
    score: ScorePosted,
    event: Option<String>,
    id: Option<String>,
    source: Option<String>,
    key: Option<String>,
}

/// Keeps scores with their messages.
struct Collector(Arc<Mutex<Vec<Posted>>>);

#[dispatcher(source = "scores")]
impl Collector {
    #[on("scores.ScorePosted", version = ">=1, <3")]
    async fn on_posted(&self, score: ScorePosted, message: Message) {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let (event, id) = (text(message.event()), text(message.id()));
        let (source, key) = (text(message.source()), text(message.key()));
        self.0.lock().push(Posted { score, event, id, source, key });
    }
}

/// As another team writes it: another order, a narrower number, and a field we do not know.
const THEIRS: &str = r#"{
    "type": "record", "name": "ScorePosted", "namespace": "scores", "fields": [
        {"name": "comment", "type": ["null", "string"], "default": null},
        {"name": "serial", "type": "int"},
        {"name": "player", "type": "long"}]
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_pythons_serializer_wrote_reaches_a_handler_with_and_without_our_headers() {
    let scene = Scene::new(1).await;
    let headers = json!([
        ["ce_specversion", "1.0"],
        ["ce_id", "not-even-a-uuid"],
        ["ce_source", "/python"],
        ["ce_type", "scores.ScorePosted"],
        ["ce_schemaversion", "2.0.0"],
    ]);
    let value = |serial: i64| json!({"player": 7, "serial": serial, "comment": "from Python"});
    let events = [
        json!({"key": "7", "headers": headers, "value": value(1)}),
        json!({"key": "7", "headers": [], "value": value(2)}),
        json!({"key": "7", "headers": [["trace", "of another kind"]], "value": value(3)}),
    ];
    assert_eq!(python(&scene, "write_events.py", THEIRS, &events).len(), 3);

    let collected = Arc::new(Mutex::new(Vec::new()));
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Collector(Arc::clone(&collected)), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    caught_up(&scene, &scene.group("Collector")).await;
    let stats = running.stop().await;
    assert_eq!((stats.handled, stats.skipped, stats.dead_lettered), (3, 0, 0));
    let text = |text: &str| Some(text.to_owned());
    let nameless = |serial| {
        let score = ScorePosted::new(7, serial);
        Posted { score, event: None, id: None, source: None, key: text("7") }
    };
    let named = Posted {
        event: text("scores.ScorePosted"),
        id: text("not-even-a-uuid"),
        source: text("python"),
        ..nameless(1)
    };
    assert_eq!(*collected.lock(), [named, nameless(2), nameless(3)]);
}

/// An event whose key is any text.
#[derive(Event, Serialize, Deserialize)]
#[event(name = "scores.TeamFounded", version = "1.0.0", entity = "Team")]
#[event(schema_inline = r#"{
    "type": "record", "name": "TeamFounded", "namespace": "scores", "fields": [{"name": "team", "type": "string"}]
}"#)]
struct TeamFounded {
    #[event(key)]
    team: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_goes_to_the_partition_that_other_clients_choose() {
    let scene = Scene::new(16).await;
    let odd = ["", "\u{e9}", "日本語", "a b", "🦀"].map(str::to_owned).into_iter().map(|key| format!("team {key}"));
    let keys: Vec<String> = (0..60).map(|number| (number * 7_919).to_string()).chain(odd).collect();
    let publisher = scene.publisher().await;
    let mut ours = Vec::new();
    for team in &keys {
        let receipt = publisher.send(&TeamFounded { team: team.clone() }, Acks::All).await.unwrap();
        ours.push(receipt.partition().unwrap());
    }
    let events: Vec<_> = keys.iter().map(|key| json!({"key": key, "headers": [], "value": {"team": key}})).collect();
    let places = python(&scene, "write_events.py", TeamFounded::SCHEMA, &events);
    let theirs: Vec<_> = places.iter().map(|place| place["partition"].as_i64().unwrap()).collect();
    assert_eq!(ours.iter().copied().map(i64::from).collect::<Vec<_>>(), theirs);
    let used: std::collections::BTreeSet<_> = ours.iter().collect();
    assert!(used.len() > 8, "the keys must spread for this to mean anything: {used:?}");
}
