//! `tidings contract`.

use serde_json::{Value, json};

use crate::command::{Tidings, tidings};

const RENAMED: &str = r#"{"type": "record", "name": "Renamed", "namespace": "accounts", "doc": "A player has another name.",
    "tidings.version": "1.2.0", "fields": [{"name": "user_id", "type": "long"}]}"#;

fn routes() -> String {
    let route = |dispatcher: &str, event: &str, versions: &str, handler: &str| {
        json!({"service": "leaderboards", "group": format!("leaderboards.{dispatcher}"), "dispatcher": dispatcher,
            "source": "accounts", "event": event, "versions": versions, "handler": handler, "payload_version": "1.2.0",
            "payload_schema": serde_json::from_str::<Value>(RENAMED).unwrap(), "max_attempts": 5,
            "on_exhausted": "dead_letter", "timeout_ms": 60_000, "order": "key", "docs": "Shows \"the\" <new> name.\nEverywhere."})
    };
    json!([
        route("Boards", "accounts.Renamed", ">=1.2.0, <2", "on_renamed"),
        route("Audit", "accounts.Deleted", "*", "on_deleted")
    ])
    .to_string()
}

fn contract<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    tidings(["contract"])
        .args(arguments)
        .file("schemas/accounts/Renamed.avsc", RENAMED)
        .file("schemas/accounts/topic.toml", "partitions = 12")
        .file("routes.json", &routes())
}

#[test]
fn a_handler_is_an_operation_that_receives() {
    let finished = contract(["asyncapi", "routes.json", "--server", "broker.example:9092"]).run().succeeded();
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((&document["asyncapi"], &document["info"]["title"]), (&json!("3.1.0"), &json!("leaderboards")));
    let operation = &document["operations"]["Boards.on_renamed"];
    assert_eq!((&operation["action"], &operation["summary"]), (&json!("receive"), &json!("Shows \"the\" <new> name.")));
    assert_eq!(operation["bindings"]["kafka"]["groupId"]["enum"], json!(["leaderboards.Boards"]));
    assert_eq!(operation["messages"][0]["$ref"], "#/channels/accounts/messages/accounts.Renamed-1.2.0");
    let message = &document["components"]["messages"]["accounts.Renamed-1.2.0"];
    assert_eq!(
        (&message["x-eventcatalog-role"], &message["x-eventcatalog-message-version"]),
        (&json!("client"), &json!("1.2.0"))
    );
    assert_eq!(message["payload"]["schema"]["name"], "Renamed");
    assert_eq!(document["channels"]["accounts"]["bindings"]["kafka"]["partitions"], 12);
    assert_eq!(document["servers"]["kafka"]["host"], "broker.example:9092");
    assert!(document["components"]["schemas"]["headers"]["properties"].get("ce_type").is_some());
}

#[test]
fn a_published_event_is_an_operation_that_sends() {
    let finished = contract(["asyncapi", "--service", "accounts"]).run().succeeded();
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let operation = &document["operations"]["publish.accounts.Renamed"];
    assert_eq!((&operation["action"], &operation["channel"]["$ref"]), (&json!("send"), &json!("#/channels/accounts")));
    let message = &document["components"]["messages"]["accounts.Renamed-1.2.0"];
    assert_eq!(
        (&message["x-eventcatalog-role"], &message["summary"]),
        (&json!("provider"), &json!("A player has another name."))
    );
}

#[test]
fn backstage_has_a_component_and_an_api() {
    let accounts = contract(["backstage", "--service", "accounts", "--owner", "players: \"team\""]).run().succeeded();
    let expected = r#"apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: "accounts"
  tags: ["kafka", "tidings"]
spec:
  type: service
  lifecycle: production
  owner: "players: \"team\""
  providesApis: ["accounts-events"]
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata:
  name: "accounts-events"
  description: "The events of accounts: accounts.Renamed"
spec:
  type: asyncapi
  lifecycle: production
  owner: "players: \"team\""
  definition:
    $text: ./asyncapi.json
"#;
    assert_eq!(accounts.stdout, expected);
    let boards = contract(["backstage", "routes.json"]).run().succeeded();
    assert!(
        boards.stdout.contains("consumesApis: [\"accounts-events\"]") && !boards.stdout.contains("kind: API"),
        "{boards:?}"
    );
}

#[test]
fn a_diagram_leads_from_sources_through_events_to_handlers() {
    let finished = contract(["mermaid", "routes.json"]).run().succeeded();
    let expected = r##"flowchart LR
  source1[/"accounts"/]
  event2(["accounts.Deleted"])
  source1 --> event2
  event3(["accounts.Renamed"])
  source1 --> event3
  subgraph group4["leaderboards.Audit"]
    handler5["on_deleted"]
  end
  event2 --> handler5
  subgraph group6["leaderboards.Boards"]
    handler7["on_renamed"]
  end
  event3 -->|"#62;=1.2.0, #60;2"| handler7
"##;
    assert_eq!(finished.stdout, expected);
}

#[test]
fn what_is_not_known_is_said() {
    contract(["asyncapi"]).run().failed(2, &["--service"]);
    contract(["asyncapi", "--service", "mails"]).run().failed(2, &["mails", "accounts"]);
    contract(["mermaid", "none.json"]).run().failed(1, &["none.json"]);
    contract(["mermaid", "schemas/accounts/topic.toml"]).run().failed(1, &["TIDINGS_ROUTES"]);
    tidings(["contract", "mermaid"]).run().failed(2, &["nothing to show"]);
    contract(["openapi"]).run().failed(2, &["openapi", "asyncapi"]);
    // A listing of an older version says nothing of its service and its schema.
    let old = include_str!("routes.json");
    let document = contract(["mermaid", "old.json"]).file("old.json", old).run().succeeded();
    assert!(document.stdout.contains("on_users_deleted"), "{document:?}");
}
