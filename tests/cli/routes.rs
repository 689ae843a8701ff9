//! `tidings routes`.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::transport::kafka::KafkaOptions;
use tidings::{Event, Result, dispatcher};

use crate::command::tidings;

const ROUTES: &str = include_str!("routes.json");

#[derive(Event, Serialize, Deserialize, Debug)]
#[event(
    name = "accounts.UserUpdated",
    version = "1.3.0",
    schema_inline = r#"{"type": "record", "name": "UserUpdated", "namespace": "accounts", "fields": [
        {"name": "user_id", "type": "long"}
    ]}"#
)]
struct UserUpdated {
    #[event(key)]
    user_id: i64,
}

struct Scores;

#[dispatcher(source = "accounts", order = "unordered", concurrency = 4)]
impl Scores {
    /// Keeps the display name.
    #[on(
        "accounts.UserUpdated",
        version = ">=1.2.3",
        retry(max_attempts = 3),
        rate = 50,
        batch(max = 20, wait = "100ms")
    )]
    async fn on_user_updated(&self, events: Vec<UserUpdated>) -> Result<()> {
        assert!(events.iter().all(|event| event.user_id > 0));
        Ok(())
    }
}

/// What a service does at its start. The tests below run this program with this test alone, as a service's command.
#[tokio::test]
async fn service() {
    if std::env::var_os("TIDINGS_ROUTES").is_some() {
        // No broker is asked.
        let options = ConsumerOptions::new("leaderboards").kafka(KafkaOptions::new("127.0.0.1:1"));
        let built = Consumer::builder(options).dispatch(Scores).build().await;
        panic!("{}", built.err().map(|error| error.to_string()).unwrap_or_default());
    }
}

#[test]
fn a_service_is_started_and_says_what_it_handles() {
    let this = std::env::current_exe().unwrap();
    let ask = |format: &[&str]| {
        let command = ["--", this.to_str().unwrap(), "--exact", "routes::service"];
        tidings(["routes"]).args(format.iter().copied()).args(command).run().succeeded()
    };
    let finished = ask(&["-o", "jsonl"]);
    let expected = json!({
        "service": "leaderboards", "group": "leaderboards.Scores", "dispatcher": "Scores", "source": "accounts", "event": "accounts.UserUpdated",
        "versions": ">=1.2.3", "handler": "on_user_updated", "payload_version": "1.3.0",
        "payload_schema": {"type": "record", "name": "UserUpdated", "namespace": "accounts",
            "fields": [{"name": "user_id", "type": "long"}]}, "max_attempts": 3,
        "on_exhausted": "dead_letter", "timeout_ms": 60_000, "order": "unordered", "concurrency": 4, "rate": 50,
        "batch": {"max": 20, "wait_ms": 100}, "docs": "Keeps the display name.",
    });
    assert_eq!(finished.json_lines(), std::slice::from_ref(&expected));
    assert_eq!(finished.stderr, "");
    let array: serde_json::Value = serde_json::from_str(&ask(&["--json"]).stdout).unwrap();
    assert_eq!(array, json!([expected]));
    let table = ask(&[]).stdout;
    for cell in [
        "GROUP",
        "leaderboards.Scores",
        "accounts.UserUpdated",
        ">=1.2.3",
        "3 attempts, then dead letter",
        "unordered, 4 at once, 50/s, batches of 20 or 100 ms",
    ] {
        assert!(table.contains(cell), "{table}");
    }
}

#[test]
fn a_command_that_writes_no_routes_is_shown_with_what_it_said() {
    let finished = tidings(["routes", "--", "sh", "-c", "echo out; echo err >&2; exit 3"]).run();
    let finished = finished.failed(1, &["without writing its routes", "exit status: 3", "out", "err"]);
    assert_eq!(finished.stdout, "");
    tidings(["routes", "--", "no-such-command"]).run().failed(1, &["no-such-command", "there is no command"]);
    tidings(["routes", "--timeout", "1", "--", "sleep", "60"]).run().failed(1, &["within 1 s"]);
    tidings(["routes", "--", "sh", "-c", "echo nonsense > $TIDINGS_ROUTES"]).run().failed(1, &["did not give routes"]);
}

#[test]
fn a_service_that_runs_on_after_writing_its_routes_is_ended() {
    let command = format!("printf '%s' '{}' > $TIDINGS_ROUTES; exec sleep 600", ROUTES.replace('\'', ""));
    let finished = tidings(["routes", "-o", "jsonl", "--", "sh", "-c", &command]).run().succeeded();
    assert_eq!(finished.json_lines().len(), 2);
}

#[test]
fn routes_are_read_from_a_file_or_from_standard_input_and_cannot_take_over_the_terminal() {
    let from_file = tidings(["routes", "r.json"]).file("r.json", ROUTES).run().succeeded();
    let from_input = tidings(["routes", "-"]).input(ROUTES).run().succeeded();
    assert_eq!(from_file.stdout, from_input.stdout);
    assert!(from_file.stdout.contains("Keeps the \\u001b[31mdisplay name."), "{from_file:?}");
    assert!(!from_file.stdout.contains("And more"), "{from_file:?}");
    assert!(from_file.stdout.contains("partition, 8 at once, 100/s, batches of 50 or 250 ms"), "{from_file:?}");
    // A service that is older than this says nothing of its order, and has but one.
    let listed = tidings(["routes", "-o", "jsonl", "r.json"]).file("r.json", ROUTES).run().succeeded();
    assert_eq!((&listed.json_lines()[0]["order"], listed.json_lines()[0].get("rate")), (&json!("key"), None));
    tidings(["routes", "nosuch.json"]).run().failed(1, &["nosuch.json"]);
}
