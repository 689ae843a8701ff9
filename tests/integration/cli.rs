//! The `tidings` command on real servers.

use serde_json::{Value, json};
use tidings::Event as _;
use tidings::database::sqlx::{self, Row as _};
use tidings::database::{Database, DatabaseOptions, Error, Transaction};
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tidings::transport::kafka::{KafkaProducer, ProducerOptions};
use tidings::transport::{Headers, OutgoingRecord, Producer as _};

use crate::command::{Tidings, tidings};
use crate::events::NicknameChanged;
use crate::kafka::{fresh, fresh_topic, kafka};
use crate::setting;
use crate::support::wait::until;

const SCHEMA: &str = r#"{"type": "record", "name": "UserUpdated", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"},
    {"name": "nickname", "type": ["null", "string"], "default": null}
]}"#;

/// A command that knows the servers.
fn on_servers<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    tidings(arguments)
        .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
        .env("TIDINGS_REGISTRY", setting("TIDINGS_TEST_REGISTRY"))
}

/// `tidings publish` of an event whose schema is in a file.
fn publish(topic: &str) -> Tidings {
    let arguments = ["publish", topic, "--schema", "UserUpdated.avsc", "--event-version", "1.3.0"];
    on_servers(arguments).file("UserUpdated.avsc", SCHEMA)
}

/// All that is on a topic, in the order of its one partition.
fn all(topic: &str) -> Vec<Value> {
    on_servers(["tail", topic, "--from", "start", "--no-follow", "-o", "jsonl"]).run().succeeded().json_lines()
}

/// A line each.
fn joined(lines: &[Value]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

async fn write_raw(topic: &str, records: Vec<(Option<&[u8]>, Headers)>) {
    let producer = KafkaProducer::new(&kafka(), &ProducerOptions::new()).unwrap();
    for (payload, headers) in records {
        let payload = payload.map(bytes::Bytes::copy_from_slice);
        let key = Some(bytes::Bytes::from_static(b"42"));
        let record = OutgoingRecord { topic: topic.into(), partition: None, key, payload, headers, timestamp_ms: None };
        producer.send(record).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_published_is_tailed_with_every_header_and_published_again_as_it_was() {
    let (topic, copy) = (fresh_topic("cli", 1).await, fresh_topic("cli-copy", 1).await);
    let lines = "{\"user_id\": 42, \"nickname\": \"Łódź\"}\n{\"user_id\": 7}\n";
    let published = publish(&topic).args(["--key-field", "user_id", "-o", "jsonl"]).input(lines).run().succeeded();
    let receipts = published.json_lines();
    assert_eq!((&receipts[0]["offset"], &receipts[1]["offset"]), (&json!(0), &json!(1)));

    let seen = all(&topic);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0]["payload"], json!({"user_id": 42, "nickname": "Łódź"}));
    assert_eq!(seen[1]["payload"], json!({"user_id": 7, "nickname": null}));
    assert_eq!((&seen[0]["key"], &seen[0]["event"]), (&json!("42"), &json!("accounts.UserUpdated")));
    let headers = &seen[0]["headers"];
    assert_eq!(headers["ce_id"], receipts[0]["id"]);
    for name in [
        "ce_specversion",
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
    ] {
        assert!(headers[name].as_str().is_some_and(|value| !value.is_empty()), "{name} is missing: {headers}");
    }
    let subject = format!("/subjects/{topic}-accounts.UserUpdated/versions/1");
    assert!(headers["ce_dataschema"].as_str().unwrap().ends_with(&subject), "{headers}");

    let written = joined(&seen);
    on_servers(["publish", &copy, "--schema", "UserUpdated.avsc"])
        .file("UserUpdated.avsc", SCHEMA)
        .input(written)
        .run()
        .succeeded();
    for (original, copied) in seen.iter().zip(all(&copy)) {
        assert_eq!(original["payload"], copied["payload"]);
        assert_eq!(original["key"], copied["key"]);
        let (mut original, mut copied) = (original["headers"].clone(), copied["headers"].clone());
        // The copy's schema is registered for the copy's topic.
        assert_ne!(original["ce_dataschema"].take(), copied["ce_dataschema"].take());
        assert_eq!(original, copied);
    }
}

#[tokio::test]
async fn the_registrys_newest_schema_is_what_a_payload_must_fit() {
    let topic = fresh_topic("cli", 1).await;
    publish(&topic).args(["--key", "42", "{\"user_id\": 42}"]).run().succeeded();
    let by_name = || on_servers(["publish", &topic, "--event", "accounts.UserUpdated", "--key", "42"]);
    by_name().input("{\"user_id\": 43}").run().succeeded();
    by_name().input("{\"user_id\": \"43\"}").run().failed(1, &["line 1", "`user_id`", "long"]);
    let unknown = on_servers(["publish", &topic, "--event", "accounts.NoSuch", "--key", "42", "{}"]);
    unknown.run().failed(1, &["accounts.NoSuch", &format!("{topic}-accounts.NoSuch"), "--schema"]);
    let beside = on_servers(["publish", &topic, "--schemas", "s", "--event", "accounts.NoSuch", "--key", "42", "{}"]);
    beside.run().failed(1, &["has no subject", "the folder s is not looked into"]);
    let other = SCHEMA.replace("UserUpdated", "UserRenamed");
    let forbidden = on_servers(["publish", &topic, "--schema", "s.avsc", "--no-register", "--key", "42"]);
    forbidden.file("s.avsc", &other).input("{\"user_id\": 1}").run().failed(1, &["UserRenamed", "not registered"]);
    assert_eq!(all(&topic).len(), 2);
}

#[tokio::test]
async fn a_dry_run_registers_and_publishes_nothing() {
    let topic = fresh_topic("cli", 1).await;
    publish(&topic).args(["--dry-run", "--key", "42", "{\"user_id\": 42}"]).run().succeeded();
    assert_eq!(all(&topic), Vec::<Value>::new());
    let asked = on_servers(["publish", &topic, "--event", "accounts.UserUpdated", "--key", "42", "{\"user_id\": 42}"]);
    asked.run().failed(1, &["has no subject"]);
}

#[tokio::test]
async fn malformed_json_publishes_nothing_of_its_line_and_what_is_before_it() {
    let topic = fresh_topic("cli", 1).await;
    let lines = "{\"user_id\": 1}\n{\"user_id\": 2} {\"user_id\" 3}\n{\"user_id\": 4}\n";
    let finished = publish(&topic).args(["--key-field", "user_id"]).input(lines).run();
    finished.failed(1, &["line 2, column 27", "not JSON", "1 event published"]);
    let seen: Vec<_> = all(&topic).iter().map(|line| line["payload"]["user_id"].clone()).collect();
    assert_eq!(seen, [json!(1)]);
}

#[tokio::test]
async fn nothing_that_stands_on_a_topic_ends_a_tail() {
    let topic = fresh_topic("cli", 1).await;
    publish(&topic).args(["--key", "42", "{\"user_id\": 1}"]).run().succeeded();
    let mut hostile = Headers::new();
    hostile.push_str("ce_type", "accounts.\u{1b}[2JUserUpdated");
    hostile.push("binary", Some(&[0xff, 0x00, 0x1b]));
    hostile.push("nothing", None);
    hostile.push_str("ce_time", "yesterday\u{9b}");
    let random: Vec<u8> = (0..=255_u8).rev().collect();
    let records = vec![
        (Some(&random[..]), hostile),
        (None, Headers::new()),
        (Some(&[][..]), Headers::new()),
        (Some(&[0, 0x7f, 0xff, 0xff, 0xff, 1][..]), Headers::new()),
        (Some(&[0, 0, 0][..]), Headers::new()),
        (Some(&b"{\"json\": true}"[..]), Headers::new()),
    ];
    write_raw(&topic, records).await;
    publish(&topic).args(["--key", "42", "{\"user_id\": 2}"]).run().succeeded();

    let seen = all(&topic);
    assert_eq!(seen.len(), 8);
    assert_eq!((&seen[0]["payload"]["user_id"], &seen[7]["payload"]["user_id"]), (&json!(1), &json!(2)));
    for line in [&seen[1], &seen[3], &seen[4], &seen[5], &seen[6]] {
        assert!(line["payload"].is_null() && line["payload_base64"].is_string(), "{line}");
        assert!(line["payload_error"].as_str().is_some_and(|reason| !reason.is_empty()), "{line}");
    }
    assert!(seen[2]["payload"].is_null() && seen[2].get("payload_error").is_none(), "{}", seen[2]);
    assert_eq!(seen[1]["headers"]["binary"], json!({"base64": "/wAb"}));
    assert_eq!(seen[1]["headers"]["nothing"], Value::Null);

    let table = on_servers(["tail", &topic, "--from", "start", "--no-follow", "--headers"]).run().succeeded().stdout;
    assert!(!table.contains(['\u{1b}', '\u{9b}', '\u{0}']), "{table}");
    assert!(table.contains("not decodable") && table.contains("(null)"), "{table}");

    // What cannot be decoded, and a tombstone, are copied byte for byte.
    let copy = fresh_topic("cli-copy", 1).await;
    let lines = joined(&seen[1..7]);
    on_servers(["publish", &copy]).input(lines).run().succeeded();
    let copied = all(&copy);
    for (original, copied) in seen[1..7].iter().zip(&copied) {
        assert_eq!(original["payload_base64"], copied["payload_base64"]);
        assert_eq!(original["headers"], copied["headers"]);
    }
    assert_eq!(copied.len(), 6);
}

#[tokio::test]
async fn a_tail_begins_and_ends_where_it_is_told() {
    let topic = fresh_topic("cli", 1).await;
    let lines = joined(&(0..10).map(|user| json!({"user_id": user})).collect::<Vec<_>>());
    publish(&topic).args(["--key-field", "user_id"]).input(lines).run().succeeded();
    let users = |arguments: &[&str]| {
        let finished = on_servers(["tail", &topic, "-o", "jsonl"]).args(arguments.iter().copied()).run().succeeded();
        finished.json_lines().iter().map(|line| line["payload"]["user_id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(users(&["--from", "-2", "--no-follow"]), [8, 9]);
    assert_eq!(users(&["--from", "+3", "--count", "2"]), [3, 4]);
    assert_eq!(users(&["--from", "4:6"]), [4, 5]);
    assert_eq!(users(&["--from", ":end", "--key", "7"]), [7]);
    assert_eq!(users(&["--from", "start", "--to", "-9"]), [0]);
    assert_eq!(users(&["--from", "@2020-01-01:+1"]), [0]);
    assert_eq!(users(&["--from", "@-1h:end"]).len(), 10);
    assert_eq!(users(&["--from", "@2100-01-01T00:00:00Z", "--no-follow"]), [0_i64; 0]);
    assert_eq!(users(&["--from", "start", "--no-follow", "--event", "accounts.Other"]), [0_i64; 0]);
    assert_eq!(users(&["--from", "start", "--no-follow", "--event", "accounts.User*"]).len(), 10);
    let wrong = on_servers(["tail", &topic, "--partition", "1"]).run();
    wrong.failed(1, &["no partition 1"]);
    let array = on_servers(["tail", &topic, "--from", "0:3", "-o", "json"]).run().succeeded().stdout;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&array).unwrap().len(), 3);
    let empty = on_servers(["tail", &topic, "--from", "0:0", "-o", "json"]).run().succeeded().stdout;
    assert_eq!(serde_json::from_str::<Vec<Value>>(&empty).unwrap().len(), 0);
}

#[tokio::test]
async fn a_tail_follows_until_it_is_told_to_end() {
    let topic = fresh_topic("cli", 2).await;
    publish(&topic).args(["--key", "1", "{\"user_id\": 1}"]).run().succeeded();
    let mut tail = on_servers(["tail", &topic, "-o", "jsonl"]).start();
    let user = |line: &str| serde_json::from_str::<Value>(line).unwrap()["payload"]["user_id"].clone();
    assert_eq!(user(&tail.line()), 1);
    for next in 2..5 {
        let (key, payload) = (next.to_string(), format!("{{\"user_id\": {next}}}"));
        publish(&topic).args(["--key", &key, &payload]).run().succeeded();
        assert_eq!(user(&tail.line()), next);
    }
    assert_eq!(tail.terminate(), Some(0));
}

#[tokio::test]
async fn a_topic_that_is_missing_is_named_by_every_verb() {
    let topic = fresh("cli-missing");
    on_servers(["tail", &topic]).run().failed(1, &[&topic, "does not exist", "tidings topics ensure"]);
    on_servers(["topics", "show", &topic]).run().failed(1, &[&topic, "does not exist"]);
    let published = publish(&topic).args(["--key", "1", "{\"user_id\": 1}"]).run();
    published.failed(1, &[&topic, "does not exist", "tidings topics ensure"]);
    // Asking did not create it.
    on_servers(["topics", "show", &topic]).run().failed(1, &["does not exist"]);
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_from_a_broker_that_is_away() {
    let topic = fresh_topic("cli", 1).await;
    let with = |verb: &[&str], password: &str| {
        tidings(verb.iter().copied())
            .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_SASL_BROKERS"))
            .env("TIDINGS_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
            .env("TIDINGS_KAFKA_SASL_MECHANISM", "PLAIN")
            .env("TIDINGS_KAFKA_SASL_USERNAME", setting("TIDINGS_TEST_SASL_USER"))
            .env("TIDINGS_KAFKA_SASL_PASSWORD", password)
            .file("s.avsc", SCHEMA)
            .run()
    };
    let verbs: [&[&str]; 3] = [
        &["tail", &topic, "--no-follow"],
        &["topics", "show", &topic],
        &["publish", &topic, "--schema", "s.avsc", "--key", "1", "{\"user_id\": 1}"],
    ];
    for verb in verbs {
        let finished = with(verb, "not the password").failed(1, &["authentication failed", "sasl.password"]);
        assert!(!finished.stderr.contains("not the password"), "{finished:?}");
        with(verb, &setting("TIDINGS_TEST_SASL_PASSWORD")).succeeded();
    }
}

#[tokio::test]
async fn a_wrong_password_of_the_database_is_told_without_showing_it() {
    let url = setting("TIDINGS_TEST_DATABASE");
    let (scheme, rest) = url.split_once("://").unwrap();
    let (login, place) = rest.split_once('@').unwrap();
    let user = login.split(':').next().unwrap();
    let wrong = format!("{scheme}://{user}:not-the-password@{place}");
    for verb in ["migrate", "relay"] {
        let finished = tidings([verb]).env("TIDINGS_DATABASE", &wrong).run().failed(1, &["access denied", user]);
        assert!(!finished.stderr.contains("not-the-password"), "{finished:?}");
    }
    tidings(["migrate"]).env("TIDINGS_DATABASE", &url).run().succeeded();
    tidings(["migrate", "--check"]).env("TIDINGS_DATABASE", &url).run().succeeded();
}

#[tokio::test]
async fn declared_topics_are_created_and_shown_and_a_difference_is_an_error() {
    let (first, second) = (fresh("cli"), fresh("cli"));
    let ensure = |partitions: u32| {
        on_servers(["topics"])
            .file(&format!("schemas/{first}/topic.toml"), &format!("partitions = {partitions}\nretention = \"36h\""))
            .file(&format!("schemas/{second}/topic.toml"), "partitions = 1")
    };
    let created = ensure(3).args(["ensure", "-o", "jsonl"]).run().succeeded().json_lines();
    assert_eq!(created.iter().filter(|row| row["state"] == "created").count(), 2);
    let shown = ensure(3).args(["show", "-o", "jsonl"]).run().succeeded().json_lines();
    let row = shown.iter().find(|row| row["topic"] == *first).unwrap();
    assert_eq!((&row["partitions"], &row["declared_partitions"]), (&json!(3), &json!(3)));
    assert!(ensure(3).args(["show"]).run().succeeded().stdout.contains("36h"));

    for verb in ["ensure", "show"] {
        // The other topic is told of all the same.
        let finished = ensure(5).args([verb]).run().failed(1, &["3 partitions", "5 are declared"]);
        assert!(finished.stdout.contains(&second), "{finished:?}");
    }
    on_servers(["topics", "show"]).run().failed(2, &["schemas"]);
    on_servers(["topics", "ensure", &first]).run().failed(2, &[&first, "topic.toml", "--partitions"]);
    let broken = ensure(3).file(&format!("schemas/{first}/topic.toml"), "partition = 3").args(["ensure"]).run();
    broken.failed(2, &[&first, "partition"]);
}

#[tokio::test]
async fn a_relay_of_its_own_publishes_what_was_committed_and_ends_when_it_is_told() {
    let service = fresh_topic("cli", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("outbox.db").display());
    tidings(["migrate", "--database", &url]).run().succeeded();
    let database = Database::connect(DatabaseOptions::new(&url)).await.unwrap();
    let options = PublisherOptions::new(&service).kafka(kafka()).mode(DeliveryMode::Outbox);
    let publisher = Publisher::builder(options).build().await.unwrap();
    let database = database.with_publisher(&publisher);
    let commit = async |users: std::ops::Range<i64>| {
        for user in users {
            let event = NicknameChanged::of(user);
            let publish = |tx: Transaction| {
                tx.publish(&event);
                async { Ok::<_, Error>(()) }
            };
            database.transaction(publish).await.unwrap();
        }
    };
    commit(0..3).await;

    let relay = on_servers(["relay", "--database", &url, "--service", &service]).start();
    commit(3..5).await;
    let arguments = ["tail", &service, "--from", "start", "-n", "5", "-o", "jsonl", "--schemas", "s"];
    let tail = tidings(arguments).env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"));
    let seen = tail.file("s/accounts/NicknameChanged.avsc", NicknameChanged::SCHEMA).run().succeeded().json_lines();
    let mut users: Vec<_> = seen.iter().map(|line| line["payload"]["user_id"].as_i64().unwrap()).collect();
    users.sort_unstable();
    assert_eq!(users, [0, 1, 2, 3, 4]);
    assert!(seen.iter().all(|line| line["headers"]["ce_sequence"] == "00000000000000000001"), "{seen:?}");
    assert_eq!(relay.terminate(), Some(0));
}

#[tokio::test]
async fn a_relay_of_its_own_takes_events_to_the_event_store_that_it_is_told_of() {
    let service = fresh_topic("cli", 1).await;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let (url, stored) = (place("outbox.db"), place("store.db"));
    tidings(["migrate", "--database", &url]).run().succeeded();
    tidings(["store", "migrate", "--database", &stored]).run().succeeded();
    let database = Database::connect(DatabaseOptions::new(&url)).await.unwrap();
    let options = PublisherOptions::new(&service).kafka(kafka()).mode(DeliveryMode::Store);
    let database = database.with_publisher(&Publisher::builder(options).build().await.unwrap());
    let publish = |tx: Transaction| {
        tx.publish(&NicknameChanged::of(7));
        async { Ok::<_, Error>(()) }
    };
    database.transaction(publish).await.unwrap();

    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let store = tidings(["store", "serve", "--no-forward", "--listen", &address, "--database", &stored]).start();
    let place = format!("http://{address}");
    let relay = on_servers(["relay", "--database", &url, "--service", &service, "--store", &place]).start();
    until("the outbox is empty", async || {
        let rows = sqlx::query("SELECT COUNT(*) FROM tidings_outbox").fetch_one(database.sqlite_pool().unwrap()).await;
        if rows.unwrap().get::<i64, _>(0) == 0 { Ok(()) } else { Err(()) }
    })
    .await;
    let follow = tidings(["store", "subscribe", "-n", "1", "-o", "jsonl", "--store", &place, "--schemas", "s"]);
    let seen = follow.file("s/accounts/NicknameChanged.avsc", NicknameChanged::SCHEMA).run().succeeded().json_lines();
    assert_eq!((&seen[0]["source"], &seen[0]["sequence"]), (&json!(service), &json!(1)), "{seen:?}");
    assert_eq!((relay.terminate(), store.terminate()), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_relay_that_cannot_reach_its_brokers_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("outbox.db").display());
    tidings(["migrate", "--database", &url]).run().succeeded();
    let relay = || tidings(["relay"]).env("TIDINGS_DATABASE", &url);
    relay()
        .env("TIDINGS_BROKERS", "127.0.0.1:1")
        .args(["--timeout", "1"])
        .run()
        .failed(1, &["127.0.0.1:1", "check the addresses"]);
    relay().args(["--kafka", "acks=1"]).run().failed(2, &["acks", "remove it"]);
    let service = fresh("cli-missing");
    let missing = relay().env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS")).args([
        "--service",
        &service,
        "--timeout",
        "60",
    ]);
    missing.run().failed(1, &[&service, "does not exist"]);
}
