//! `tidings migrate`, on `SQLite`; and what `tidings relay` says without a database.

use crate::command::tidings;

#[test]
fn tables_are_created_once_and_checking_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let url = format!("sqlite:{}", path.display());
    let migrate = |arguments: &[&str]| tidings(["migrate", "--database", &url]).args(arguments.iter().copied()).run();
    migrate(&["--check"]).failed(2, &["outbox.db"]);
    assert!(!path.exists(), "a check made the database");
    assert!(migrate(&[]).succeeded().stdout.contains("were created, at version"));
    assert!(migrate(&[]).succeeded().stdout.contains("up to date"));
    migrate(&["--check"]).succeeded();
}

#[test]
fn tables_that_are_missing_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.db");
    std::fs::write(&path, "").unwrap();
    let url = format!("sqlite:{}", path.display());
    for verb in [&["migrate", "--check"][..], &["relay"]] {
        tidings(verb.iter().copied()).env("TIDINGS_DATABASE", &url).run().failed(1, &["run `tidings migrate`"]);
    }
}

#[test]
fn a_database_that_cannot_be_meant_is_a_wrong_question_and_one_that_is_away_a_failure() {
    for verb in ["migrate", "relay"] {
        tidings([verb]).run().failed(2, &["--database", "TIDINGS_DATABASE", "tidings.toml"]);
        let with = |url: &str| tidings([verb, "--database", url]).run();
        with("postgres://root:secret@h/d").failed(2, &["mysql://"]);
        with("mysql://root@127.0.0.1:1").failed(2, &["names no database"]);
        with("mysql://root@127.0.0.1:1/d").failed(1, &["127.0.0.1:1"]);
    }
    // Code 1 of a check says that there is something to migrate.
    tidings(["migrate", "--check", "--database", "mysql://root@127.0.0.1:1/d"]).run().failed(2, &["127.0.0.1:1"]);
    tidings(["relay", "--database", "sqlite:nosuch.db"]).run().failed(1, &["nosuch.db"]);
}
