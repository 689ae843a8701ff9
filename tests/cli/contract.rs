//! `tidings contract`.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::{Value, json};
use tidings::Stream;
use tidings::envelope::Envelope;
use uuid::Uuid;

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
fn the_headers_of_a_contract_are_all_that_an_envelope_writes() {
    let finished = contract(["asyncapi", "routes.json"]).run().succeeded();
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let headers = &document["components"]["schemas"]["headers"];
    let envelope = Envelope {
        id: Uuid::nil(),
        source: "accounts".into(),
        event: "accounts.Renamed".into(),
        schema_version: "1.2.0".into(),
        time: DateTime::UNIX_EPOCH,
        recorded_time: DateTime::UNIX_EPOCH,
        stream: Stream::new("Account", "42"),
        sequence: Some(1),
        stream_epoch: 1,
        key: "42".to_owned(),
        correlation_id: "c".to_owned(),
        causation_id: Some("d".to_owned()),
        data_schema: "urn:avro:1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        tracestate: Some("vendor=1".to_owned()),
    };
    let names = |envelope: &Envelope| -> BTreeSet<String> {
        envelope.to_headers().iter().map(|header| String::from_utf8(header.name.to_vec()).unwrap()).collect()
    };
    let described: BTreeSet<String> = headers["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(described, names(&envelope));
    // What an event has to have is in each.
    let least = Envelope { sequence: None, stream_epoch: 0, causation_id: None, tracestate: None, ..envelope };
    let required: BTreeSet<String> =
        headers["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert!(required.is_subset(&names(&least)), "{required:?}");
}

#[test]
fn handlers_of_the_same_name_are_operations_of_their_own() {
    let mut routes: Value = serde_json::from_str(&routes()).unwrap();
    let mut other = routes[0].clone();
    other["group"] = "leaderboards.Seasons".into();
    let mut of_another_event = other.clone();
    of_another_event["event"] = "accounts.Deleted".into();
    routes.as_array_mut().unwrap().extend([other, of_another_event]);
    let finished = contract(["asyncapi", "routes.json"]).file("routes.json", &routes.to_string()).run().succeeded();
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    let operations: Vec<_> = document["operations"].as_object().unwrap().keys().collect();
    assert_eq!(
        operations,
        [
            "Audit.on_deleted",
            "leaderboards.Boards.Boards.on_renamed",
            "leaderboards.Seasons.Boards.on_renamed.accounts.Deleted",
            "leaderboards.Seasons.Boards.on_renamed.accounts.Renamed",
        ]
    );
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
fn a_sequence_leads_from_a_service_by_its_mode_to_the_topic_and_to_those_who_take_the_event() {
    let finished = contract(["mermaid-sequence", "routes.json", "--mode", "accounts=outbox"]).run().succeeded();
    let expected = "sequenceDiagram
  participant service1 as accounts
  participant outbox2 as the outbox of accounts
  participant topic3 as topic accounts
  participant service4 as leaderboards
  service1->>outbox2: accounts.Deleted, in the transaction of the change
  outbox2->>topic3: accounts.Deleted, by the relay
  topic3->>service4: Audit.on_deleted takes every version
  service1->>outbox2: accounts.Renamed 1.2.0, in the transaction of the change
  outbox2->>topic3: accounts.Renamed 1.2.0, by the relay
  topic3->>service4: Boards.on_renamed takes #62;=1.2.0, #60;2
";
    assert_eq!(finished.stdout, expected);
    let store = contract(["mermaid-sequence", "routes.json", "--mode", "accounts=store"]).run().succeeded().stdout;
    assert!(store.contains("participant store3 as the event store of accounts\n"), "{store}");
    assert!(store.contains("outbox2->>store3: accounts.Renamed 1.2.0, by the relay\n  store3->>topic4: "), "{store}");
    let direct =
        contract(["mermaid-sequence", "routes.json", "--mode", "accounts=direct:leader"]).run().succeeded().stdout;
    assert!(direct.contains("service1-)topic2: accounts.Renamed 1.2.0, acknowledged by the leader\n"), "{direct}");
    // Services are told their mode by their configuration: without being told, nothing is said of it.
    let unknown = contract(["mermaid-sequence", "routes.json"]).run().succeeded().stdout;
    assert!(unknown.contains("service1->>topic2: accounts.Renamed 1.2.0\n"), "{unknown}");
}

#[test]
fn what_a_service_publishes_in_turn_comes_behind_what_it_handles() {
    let climbed = r#"{"type": "record", "name": "Climbed", "namespace": "a_leaderboards", "fields": []}"#;
    let routes = routes().replace("\"service\":\"leaderboards\"", "\"service\":\"a_leaderboards\"");
    let command = contract(["mermaid-sequence", "turn.json"]).file("turn.json", &routes);
    let sequence = command.file("schemas/a_leaderboards/Climbed.avsc", climbed).run().succeeded().stdout;
    let (handled, published) =
        (sequence.find("Boards.on_renamed").unwrap(), sequence.find("a_leaderboards.Climbed").unwrap());
    assert!(handled < published, "{sequence}");
    // The same service: it takes, and it publishes.
    assert_eq!(sequence.matches(" as a_leaderboards\n").count(), 1, "{sequence}");
}

#[test]
fn states_lead_from_the_record_to_what_each_handler_makes_of_it_by_its_own_policy() {
    let finished = contract(["mermaid-states", "routes.json", "--mode", "accounts=outbox"]).run().succeeded();
    let handler = |id: &str, name: &str| {
        format!(
            "  state \"leaderboards.{name}\" as {id} {{
    state \"being handled\" as {id}_attempt
    state \"handled\" as {id}_handled
    [*] --> {id}_attempt
    {id}_attempt --> {id}_handled
    {id}_handled --> [*]
    state \"to be retried, its key waits\" as {id}_retried
    {id}_attempt --> {id}_retried : fails, or takes longer than 60000 ms
    {id}_retried --> {id}_attempt
    state \"dead-lettered\" as {id}_dead
    {id}_attempt --> {id}_dead : given up after 5 attempts at most
    {id}_dead --> [*]
  }}
"
        )
    };
    let expected = format!(
        "stateDiagram-v2
  state \"recorded by accounts\" as recorded1
  [*] --> recorded1
  state \"in the outbox of accounts\" as outbox2
  recorded1 --> outbox2 : committed with the change
  state \"on the topic accounts\" as topic3
  outbox2 --> topic3 : published by the relay, in the order of its stream
{}  topic3 --> handler4 : accounts.Renamed #62;=1.2.0, #60;2
{}  topic3 --> handler5 : accounts.Deleted
",
        handler("handler4", "Boards.on_renamed"),
        handler("handler5", "Audit.on_deleted"),
    );
    assert_eq!(finished.stdout, expected);
}

#[test]
fn states_know_parked_keys_batches_and_limits() {
    let old = include_str!("routes.json");
    let states = contract(["mermaid-states", "old.json"]).file("old.json", old).run().succeeded().stdout;
    for said in [
        "as handler4_attempt\n",
        "being handled, up to 50 at once or after 250 ms, 8 at a time, 100 a second",
        "_parked : fails once",
        "_parked --> handler4_attempt : its key is released",
    ] {
        assert!(states.contains(said), "{said}: {states}");
    }
    assert!(!states.contains("the partition waits"), "{states}");
    let stops = old.replace("park_key", "stop").replace("\"max_attempts\": 1", "\"max_attempts\": 3");
    let states = contract(["mermaid-states", "old.json"]).file("old.json", &stops).run().succeeded().stdout;
    assert!(
        states.contains("to be retried, the partition waits") && states.contains("the consumer stops at it"),
        "{states}"
    );
}

#[test]
fn what_is_not_known_is_said() {
    contract(["asyncapi"]).run().failed(2, &["--service"]);
    contract(["asyncapi", "--service", "mails"]).run().failed(2, &["mails", "accounts"]);
    contract(["mermaid", "none.json"]).run().failed(1, &["none.json"]);
    contract(["mermaid", "schemas/accounts/topic.toml"]).run().failed(1, &["TIDINGS_ROUTES"]);
    tidings(["contract", "mermaid"]).run().failed(2, &["nothing to show"]);
    contract(["mermaid-states", "--mode", "mails=outbox"]).run().failed(2, &["mails", "accounts"]);
    contract(["mermaid-states", "--mode", "accounts"]).run().failed(2, &["SOURCE=MODE"]);
    contract(["mermaid-states", "--mode", "accounts=post"]).run().failed(2, &["post", "outbox"]);
    contract(["openapi"]).run().failed(2, &["openapi", "asyncapi"]);
    // A listing of an older version says nothing of its service and its schema.
    let old = include_str!("routes.json");
    let document = contract(["mermaid", "old.json"]).file("old.json", old).run().succeeded();
    assert!(document.stdout.contains("on_users_deleted"), "{document:?}");
}
