//! What a schema marks as sensitive, in the `tidings` command.

use serde_json::json;

use crate::command::{Tidings, tidings};
use crate::kafka::fresh_topic;
use crate::setting;

const SCHEMA: &str = r#"{"type": "record", "name": "Moved", "namespace": "players", "fields": [
    {"name": "user_id", "type": "long"},
    {"name": "mail", "type": ["null", "string"], "default": null, "pii": true},
    {"name": "home", "type": {"type": "record", "name": "Address", "fields": [
        {"name": "city", "type": "string"}, {"name": "street", "type": "string", "pii": true}]}}
]}"#;

const EVENT: &str =
    r#"{"user_id": 42, "mail": "zoe@mail.example", "home": {"city": "Łódź", "street": "Piotrkowska 1"}}"#;

fn on_servers<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    tidings(arguments)
        .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
        .env("TIDINGS_REGISTRY", setting("TIDINGS_TEST_REGISTRY"))
}

fn published(topic: &str, schema: &str) {
    let arguments = ["publish", topic, "--schema", "Moved.avsc", "--event-version", "1.0.0", "--key-field", "user_id"];
    on_servers(arguments).file("Moved.avsc", schema).input(EVENT).run().succeeded();
}

const TAIL: [&str; 5] = ["--from", "start", "--no-follow", "-o", "jsonl"];

#[tokio::test]
async fn marked_fields_are_hidden_unless_they_are_asked_for() {
    let topic = fresh_topic("masking", 1).await;
    published(&topic, SCHEMA);
    let tail = |more: &[&str]| on_servers(["tail", &topic]).args(TAIL).args(more.iter().copied()).run().succeeded();
    let hidden = tail(&[]);
    let line = &hidden.json_lines()[0];
    assert_eq!(line["payload"], json!({"user_id": 42, "mail": "***", "home": {"city": "Łódź", "street": "***"}}));
    assert_eq!(line["masked"], json!(true));
    let shown = tail(&["--unmask"]).json_lines();
    assert_eq!((&shown[0]["payload"]["home"]["street"], shown[0].get("masked")), (&json!("Piotrkowska 1"), None));
    // A line with holes is not published as if it were the event.
    let refused = on_servers(["publish", &topic]).input(hidden.stdout.clone()).run();
    refused.failed(1, &["masked", "--unmask"]);
    let table = on_servers(["tail", &topic, "--from", "start", "--no-follow"]).run().succeeded();
    assert!(!table.stdout.contains("zoe@mail.example") && !table.stdout.contains("Piotrkowska"), "{table:?}");
}

#[tokio::test]
async fn a_field_that_is_marked_later_is_hidden_in_older_events_too() {
    let topic = fresh_topic("masking-later", 1).await;
    published(&topic, &SCHEMA.replace(", \"pii\": true", ""));
    let tail = on_servers(["tail", &topic]).args(TAIL);
    let lines = tail.file("schemas/players/Moved.avsc", SCHEMA).run().succeeded().json_lines();
    assert_eq!(lines[0]["payload"]["mail"], "***");
}

#[tokio::test]
async fn what_was_renamed_since_is_hidden_in_older_events_too() {
    let topic = fresh_topic("masking-renamed", 1).await;
    published(&topic, &SCHEMA.replace(", \"pii\": true", ""));
    let now = SCHEMA
        .replace("\"name\": \"Moved\"", "\"name\": \"Relocated\", \"aliases\": [\"Moved\"]")
        .replace("\"name\": \"mail\"", "\"name\": \"email\", \"aliases\": [\"mail\"]");
    let tail = on_servers(["tail", &topic]).args(TAIL);
    let lines = tail.file("schemas/players/Relocated.avsc", &now).run().succeeded().json_lines();
    assert_eq!(lines[0]["payload"], json!({"user_id": 42, "mail": "***", "home": {"city": "Łódź", "street": "***"}}));
}

#[tokio::test]
async fn dead_letters_are_shown_masked() {
    let letters = fresh_topic("masking-letters", 1).await;
    // Any record of a dead-letter topic is a letter.
    published(&letters, SCHEMA);
    let letter = |more: &[&str]| {
        let show = ["dead-letters", "show", "0:0", "--topic", &letters, "-o", "json"];
        on_servers(show).args(more.iter().copied()).run().succeeded()
    };
    let hidden = letter(&[]);
    assert!(hidden.stdout.contains("\"***\"") && !hidden.stdout.contains("zoe@mail.example"), "{hidden:?}");
    assert!(letter(&["--unmask"]).stdout.contains("zoe@mail.example"));
}
