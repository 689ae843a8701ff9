//! `tidings store`, on SQLite and over gRPC in this machine.

use std::net::TcpListener;

use crate::command::{Running, Tidings, tidings};

const SCHEMA: &str = r#"{"type": "record", "name": "UserUpdated", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"}]}"#;
const TOKEN: &str = "a-token-that-is-long-enough";

/// A store that runs, at a port of its own.
struct Store {
    url: String,
    _service: Running,
    _folder: tempfile::TempDir,
}

impl Store {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("events.db").display());
        tidings(["store", "migrate", "--database", &database]).run().succeeded();
        tidings(["store", "migrate", "--database", &database]).run().succeeded();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let serve = ["store", "serve", "--no-forward", "--listen", &address, "--database", &database];
        let service = tidings(serve).env("TIDINGS_STORE_TOKENS", TOKEN).start();
        Self { url: format!("http://{address}"), _service: service, _folder: folder }
    }

    fn ask<'a>(&'a self, verb: &'a [&'a str]) -> Tidings {
        let store = [&["store"], verb, &["--store", &self.url]].concat();
        tidings(store).env("TIDINGS_STORE_TOKEN", TOKEN).file("schemas/accounts/UserUpdated.avsc", SCHEMA)
    }

    fn append(&self, id: &str, arguments: &[&str]) -> Tidings {
        let payload = format!("{{\"user_id\": {id}}}");
        let append = ["append", "accounts", "--event", "accounts.UserUpdated", "--key", id, &payload];
        self.ask(&append).args(arguments.iter().copied())
    }
}

#[test]
fn what_is_appended_is_read_and_followed() {
    let store = Store::start();
    // The client waits for a store that is still starting.
    let appended = store.append("42", &["--expect", "none"]).run().succeeded();
    assert!(appended.stdout.starts_with("accounts/42@1  accounts.UserUpdated  "), "{appended:?}");
    store.append("42", &["--expect", "none"]).run().failed(1, &["accounts/42 is at 1, not at 0"]);
    store.append("42", &["--expect", "1"]).run().succeeded();
    store.append("7", &[]).run().succeeded();

    let read = store.ask(&["read", "accounts", "accounts/42", "--backwards", "-o", "jsonl"]).run().succeeded();
    let lines = read.json_lines();
    assert_eq!(lines.iter().map(|line| line["sequence"].as_u64()).collect::<Vec<_>>(), [Some(2), Some(1)]);
    assert_eq!((&lines[0]["payload"]["user_id"], &lines[0]["source"]), (&42.into(), &"accounts".into()));
    let table = store.ask(&["read", "accounts", "accounts/42", "--from", "2"]).run().succeeded();
    assert_eq!(table.stdout.lines().count(), 2, "{table:?}");

    let follow = ["subscribe", "--no-follow", "-o", "jsonl"];
    let all = store.ask(&follow).run().succeeded();
    let positions: Vec<_> = all.json_lines().iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, [1, 2, 3]);
    assert!(all.stderr.contains("--after 3"), "{all:?}");
    let rest = store.ask(&follow).args(["--after", "2"]).run().succeeded();
    assert_eq!(rest.json_lines()[0]["stream"], "accounts/7");
}

#[test]
fn who_has_no_token_is_told_so_and_no_token_is_shown() {
    let store = Store::start();
    store.append("1", &[]).run().succeeded();
    let read = ["store", "read", "accounts", "accounts/1", "--store", &store.url];
    let wrong = tidings(read).env("TIDINGS_STORE_TOKEN", "another-token-altogether").run();
    let wrong = wrong.failed(1, &["refuses the token"]);
    assert!(!wrong.stderr.contains("another-token"), "{wrong:?}");
    tidings(read).run().failed(1, &["authorization: Bearer"]);
}

#[test]
fn a_store_that_anybody_could_reach_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("events.db").display());
    let serve = ["store", "serve", "--no-forward", "--database", &database];
    tidings(serve).run().failed(1, &["events.db"]);
    tidings(["store", "migrate", "--database", &database]).run().succeeded();
    tidings(serve).args(["--listen", "0.0.0.0:0"]).run().failed(2, &["no token is asked for"]);
}

#[test]
fn a_database_without_the_stores_tables_is_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("service.db").display());
    tidings(["migrate", "--database", &database]).run().succeeded();
    let serve = ["store", "serve", "--no-forward", "--database", &database];
    tidings(serve).run().failed(1, &["tidings store migrate"]);
}

#[test]
fn a_new_epoch_is_begun_once_it_is_told_to_and_positions_go_on_behind_the_one_named() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("events.db").display());
    let new_epoch = |arguments: &[&str]| {
        tidings(["store", "new-epoch", "--database", &database]).args(arguments.iter().copied()).run()
    };
    new_epoch(&[]).failed(2, &["--all", "--stream", "--prefix"]);
    new_epoch(&["--all"]).failed(1, &["events.db"]);
    tidings(["migrate", "--database", &database]).run().succeeded();
    new_epoch(&["--all"]).failed(1, &["tidings store migrate"]);
    tidings(["store", "migrate", "--database", &database]).run().succeeded();
    let dry = new_epoch(&["--all"]).succeeded();
    assert!(dry.stderr.contains("0 streams, and higher positions; nothing was changed"), "{dry:?}");
    let position = |arguments: &[&str]| {
        let lines = new_epoch(&[&["-o", "jsonl"], arguments].concat()).succeeded().json_lines();
        lines[0]["position"].as_u64().unwrap()
    };
    assert_eq!(position(&["--all"]), 0);
    assert_eq!(position(&["--all", "--position-after", "1200", "--execute"]), 1_200);
    assert_eq!(position(&["--stream", "Account/1", "--position-after", "7", "--execute"]), 1_200);
    let by_time = position(&["--all", "--execute"]);
    assert!(by_time > 1_700_000_000_000_000);
    assert!(position(&["--all", "--execute"]) > by_time, "it may run again");
    new_epoch(&["--all", "--position-after", "18446744073709551615"]).failed(2, &["--position-after"]);
}
