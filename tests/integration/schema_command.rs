//! `tidings schema` with a real registry.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::command::{Tidings, tidings};
use crate::setting;

/// A source that no other test has: subjects stay in the registry.
fn source() -> String {
    format!("schemas{}", Uuid::new_v4().simple())
}

fn schema(source: &str, version: &str, fields: &str) -> String {
    format!(
        r#"{{"type": "record", "name": "Renamed", "namespace": "{source}", "tidings.version": "{version}",
  "fields": [{{"name": "user_id", "type": "long"}}{fields}]}}"#
    )
}

const OPTIONAL: &str = r#", {"name": "nickname", "type": ["null", "string"], "default": null}"#;
const NEEDED: &str = r#", {"name": "nickname", "type": "string"}"#;

fn with_registry<'a>(source: &str, arguments: impl IntoIterator<Item = &'a str>, working: &str) -> Tidings {
    tidings(["schema"])
        .args(arguments)
        .env("TIDINGS_REGISTRY", setting("TIDINGS_TEST_REGISTRY"))
        .file(&format!("schemas/{source}/Renamed.avsc"), working)
}

#[test]
fn released_versions_are_registered_in_their_order_and_once() {
    let source = source();
    let run = |arguments: &[&str]| {
        with_registry(&source, arguments.iter().copied(), &schema(&source, "1.1.0", OPTIONAL))
            .file(&format!("schemas/{source}/released/Renamed/1.0.0.avsc"), &schema(&source, "1.0.0", ""))
            .file(&format!("schemas/{source}/released/Renamed/1.1.0.avsc"), &schema(&source, "1.1.0", OPTIONAL))
            .run()
            .succeeded()
            .json_lines()
    };
    let column = |rows: &[Value], name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    let planned = run(&["register", "--dry-run", "-o", "jsonl"]);
    assert_eq!(column(&planned, "result"), [json!("missing"), json!("missing")]);
    assert_eq!(run(&["ls", "-o", "jsonl"])[0]["registered"], json!(0));
    let registered = run(&["register", "-o", "jsonl"]);
    assert_eq!(column(&registered, "result"), [json!("registered"), json!("registered")]);
    assert_eq!(column(&registered, "registered_version"), [json!(1), json!(2)]);
    assert_eq!(column(&registered, "subject")[0], json!(format!("{source}-{source}.Renamed")));
    let again = run(&["register", "-o", "jsonl"]);
    assert_eq!(column(&again, "result"), [json!("unchanged"), json!("unchanged")]);
    assert_eq!(column(&again, "id"), column(&registered, "id"));
    assert_eq!(run(&["ls", "-o", "jsonl"])[0]["registered"], json!(2));
    let id = registered[0]["id"].to_string();
    let shown = with_registry(&source, ["show", "--id", &id], "{}").run().succeeded();
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["tidings.version"], &shown["namespace"]), (&json!("1.0.0"), &json!(source)));
}

#[test]
fn a_check_compares_with_what_the_registry_has_and_no_file_knows() {
    let source = source();
    let run = |arguments: &[&str], working: &str| with_registry(&source, arguments.iter().copied(), working).run();
    run(&["register", "--working"], &schema(&source, "1.0.0", "")).succeeded();
    // A subject that nobody has registered, and one whose version is the file's.
    run(&["check"], &schema(&source, "1.0.0", "")).succeeded();
    run(&["check"], &schema(&source, "1.1.0", OPTIONAL)).succeeded();
    let broken = run(&["check"], &schema(&source, "1.1.0", NEEDED));
    assert_eq!(broken.code, Some(1), "{broken:#?}");
    for said in
        ["field `nickname`: it is not in what was written", &format!("{source}-{source}.Renamed version 1, id ")]
    {
        assert!(broken.stdout.contains(said), "{said}: {broken:#?}");
    }
    let changed = run(&["check"], &schema(&source, "1.0.0", OPTIONAL));
    assert!(
        changed.code == Some(1) && changed.stdout.contains("1.0.0 is registered with another schema"),
        "{changed:#?}"
    );
    // The registry is not asked.
    run(&["check", "--offline"], &schema(&source, "1.1.0", NEEDED)).succeeded();
}

#[test]
fn a_registry_that_is_away_is_no_answer() {
    let command = tidings(["schema", "check", "--registry", "http://127.0.0.1:1"]);
    command.file("schemas/accounts/Renamed.avsc", &schema("accounts", "1.0.0", "")).run().failed(2, &["127.0.0.1:1"]);
}
