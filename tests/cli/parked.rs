//! `tidings parked`, on `SQLite`.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use tidings::consumer::parked::{DatabaseParkedStore, ParkCause, ParkRequest, ParkedRecord, ParkedStore as _};
use tidings::database::{Database, DatabaseOptions};
use tidings::transport::{Headers, TopicPartition};

use crate::command::{Finished, tidings};

const GROUP: &str = "boards.Board";

struct Desk {
    url: String,
    store: DatabaseParkedStore,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("parked.db").display());
        let database = Database::connect(DatabaseOptions::new(&url).migrate(true)).await.unwrap();
        Self { url, store: DatabaseParkedStore::new(&database), _folder: folder }
    }

    /// Park the event at `offset`, because of `error` where there is one.
    async fn park(&self, topic: &str, key: &[u8], offset: i64, error: Option<&str>) {
        let mut headers = Headers::new();
        headers.push_str("ce_type", "scores.ScorePosted");
        headers.push_str("ce_schemaversion", "1.2.0");
        headers.push([0xff], Some(b"\x1b[2J"));
        let cause = error.map(|error| ParkCause {
            handler: Some("Board::on_posted".to_owned()),
            class: "timeout".to_owned(),
            error: error.to_owned(),
            attempts: 3,
            first_failure: "2026-01-31T09:00:00Z".parse().unwrap(),
            parked_at: "2026-01-31T09:01:00Z".parse().unwrap(),
        });
        let record = ParkedRecord {
            partition: TopicPartition { topic: topic.into(), partition: 2 },
            offset,
            timestamp_ms: Some(1_700_000_000_123),
            key: Bytes::copy_from_slice(key),
            payload: Some(Bytes::from_static(b"\xffno avro")),
            headers,
            cause,
        };
        self.store.park(GROUP.into(), record).await.unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        tidings(["parked"])
            .args(arguments.iter().copied())
            .args(["--group", GROUP])
            .env("TIDINGS_DATABASE", &self.url)
            .run()
    }

    async fn requests(&self) -> Vec<Option<ParkRequest>> {
        let keys = self.store.keys(Arc::from(GROUP), Vec::new()).await.unwrap();
        keys.iter().map(|key| key.request).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parked_keys_are_listed_and_shown_whatever_their_bytes() {
    let desk = Desk::new().await;
    assert!(desk.run(&["ls"]).succeeded().stdout.is_empty());
    desk.park("scores", b"42", 7, Some("the board is away\nfor long")).await;
    desk.park("scores", b"42", 9, None).await;
    desk.park("scores", b"\xff\x00", 8, Some("no such player")).await;
    let listed = desk.run(&["ls", "-o", "jsonl"]).succeeded().json_lines();
    assert_eq!(
        listed[0],
        json!({
            "topic": "scores", "partition": 2, "key": "42", "events": 2, "request": null, "offset": 7,
            "event": "scores.ScorePosted", "handler": "Board::on_posted", "class": "timeout",
            "error": "the board is away\nfor long", "attempts": 3, "first_failure": "2026-01-31T09:00:00.000000Z",
            "parked": "2026-01-31T09:01:00.000000Z"
        })
    );
    assert_eq!(listed[1]["key"], json!({"base64": "/wA="}));
    let table = desk.run(&["ls"]).succeeded();
    assert!(table.stdout.contains("the board is away…") && table.stdout.lines().count() == 3, "{table:#?}");
    assert!(!format!("{table:?}").contains("\u{1b}[2J"));
    let one = desk.run(&["ls", "--error", "NO SUCH", "--handler", "Board::*", "-o", "jsonl"]).succeeded().json_lines();
    assert_eq!(one.len(), 1);
    assert!(desk.run(&["ls", "-n", "1"]).succeeded().stderr.contains("1 more keys"));

    // The key as the list shows it.
    let name = table.stdout.lines().find(|line| line.contains("no such player")).unwrap();
    let name = name.split_whitespace().nth(2).unwrap();
    let shown = desk.run(&["show", name]).succeeded();
    for text in ["scores[2]", "no such player", "base64:/25vIGF2cm8=", "Board::on_posted"] {
        assert!(shown.stdout.contains(text), "{shown:#?}");
    }
    let shown = desk.run(&["show", "42", "-o", "json"]).succeeded();
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["waiting"][1]["cause"], &shown["waiting"][1]["record"]["offset"]), (&json!(null), &json!(9)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_asked_for_without_execute() {
    let desk = Desk::new().await;
    desk.park("scores", b"42", 7, Some("away")).await;
    desk.park("scores", b"43", 8, Some("gone")).await;
    for verb in ["release", "skip", "discard"] {
        let told = desk.run(&[verb, "42"]).succeeded();
        assert!(told.stderr.contains("nothing was changed: add --execute"), "{told:#?}");
        assert!(told.stdout.contains("42"), "{told:#?}");
    }
    assert_eq!(desk.requests().await, [None, None]);
    let told = desk.run(&["release", "42", "--execute"]).succeeded();
    assert!(told.stderr.contains("asked for: releasing 1 key with 1 event;"), "{told:#?}");
    assert_eq!(desk.requests().await, [Some(ParkRequest::Release), None]);
    desk.run(&["discard", "--all", "--error", "gone", "--execute"]).succeeded();
    assert_eq!(desk.requests().await, [Some(ParkRequest::Release), Some(ParkRequest::Discard)]);
    // Nobody runs who could do it.
    desk.run(&["skip", "42", "--execute", "--wait", "1"]).failed(1, &["within 1 s", GROUP, "stays asked for"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_parked_or_not_clear_is_refused() {
    let desk = Desk::new().await;
    desk.park("scores", b"42", 7, Some("away")).await;
    desk.park("orders", b"42", 7, Some("away")).await;
    desk.run(&["show", "7"]).failed(1, &["the key 7 is not parked", "tidings parked ls"]);
    desk.run(&["release", "42", "--execute"]).failed(2, &["scores[2]", "orders[2]", "--topic"]);
    assert_eq!(desk.requests().await, [None, None]);
    desk.run(&["release", "42", "--topic", "orders", "--execute"]).succeeded();
    desk.run(&["release"]).failed(2, &["KEY"]);
    desk.run(&["release", "--all", "42"]).failed(2, &["--all"]);
    desk.run(&["release", "42", "--wait", "5"]).failed(2, &["--execute"]);
    let elsewhere =
        tidings(["parked", "ls", "--group", GROUP, "--store", "kafka", "--brokers", "127.0.0.1:1", "--timeout", "1"]);
    elsewhere.env("TIDINGS_DATABASE", &desk.url).run().failed(1, &["127.0.0.1:1"]);
}
