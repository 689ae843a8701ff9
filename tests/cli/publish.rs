//! `tidings publish --dry-run`: what is checked before anything is published.

use crate::command::{Tidings, tidings};

const SCHEMA: &str = r#"{"type": "record", "name": "UserUpdated", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"},
    {"name": "address", "type": {"type": "record", "name": "Address", "fields": [{"name": "city", "type": "string"}]}},
    {"name": "nickname", "type": ["null", "string"], "default": null}
]}"#;

fn dry_run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    let command = tidings(["publish", "accounts", "--dry-run"]).args(arguments);
    command.file("schemas/accounts/UserUpdated.avsc", SCHEMA)
}

#[test]
fn a_payload_is_checked_and_shown_with_its_headers_and_no_broker_is_asked() {
    let arguments = ["--event", "accounts.UserUpdated", "--event-version", "1.3.0", "--key", "42", "-H", "team=growth"];
    let payload = r#"{"user_id": 42, "address": {"city": "Łódź"}}"#;
    let finished = dry_run(arguments).args(["--brokers", "127.0.0.1:1", payload]).run().succeeded();
    let line = &finished.json_lines()[0];
    assert_eq!((line["topic"].as_str(), line["key"].as_str()), (Some("accounts"), Some("42")));
    assert_eq!(line["payload"]["address"]["city"], "Łódź");
    let headers = &line["headers"];
    for (name, value) in [
        ("ce_type", "accounts.UserUpdated"),
        ("ce_schemaversion", "1.3.0"),
        ("ce_source", "/accounts"),
        ("ce_subject", "accounts/42"),
        ("ce_partitionkey", "42"),
        ("content-type", "application/avro"),
        ("team", "growth"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(finished.stderr.contains("nothing was published"), "{finished:?}");
}

#[test]
fn what_is_checked_once_can_be_checked_again_from_what_was_shown() {
    let lines =
        "{\"user_id\": 1, \"address\": {\"city\": \"a\"}}\n\n{\"user_id\": 2, \"address\": {\"city\": \"b\"}}\n";
    let first =
        dry_run(["--event", "accounts.UserUpdated", "--key-field", "user_id", "-q"]).input(lines).run().succeeded();
    let again = dry_run(["-q"]).input(first.stdout.clone()).run().succeeded();
    assert_eq!(again.json_lines(), first.json_lines());
    let keys: Vec<_> = again.json_lines().iter().map(|line| line["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys, ["1", "2"]);
    assert_eq!(first.stderr, "");
}

#[test]
fn malformed_json_is_told_by_line_and_column() {
    let arguments = ["--event", "accounts.UserUpdated", "--key", "42"];
    let good = "{\"user_id\": 1, \"address\": {\"city\": \"a\"}}";
    for (input, place) in [
        (format!("{good}\n{{\"user_id\" 2}}\n{good}\n"), "line 2, column 12"),
        (format!("{{\n\"user_id\": 1,\n\"address\": oops}}\n{good}"), "line 3, column 12"),
        (format!("{good} {good} trailing"), "line 1, column 85"),
        (format!("{good}\n{{\"user_id\": 1, \"addr"), "line 2"),
    ] {
        let finished = dry_run(arguments).input(input.clone()).run().failed(1, &[place, "not JSON"]);
        // Nothing of the line, and nothing behind it.
        let before = usize::from(place.starts_with("line 2"));
        assert_eq!(finished.json_lines().len(), before, "{input}: {finished:?}");
    }
    dry_run(arguments).input(*b"\xff\xfe\x00").run().failed(1, &["line 1", "UTF-8"]);
}

#[test]
fn a_payload_that_does_not_fit_is_told_by_line_and_field() {
    let arguments = ["--event", "accounts.UserUpdated", "--key", "42"];
    for (payload, words) in [
        (r#"{"user_id": "42", "address": {"city": "a"}}"#, &["`user_id`", "long"][..]),
        (r#"{"user_id": 42, "address": {"city": 5}}"#, &["`address.city`", "string"]),
        (r#"{"user_id": 42}"#, &["`address`"]),
        (r#"{"user_id": 42, "address": {"city": "a"}, "nick": "x"}"#, &["`nick`"]),
        (r#"{"user_id": 99999999999999999999, "address": {"city": "a"}}"#, &["`user_id`"]),
        ("[]", &["accounts.UserUpdated"]),
    ] {
        let finished = dry_run(arguments).input(format!("\n{payload}")).run().failed(1, words);
        assert!(finished.stderr.contains("line 2: "), "{finished:?}");
    }
}

#[test]
fn what_is_missing_is_said_with_what_to_give() {
    let payload = r#"{"user_id": 42, "address": {"city": "a"}}"#;
    dry_run(["--key", "42", payload]).run().failed(1, &["--event"]);
    dry_run(["--event", "accounts.UserUpdated", payload]).run().failed(1, &["--key", "--key-field"]);
    dry_run(["--event", "accounts.UserUpdated", "--key-field", "id", payload]).run().failed(1, &["`id`", "missing"]);
    dry_run(["--event", "accounts.NoSuch", "--key", "42", payload]).run().failed(1, &["accounts.NoSuch", "--schema"]);
    let other = ["--schemas", "other", "--event", "accounts.NoSuch", "--key", "42", payload];
    dry_run(other).file("other/a.txt", "").run().failed(1, &["the folder other ", "another folder", "--registry URL"]);
    dry_run(["--schema", "nosuch.avsc", "--key", "42", payload]).run().failed(2, &["nosuch.avsc"]);
    dry_run(["--file", "nosuch.json"]).run().failed(2, &["nosuch.json"]);
    dry_run(["--schemas", "nosuch", payload]).run().failed(2, &["nosuch", "--schemas"]);
    dry_run(["--header", "team", payload]).run().failed(2, &["`team`", "NAME=VALUE"]);
    let broken = dry_run(["--key", "42", payload])
        .file("schemas/accounts/Broken.avsc", "{\"type\": \"record\", \"name\": \"X\"}");
    broken.run().failed(2, &["Broken.avsc"]);
}

#[test]
fn the_schema_nearest_to_the_folder_is_the_newest() {
    let older = SCHEMA.replace("\"user_id\"", "\"id\"");
    let payload = r#"{"user_id": 42, "address": {"city": "a"}}"#;
    let command = dry_run(["--event", "accounts.UserUpdated", "--key", "42", payload]);
    command.file("schemas/accounts/a/v1/UserUpdated.avsc", &older).run().succeeded();
}

#[test]
fn a_schema_in_a_file_names_its_event() {
    let payload = r#"{"user_id": 42, "address": {"city": "a"}}"#;
    let finished = dry_run(["--schema", "schemas/accounts/UserUpdated.avsc", "--key", "42", payload]).run().succeeded();
    assert_eq!(finished.json_lines()[0]["event"], "accounts.UserUpdated");
}
