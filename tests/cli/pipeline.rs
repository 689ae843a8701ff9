//! `tidings pipeline export`.

use serde_json::Value;

use crate::command::{Finished, Tidings, tidings};

/// A payload with every type, and with names that are taken.
const EVERYTHING: &str = include_str!("pipeline/Everything.avsc");

const DELETED: &str = r#"{"type": "record", "name": "UserDeleted", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"}, {"name": "reason", "type": ["null", "string"], "default": null}]}"#;

fn export<'a>(to: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
    tidings(["pipeline", "export", "--to", to, "--brokers", "broker-1:9092,broker-2:9092"])
        .args(["--registry", "http://service:secret@registry.example:8081"])
        .args(arguments)
        .file("schemas/accounts/Everything.avsc", EVERYTHING)
        .file("schemas/accounts/UserDeleted.avsc", DELETED)
}

/// Compare with a file that people review. `TIDINGS_BLESS=1` writes it anew.
#[track_caller]
fn is_as_reviewed(name: &str, finished: &Finished) {
    assert!(!finished.stdout.contains("secret") && !finished.stderr.contains("secret"), "{finished:#?}");
    let path = format!("{}/tests/cli/pipeline/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TIDINGS_BLESS").is_some() {
        std::fs::write(&path, &finished.stdout).unwrap();
    }
    let reviewed = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        finished.stdout, reviewed,
        "{name} differs; look at the change, and run with TIDINGS_BLESS=1 to accept it"
    );
}

#[test]
fn duckdb_gets_a_view_over_the_files_of_each_event() {
    let finished = export("duckdb", ["--location", "/data/o'clock/"]).run().succeeded();
    is_as_reviewed("duckdb.sql", &finished);
    assert!(finished.stderr.contains("the field `source` of accounts.Everything is the column `payload_source`"));
}

#[test]
fn clickhouse_gets_tables_that_take_each_event_from_a_topic_of_several() {
    is_as_reviewed("clickhouse.sql", &export("clickhouse", []).run().succeeded());
}

#[test]
fn flink_gets_a_schema_that_reads_the_records_of_all_events() {
    is_as_reviewed("flink.sql", &export("flink", []).run().succeeded());
}

#[test]
fn flink_is_warned_of_fields_that_fail_its_job() {
    let other = DELETED
        .replace("UserDeleted", "UserMoved")
        .replace(r#"["null", "string"], "default": null"#, r#"{"type": "map", "values": "int"}"#);
    let finished =
        export("flink", ["UserDeleted", "UserMoved"]).file("schemas/accounts/UserMoved.avsc", &other).run().succeeded();
    let warning = "a job that reads accounts.UserDeleted fails at the first accounts.UserMoved on its topic: ";
    assert!(
        finished.stderr.contains(warning) && finished.stdout.contains(&format!("-- WARNING: {warning}")),
        "{finished:#?}"
    );
}

#[test]
fn flink_is_warned_of_older_versions_of_the_event_and_of_others_that_fail_its_job() {
    let version = |number: &str, reason: &str| {
        DELETED
            .replace(r#""namespace""#, &format!(r#""tidings.version": "{number}", "namespace""#))
            .replace(r#"["null", "string"], "default": null"#, reason)
    };
    let moved = |schema: String| schema.replace("UserDeleted", "UserMoved");
    let finished = tidings(["pipeline", "export", "--to", "flink"])
        .file("schemas/accounts/UserDeleted.avsc", &version("2.1.0", r#""string""#))
        .file("schemas/accounts/released/UserDeleted/1.0.0.avsc", &version("1.0.0", r#""int""#))
        // A value of a union fails as well, though not each.
        .file("schemas/accounts/released/UserDeleted/1.1.0.avsc", &version("1.1.0", r#"["null", "int"]"#))
        .file("schemas/accounts/released/UserDeleted/2.0.0.avsc", &version("2.0.0", r#""string""#))
        .file("schemas/accounts/UserMoved.avsc", &moved(version("2.0.0", r#""string""#)))
        .file("schemas/accounts/released/UserMoved/1.0.0.avsc", &moved(version("1.0.0", r#""long""#)))
        .run()
        .succeeded();
    for (event, others) in [
        (
            "accounts.UserDeleted",
            ["accounts.UserDeleted 1.0.0", "accounts.UserDeleted 1.1.0", "accounts.UserMoved 1.0.0"],
        ),
        (
            "accounts.UserMoved",
            ["accounts.UserDeleted 1.0.0", "accounts.UserDeleted 1.1.0", "accounts.UserMoved 1.0.0"],
        ),
    ] {
        for other in others {
            let warning = format!("a job that reads {event} fails at the first {other} on its topic: field `reason`: ");
            assert!(
                finished.stderr.contains(&warning) && finished.stdout.contains(&format!("-- WARNING: {warning}")),
                "{warning}: {finished:#?}"
            );
        }
    }
    assert_eq!(finished.stdout.matches("WARNING").count(), 6, "{finished:#?}");
}

#[test]
fn flink_is_warned_of_an_older_version_whose_numbers_it_would_take_for_others() {
    let version = |unit: &str| {
        DELETED.replace(
            r#"["null", "string"], "default": null"#,
            &format!(r#"{{"type": "long", "logicalType": "timestamp-{unit}"}}"#),
        )
    };
    let export = |released: &str| {
        tidings(["pipeline", "export", "--to", "flink"])
            .file("schemas/accounts/UserDeleted.avsc", &version("millis"))
            .file("schemas/accounts/released/UserDeleted/1.0.0.avsc", &version(released))
            .run()
            .succeeded()
    };
    let warning =
        "WARNING: a job that reads accounts.UserDeleted misreads accounts.UserDeleted 1.0.0: field `reason`: ";
    assert!(export("micros").stdout.contains(warning));
    assert!(!export("millis").stdout.contains("WARNING"));
}

#[test]
fn connectors_of_both_kinds_are_json_that_connect_takes() {
    for (tool, file) in [("connect-s3", "connect-s3.json"), ("connect-iceberg", "connect-iceberg.json")] {
        let finished = export(tool, ["UserDeleted", "--location", "events-bucket"]).run().succeeded();
        is_as_reviewed(file, &finished);
        let connector: Value = serde_json::from_str(&finished.stdout).unwrap();
        let config = connector["config"].as_object().unwrap();
        assert_eq!(config["topics"], "accounts");
        // Connect's values are text, and each transformation and predicate that is named is there.
        assert!(config.values().all(Value::is_string), "{config:#?}");
        for (list, prefix) in [("transforms", "transforms"), ("predicates", "predicates")] {
            for name in config[list].as_str().unwrap().split(',') {
                assert!(config.contains_key(&format!("{prefix}.{name}.type")), "{name}");
            }
        }
    }
}

#[test]
fn every_tool_has_the_source_without_the_slash_of_its_header() {
    for (tool, without_slash) in [
        ("clickhouse", "replaceRegexpOne(_headers.value[indexOf(_headers.name, 'ce_source')], '^/', '')"),
        ("flink", "REGEXP_REPLACE(DECODE(`tidings_headers`['ce_source'], 'UTF-8'), '^/', '')"),
        // The sink has taken it off.
        ("duckdb", "\"source\""),
        ("connect-s3", r#""transforms.place.static.value": "accounts""#),
        ("connect-iceberg", r#""transforms.place.static.value": "accounts""#),
    ] {
        let finished = export(tool, ["UserDeleted"]).run().succeeded();
        assert!(finished.stdout.contains(without_slash), "{tool}: {}", finished.stdout);
        let raw = tool.starts_with("connect") && finished.stdout.contains("ce_source");
        assert!(!raw, "{tool}: {}", finished.stdout);
    }
}

#[test]
fn a_connector_has_the_events_of_one_source() {
    let moved = DELETED.replace("accounts", "guilds");
    let both = export("connect-s3", ["accounts.UserDeleted", "guilds.UserDeleted", "--topic", "all"]);
    let finished = both.file("schemas/guilds/UserDeleted.avsc", &moved).run();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    let expected = "the topic all would have events of accounts and of guilds";
    assert!(finished.stderr.contains(expected), "{finished:#?}");
}

#[test]
fn connect_cannot_rename_a_field_that_has_the_name_of_a_column_of_the_pipelines() {
    let finished = export("connect-s3", []).run();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stderr.contains("the field `source` of accounts.Everything has the name of a column"),
        "{finished:#?}"
    );
}

#[test]
fn an_event_that_cannot_be_a_table_is_refused_with_the_reason() {
    let tree = r#"{"type": "record", "name": "Tree", "namespace": "accounts", "fields": [
        {"name": "children", "type": {"type": "array", "items": "Tree"}}]}"#;
    let finished = export("duckdb", ["Tree"]).file("schemas/accounts/Tree.avsc", tree).run();
    assert_eq!(finished.code, Some(2), "{finished:#?}");
    assert!(
        finished.stderr.contains("`children.element` nests records of its own kind, accounts.Tree"),
        "{finished:#?}"
    );
}
