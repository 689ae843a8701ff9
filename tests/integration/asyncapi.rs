//! What `tidings contract` writes, read by the parser that AsyncAPI publishes.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::command::tidings;

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

/// What a published parser makes of a document: the answer of a script in `tests/integration/node`.
pub(crate) fn answered(script: &str, document: &str) -> Value {
    let environment = Command::new(format!("{FOLDER}/scripts/node-env")).stderr(Stdio::inherit()).output().unwrap();
    assert!(environment.status.success(), "the parsers could not be installed");
    let modules = String::from_utf8(environment.stdout).unwrap();
    let mut child = Command::new("node")
        .args([&format!("{FOLDER}/tests/integration/node/{script}"), modules.trim()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(document.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn parsed(document: &str) -> Value {
    answered("validate.js", document)
}

/// Complaints that are errors; the parser also recommends things, such as a licence.
fn errors(answer: &Value) -> Vec<&Value> {
    answer["diagnostics"].as_array().unwrap().iter().filter(|complaint| complaint["severity"] == 0).collect()
}

fn contract<'a>(arguments: impl IntoIterator<Item = &'a str>) -> String {
    let schema = |name: &str| std::fs::read_to_string(format!("{FOLDER}/schemas/accounts/{name}.avsc")).unwrap();
    let route = json!([{"service": "leaderboards", "group": "leaderboards.Boards", "dispatcher": "Boards", "source": "accounts",
        "event": "accounts.ScoreChanged", "versions": ">=2", "handler": "on_score_changed", "payload_version": "2.1.0",
        "payload_schema": serde_json::from_str::<Value>(&schema("ScoreChanged")).unwrap(), "max_attempts": 5,
        "on_exhausted": "park_key", "timeout_ms": 60_000, "docs": "Adds the points."}]);
    let every = std::fs::read_to_string(format!("{FOLDER}/tests/schemas/every/Everything.avsc")).unwrap();
    let command = tidings(["contract", "asyncapi", "routes.json"]).args(arguments);
    let command = ["ScoreChanged", "UserRegistered", "NicknameChanged"]
        .into_iter()
        .fold(command, |command, name| command.file(&format!("schemas/accounts/{name}.avsc"), &schema(name)));
    let command = command.file("schemas/every/Everything.avsc", &every).file("routes.json", &route.to_string());
    command.run().succeeded().stdout
}

// It installs the parser from the package registry of Node, which `make test` does without.
#[test]
#[ignore = "installs the published parser: make soak"]
fn the_published_parser_accepts_the_contracts() {
    let handlers = parsed(&contract(["--server", "broker.example:9092"]));
    assert_eq!(errors(&handlers), Vec::<&Value>::new());
    assert_eq!(handlers["operations"], json!(["receive Boards.on_score_changed"]));
    assert_eq!(handlers["messages"], json!(["accounts.ScoreChanged: object"]));
    let publisher = parsed(&contract(["--service", "accounts"]));
    assert_eq!(errors(&publisher), Vec::<&Value>::new());
    assert_eq!(publisher["operations"].as_array().unwrap().len(), 3);
    let every = parsed(&contract(["--service", "every"]));
    assert_eq!(errors(&every), Vec::<&Value>::new());
    assert_eq!(every["messages"], json!(["every.kind.Everything: object"]));
}

#[test]
#[ignore = "installs the published parser: make soak"]
fn the_parser_would_not_accept_anything() {
    let broken = contract([]).replace("\"receive\"", "\"listen\"");
    assert!(!errors(&parsed(&broken)).is_empty());
}
