//! `tidings schema`, as far as it needs no registry.

use serde_json::{Value, json};

use crate::command::{Finished, Tidings, tidings};

const WORKING: &str = "schemas/accounts/Renamed.avsc";

/// A schema of the event accounts.Renamed.
fn schema(version: &str, fields: &str) -> String {
    format!(
        "{{\n  \"type\": \"record\",\n  \"name\": \"Renamed\",\n  \"namespace\": \"accounts\",\n  \
         \"tidings.version\": \"{version}\",\n  \"fields\": [\n    {{\"name\": \"user_id\", \"type\": \"long\"}}{fields}\n  ]\n}}\n"
    )
}

fn released(version: &str) -> String {
    format!("schemas/accounts/released/Renamed/{version}.avsc")
}

/// A verb in a folder with one release, 1.0.0, and `working`.
fn with_release<'a>(arguments: impl IntoIterator<Item = &'a str>, working: &str) -> Tidings {
    tidings(["schema"]).args(arguments).file(WORKING, working).file(&released("1.0.0"), &schema("1.0.0", ""))
}

const NICKNAME: &str = ",\n    {\"name\": \"nickname\", \"type\": \"string\"}";
const OPTIONAL: &str = ",\n    {\"name\": \"nickname\", \"type\": [\"null\", \"string\"], \"default\": null}";

fn check(working: &str) -> Finished {
    with_release(["check"], working).run()
}

/// The answer was no: what is wrong is data, and why it ends with 1 is not.
#[track_caller]
fn refused(finished: Finished) -> Finished {
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    assert!(finished.stderr.contains("of 1 schemas cannot be released as they are"), "{finished:#?}");
    finished
}

#[test]
fn a_break_is_shown_in_both_versions_with_what_to_do_about_it() {
    let finished = refused(check(&schema("1.1.0", NICKNAME)));
    let expected = "\
error: accounts.Renamed 1.1.0 cannot read what accounts.Renamed 1.0.0 writes: field `nickname`: it is not in what was written, and has no default
 --> schemas/accounts/Renamed.avsc:8:5
  |
8 |     {\"name\": \"nickname\", \"type\": \"string\"}
  |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ what is read now
  |
 ::: schemas/accounts/released/Renamed/1.0.0.avsc:3:11
  |
3 |   \"name\": \"Renamed\",
  |           --------- what was written
  |
  = help: give `nickname` a default; or make it a new major version
";
    assert!(finished.stdout.starts_with(expected), "{}", finished.stdout);
    assert!(finished.stdout.ends_with("BROKEN  accounts.Renamed 1.1.0\n"), "{}", finished.stdout);
}

#[test]
fn a_mark_that_would_hide_nothing_is_refused_and_says_where_it_belongs() {
    let field = |name: &str, of: &str, mark: &str| {
        format!(",\n    {{\"name\": \"{name}\", \"type\": [\"null\", {of}], \"default\": null{mark}}}")
    };
    let marked = schema("1.1.0", &field("mail", "\"string\"", ", \"pii\": true"));
    assert_eq!(check(&marked).code, Some(0));
    let text = refused(check(&schema("1.1.0", &field("mail", "\"string\"", ", \"pii\": \"true\""))));
    assert!(text.stdout.contains("marks nothing: \"pii\" is neither true nor false"), "{}", text.stdout);
    assert!(text.stdout.contains("Renamed.avsc:8:"), "{}", text.stdout);
    let of = "{\"type\": \"array\", \"items\": {\"type\": \"string\", \"pii\": true}}";
    let within = refused(check(&schema("1.1.0", &field("mails", of, ""))));
    assert!(within.stdout.contains("marks nothing: \"pii\" is in a type"), "{}", within.stdout);
    assert!(within.stdout.contains("help: \"pii\": true beside the field's \"name\""), "{}", within.stdout);
}

#[test]
fn a_version_rises_by_the_kind_of_change() {
    for (version, fields, ok, said) in [
        ("1.0.0", "", true, "ok      accounts.Renamed 1.0.0: no change since 1.0.0"),
        ("1.1.0", OPTIONAL, true, "ok      accounts.Renamed 1.1.0: minor since 1.0.0"),
        ("2.0.0", NICKNAME, true, "ok      accounts.Renamed 2.0.0: major since 1.0.0"),
        ("1.0.1", OPTIONAL, false, "the change since 1.0.0 is minor"),
        ("1.0.0", OPTIONAL, false, "\"tidings.version\": \"1.1.0\", or higher"),
        ("0.9.0", "", false, "it is 0.9.0, and 1.0.0 was released"),
    ] {
        let finished = check(&schema(version, fields));
        assert_eq!(finished.code, Some(i32::from(!ok)), "{version}: {finished:#?}");
        assert!(finished.stdout.contains(said), "{version}: {finished:#?}");
    }
    let documented = schema("1.0.0", "").replace("\"type\": \"long\"", "\"type\": \"long\", \"doc\": \"The player.\"");
    assert!(refused(check(&documented)).stdout.contains("is patch"));
    check(&documented.replace("1.0.0", "1.0.1")).succeeded();
    let silent = schema("1.0.0", OPTIONAL).replace("  \"tidings.version\": \"1.0.0\",\n", "");
    assert!(refused(check(&silent)).stdout.contains("\"tidings.version\": \"1.1.0\" in schemas/accounts/Renamed.avsc"));
}

#[test]
fn a_field_that_handlers_need_goes_with_a_major_version_although_the_mode_allows_it() {
    let finished = with_release(
        ["check"],
        &schema("1.1.0", "").replace("user_id", "id").replace("\"long\"", "\"long\", \"default\": 0"),
    );
    let finished = refused(finished.run());
    for said in [
        "the change since 1.0.0 is major",
        "field `user_id`: it is not in what was written",
        "keep `user_id`: older handlers need it",
    ] {
        assert!(finished.stdout.contains(said), "{said}: {finished:#?}");
    }
}

#[test]
fn the_mode_is_the_schemas_own_or_the_one_given() {
    let full = schema("1.1.0", OPTIONAL)
        .replace("\"tidings.version\"", "\"tidings.compatibility\": \"FULL\", \"tidings.version\"");
    assert!(check(&full).succeeded().stdout.contains("minor since 1.0.0"));
    let forward = |mode: &str, working: &str| with_release(["check", "--compatibility", mode], working).run();
    // Old handlers pass over what they do not know; the new one misses it in old events. Only the version minds.
    let finished = refused(forward("FORWARD", &schema("1.1.0", NICKNAME)));
    assert!(
        finished.stdout.contains("note: accounts.Renamed 1.1.0 cannot read what accounts.Renamed 1.0.0 writes"),
        "{finished:#?}"
    );
    forward("NONE", &schema("2.0.0", NICKNAME)).succeeded();
    forward("BACKWARDS", &schema("1.0.0", "")).failed(2, &["BACKWARDS", "_TRANSITIVE"]);
    check(
        &schema("1.1.0", OPTIONAL)
            .replace("\"tidings.version\"", "\"tidings.compatibility\": \"ALL\", \"tidings.version\""),
    )
    .failed(2, &["tidings.compatibility", "ALL"]);
}

#[test]
fn the_answer_is_data_too() {
    let finished = refused(with_release(["check", "-o", "jsonl"], &schema("1.1.0", NICKNAME)).run());
    let [row] = finished.json_lines().try_into().unwrap();
    assert_eq!((&row["ok"], &row["change"], &row["released"]), (&json!(false), &json!("major"), &json!("1.0.0")));
    let finding = &row["findings"][0];
    assert_eq!((&finding["level"], &finding["places"][0]["line"]), (&json!("error"), &json!(8)));
    assert_eq!(finding["help"], "give `nickname` a default; or make it a new major version");
}

#[test]
fn a_release_keeps_the_file_and_only_once_it_passes() {
    let finished = with_release(["release"], &schema("1.1.0", OPTIONAL)).run().succeeded();
    assert_eq!(finished.stdout, format!("accounts.Renamed 1.1.0 {}\n", released("1.1.0")));
    let broken = with_release(["release"], &schema("1.1.0", NICKNAME));
    let broken = broken.file("schemas/accounts/Added.avsc", &schema("1.0.0", "").replace("Renamed", "Added")).run();
    assert!(broken.code == Some(1) && broken.stderr.contains("nothing was written"), "{broken:#?}");
    assert!(!broken.stdout.contains("accounts.Added 1.0.0"), "{broken:#?}");
    with_release(["release"], &schema("1.0.0", "")).run().succeeded();
    let silent = schema("1.0.0", "").replace("  \"tidings.version\": \"1.0.0\",\n", "");
    tidings(["schema", "release"]).file(WORKING, &silent).run().failed(2, &["states no version", WORKING]);
}

#[test]
fn versions_are_listed_shown_compared_and_exported() {
    let working = schema("1.1.0", OPTIONAL);
    let listed = with_release(["ls", "-o", "jsonl"], &working).run().succeeded().json_lines();
    let expected = json!({"source": "accounts", "event": "accounts.Renamed", "version": "1.1.0", "change": "minor",
        "released": ["1.0.0"], "registered": null});
    assert_eq!(listed, [expected]);
    assert_eq!(with_release(["show", "Renamed"], &working).run().succeeded().stdout, working);
    let first = with_release(["show", "accounts.Renamed", "--version", "1.0.0"], &working).run().succeeded();
    assert_eq!(first.stdout, schema("1.0.0", ""));
    with_release(["show", "Renamed", "--version", "3.0.0"], &working)
        .run()
        .failed(2, &["no version 3.0.0", "released: 1.0.0"]);
    with_release(["show", "Gone"], &working).run().failed(2, &["Gone", "accounts.Renamed"]);
    let diff = with_release(["diff", "Renamed"], &working).run().succeeded();
    assert_eq!(
        diff.stdout,
        "accounts.Renamed from 1.0.0 to 1.1.0: minor\n~ the record: tidings.version was \"1.0.0\" and is \"1.1.0\"\n\
         + nickname: null or string, null by default\n"
    );
    let broken = with_release(["diff", "Renamed"], &schema("2.0.0", NICKNAME)).run().succeeded();
    assert!(broken.stdout.contains("! 2.0.0 cannot read what 1.0.0 writes: field `nickname`"), "{broken:#?}");
    let exported: Value = serde_json::from_str(&with_release(["export"], &working).run().succeeded().stdout).unwrap();
    let versions: Vec<_> = exported.as_array().unwrap().iter().map(|one| (&one["version"], &one["released"])).collect();
    assert_eq!(versions, [(&json!("1.0.0"), &json!(true)), (&json!("1.1.0"), &json!(false))]);
    assert_eq!(exported[0]["subject"], "accounts-accounts.Renamed");
    assert_eq!(exported[0]["schema"]["name"], "Renamed");
}

#[test]
fn files_that_contradict_each_other_are_refused() {
    tidings(["schema", "check"]).run().failed(2, &["there is no folder schemas"]);
    with_release(["check"], "{").run().failed(2, &["is not JSON", WORKING]);
    with_release(["check"], &schema("1.1", "")).run().failed(2, &["\"1.1\"", "semantic version"]);
    let misnamed = with_release(["check"], &schema("1.0.0", "")).file(&released("1.2.0"), &schema("1.1.0", ""));
    misnamed.run().failed(2, &["1.2.0.avsc", "1.1.0"]);
    let twice = with_release(["check"], &schema("1.0.0", "")).file("schemas/accounts/Again.avsc", &schema("1.0.0", ""));
    twice.run().failed(2, &["both schemas of accounts.Renamed"]);
    let loose = with_release(["check"], &schema("1.0.0", ""))
        .file("schemas/accounts/released/Renamed/first.avsc", &schema("1.0.0", ""));
    loose.run().failed(2, &["first.avsc", "1.2.0.avsc"]);
    tidings(["schema", "register"]).file(WORKING, &schema("1.0.0", "")).run().failed(2, &["--registry"]);
}

#[test]
fn an_event_that_is_gone_is_noted_and_breaks_nothing() {
    let finished = tidings(["schema", "check"]).file(&released("1.0.0"), &schema("1.0.0", "")).run().succeeded();
    assert!(finished.stdout.contains("has no schema in the working tree"), "{finished:#?}");
    assert!(finished.stdout.contains("ok      accounts.Renamed: only released versions"), "{finished:#?}");
}

/// The schemas of this repository, whose demo publishes them.
#[test]
fn the_schemas_of_the_demo_pass() {
    let schemas = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas");
    let finished = tidings(["schema", "check", "--schemas", schemas]).run().succeeded();
    assert!(finished.stdout.contains("accounts.ScoreChanged 2.1.0"), "{finished:#?}");
}
