//! `tidings schema` with a real registry.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::command::{Tidings, tidings};
use crate::schema::http;
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
fn a_check_is_under_the_mode_that_the_registry_holds_the_subject_to() {
    let source = source();
    let checked = |arguments: &[&str], working: &str| {
        let arguments = ["check", "-o", "jsonl"].into_iter().chain(arguments.iter().copied());
        let finished = with_registry(&source, arguments, working).run();
        let row: Value = serde_json::from_str(finished.stdout.lines().next().unwrap()).unwrap();
        let breaks = row["findings"].as_array().unwrap().iter().any(|finding| {
            finding["level"] == "error" && finding["message"].as_str().unwrap().contains("cannot read what")
        });
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("compatibility"), text("compatibility_from"), breaks, row)
    };
    let first = schema(&source, "1.0.0", "");
    with_registry(&source, ["register", "--working"], &first).run().succeeded();
    let needed = schema(&source, "1.1.0", NEEDED);
    // Old events lack the new field; old readers pass over it.
    for (mode, breaks) in [
        ("BACKWARD", true),
        ("BACKWARD_TRANSITIVE", true),
        ("FORWARD", false),
        ("FORWARD_TRANSITIVE", false),
        ("FULL", true),
        ("FULL_TRANSITIVE", true),
    ] {
        http("PUT", &format!("/config/{source}-{source}.Renamed"), &json!({"compatibility": mode}));
        let (checked_under, from, found, row) = checked(&[], &needed);
        assert_eq!((checked_under.as_str(), from.as_str(), found), (mode, "registry", breaks), "{row}");
        let told = row["findings"].as_array().unwrap().iter().any(|finding| {
            finding["help"]
                .as_str()
                .is_some_and(|help| help.contains(&format!("\"tidings.compatibility\": \"{mode}\"")))
        });
        assert_eq!(told, mode != "BACKWARD_TRANSITIVE", "{row}");
    }
    // A flag goes before the schema, the schema before the registry; where they differ, the registry's is told.
    let next = schema(&source, "1.0.1", "");
    let stated = next.replace("\"tidings.version\"", "\"tidings.compatibility\": \"FORWARD\", \"tidings.version\"");
    let (mode, from, _, row) = checked(&[], &stated);
    assert_eq!((mode.as_str(), from.as_str()), ("FORWARD", "schema"));
    let note = "states FORWARD, and the registry holds its subject to FULL_TRANSITIVE";
    assert!(
        row["findings"][0]["level"] == "note" && row["findings"][0]["message"].as_str().unwrap().contains(note),
        "{row}"
    );
    let (mode, from, ..) = checked(&["--compatibility", "NONE"], &stated);
    assert_eq!((mode.as_str(), from.as_str()), ("NONE", "flag"));
    let (mode, from, breaks, _) = checked(&["--offline"], &needed);
    assert_eq!((mode.as_str(), from.as_str(), breaks), ("BACKWARD_TRANSITIVE", "default", false));
    // What the registry answers for what nobody has configured leaves the check as it is without one.
    http("PUT", &format!("/config/{source}-{source}.Renamed"), &json!({"compatibility": "NONE"}));
    let (mode, from, breaks, row) = checked(&[], &needed);
    assert_eq!((mode.as_str(), from.as_str(), breaks), ("BACKWARD_TRANSITIVE", "default", true), "{row}");
}

#[test]
fn a_registry_that_is_away_is_no_answer() {
    let command = tidings(["schema", "check", "--registry", "http://127.0.0.1:1"]);
    command.file("schemas/accounts/Renamed.avsc", &schema("accounts", "1.0.0", "")).run().failed(2, &["127.0.0.1:1"]);
}
