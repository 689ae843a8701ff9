//! `tidings dead-letters`.

use serde_json::{Value, json};
use tidings::dead_letters::header;
use tidings::transport::Headers;

use super::letters::{GROUP, everything, letter, letter_topic, raw, write};
use crate::command::{Tidings, tidings};
use crate::kafka::fresh;
use crate::setting;
use crate::support::scene::{Scene, codec};
use crate::support::scores::ScorePosted;

pub(super) fn dead_letters<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    tidings(["dead-letters"])
        .args(arguments)
        .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
        .env("TIDINGS_REGISTRY", setting("TIDINGS_TEST_REGISTRY"))
}

/// Three letters of two handlers, and a stranger's record.
async fn some_letters(scene: &Scene) -> String {
    let topic = letter_topic(scene, 1).await;
    let codec = codec();
    let framed = codec.frame(&scene.topic(), codec.encode(&ScorePosted::new(42, 1)).unwrap()).await.unwrap();
    let why = |handler: &'static str, class: &'static str, message: &'static str| {
        [
            (header::HANDLER, handler),
            (header::CLASS, class),
            (header::MESSAGE, message),
            (header::CHAIN, "it failed: \u{1b}[2Jbecause"),
            (header::ATTEMPTS, "4"),
            (header::GIVEN_UP, "2026-01-31T09:00:00.000000Z"),
        ]
    };
    let mut strange = Headers::new();
    strange.push([b'x'], Some(&[0xff, 0x1b]));
    write([
        letter(&topic, &scene.topic(), "42", &framed.bytes, &why("Board::on_posted", "timeout", "too slow")),
        letter(&topic, &scene.topic(), "7", b"not avro", &why("Board::on_posted", "timeout", "too slow")),
        letter(&topic, &scene.topic(), "42", &framed.bytes, &why("Board::on_erased", "terminal", "no \u{1b}[2Jplace")),
        raw(&topic, "42", b"strange", strange),
    ])
    .await;
    topic
}

fn counts(rows: &[Value], name: &str) -> Vec<(u64, Value)> {
    rows.iter().map(|row| (row["letters"].as_u64().unwrap(), row[name].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_listed_counted_and_shown() {
    let scene = Scene::new(2).await;
    let topic = some_letters(&scene).await;
    let listed = |more: &[&str]| {
        let finished = dead_letters(["ls", "-t", &topic, "-o", "jsonl"]).args(more.iter().copied()).run();
        finished.succeeded().json_lines()
    };
    let rows = listed(&[]);
    assert_eq!(rows.len(), 4);
    assert_eq!(
        (&rows[0]["letter"], &rows[0]["original_topic"], &rows[0]["original_offset"]),
        (&json!("0:0"), &json!(scene.topic()), &json!(0))
    );
    for (name, value) in [
        ("event", json!("scores.ScorePosted")),
        ("key", json!("42")),
        ("group", json!(GROUP)),
        ("handler", json!("Board::on_posted")),
        ("class", json!("timeout")),
        ("message", json!("too slow")),
        ("attempts", json!(4)),
        ("given_up", json!("2026-01-31T09:00:00.000000Z")),
        ("redrives", json!(0)),
        ("redriven", Value::Null),
    ] {
        assert_eq!(rows[0][name], value, "{name}");
    }
    assert_eq!((&rows[3]["original_topic"], &rows[3]["class"]), (&Value::Null, &Value::Null));
    for (more, expected) in [
        (&["--class", "timeout"][..], 2),
        (&["--handler", "Board::on_erased"], 1),
        (&["--error", "PLACE"], 1),
        (&["--error", "because"], 3),
        (&["--key", "42", "--event", "scores.*"], 2),
        (&["--at", "0:1,0:3"], 2),
        (&["--from", "@-1h"], 4),
        (&["--to", "@-1h"], 0),
        (&["--original-topic", "nothing"], 0),
        (&["-n", "2"], 2),
    ] {
        assert_eq!(listed(more).len(), expected, "{more:?}");
    }
    assert_eq!(
        counts(&listed(&["--by", "handler"]), "handler"),
        [(2, json!("Board::on_posted")), (1, Value::Null), (1, json!("Board::on_erased"))]
    );
    assert_eq!(counts(&listed(&["--by", "key"]), "key"), [(3, json!("42")), (1, json!("7"))]);
    assert_eq!(counts(&listed(&["--by", "event"]), "event"), [(3, json!("scores.ScorePosted")), (1, Value::Null)]);
    assert_eq!(counts(&listed(&["--by", "error"]), "class")[0], (2, json!("timeout")));

    let table = dead_letters(["ls", "-t", &topic]).run().succeeded().stdout;
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.contains(&format!("{} 0:0", scene.topic())) && !table.contains('\u{1b}'), "{table}");

    let shown = dead_letters(["show", "0:0", "-t", &topic, "-o", "json"]).run().succeeded().stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["record"]["payload"], json!({"player": 42, "serial": 1}));
    assert_eq!((&shown["letter"], &shown["class"]), (&json!("0:0"), &json!("timeout")));
    assert_eq!(shown["record"]["headers"][header::GROUP], json!(GROUP));
    for (place, words) in [("0:0", "\"player\": 42"), ("0:1", "not decodable"), ("0:3", "base64:")] {
        let text = dead_letters(["show", place, "-t", &topic]).run().succeeded().stdout;
        assert!(text.contains(words) && !text.contains('\u{1b}'), "{text}");
    }
    dead_letters(["show", "0:99", "-t", &topic]).run().failed(1, &["0:99", &topic, "dead-letters ls"]);
    dead_letters(["show", "7:0", "-t", &topic]).run().failed(1, &["7:0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_shows_what_it_would_do_and_does_it_when_it_is_told_to() {
    let scene = Scene::new(2).await;
    let topic = some_letters(&scene).await;
    let redrive = |more: &[&str]| {
        let arguments = ["redrive", "-t", &topic, "--class", "timeout"];
        dead_letters(arguments).args(more.iter().copied()).run().succeeded()
    };
    let dry = redrive(&[]);
    for words in ["Board::on_posted", "too slow", &scene.topic(), "2026-01-31"] {
        assert!(dry.stdout.contains(words), "{dry:?}");
    }
    assert!(dry.stderr.contains("2 letters would be redriven") && dry.stderr.contains("--execute"), "{dry:?}");
    assert_eq!(everything(&scene.topic(), 2).await.len(), 0);
    let dry: Value = serde_json::from_str(&redrive(&["-o", "json"]).stdout).unwrap();
    assert_eq!((&dry["executed"], &dry["redriven"]), (&json!(false), &json!(2)));
    assert_eq!(dry["by_handler"], json!([{"letters": 2, "handler": "Board::on_posted"}]));
    assert_eq!(dry["first"][1]["key"], json!("7"));

    let done: Value = serde_json::from_str(&redrive(&["--execute", "-n", "1", "-o", "jsonl"]).stdout).unwrap();
    assert_eq!((&done["executed"], &done["redriven"], &done["limited"]), (&json!(true), &json!(1), &json!(true)));
    let done = redrive(&["--execute"]);
    assert!(done.stderr.contains("1 letters redriven, 1 left alone"), "{done:?}");
    assert_eq!(everything(&scene.topic(), 2).await.len(), 2);

    let left = dead_letters(["ls", "-t", &topic, "-o", "jsonl"]).run().succeeded();
    assert_eq!(left.json_lines().len(), 2);
    assert!(left.stderr.contains("2 letters that were redriven are left out; --all"), "{left:?}");
    let all = dead_letters(["ls", "-t", &topic, "-o", "jsonl", "--all"]).run().succeeded().json_lines();
    assert_eq!(all.iter().filter(|row| row["redriven"].is_string()).count(), 2);
    let table = dead_letters(["ls", "-t", &topic, "--all"]).run().succeeded().stdout;
    assert!(table.lines().next().unwrap().contains("REDRIVEN"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_topic_that_is_missing_is_named() {
    let group = fresh("nobody");
    let topic = format!("{group}.dead-letters");
    for verb in [&["ls"][..], &["show", "0:0"], &["redrive"], &["redrive", "--execute"]] {
        let finished = dead_letters(verb.iter().copied()).args(["--group", &group]).run();
        finished.failed(1, &[&topic, "does not exist"]);
    }
    // Nothing was created.
    let progress = format!("{topic}.redriven");
    let shown = tidings(["topics", "show", &progress]).env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"));
    shown.run().failed(1, &["does not exist"]);
}
