//! How the command is asked, and where it answers.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::command::tidings;

const ROUTES: &str = include_str!("routes.json");

#[test]
fn the_version_names_librdkafkas_too() {
    let finished = tidings(["--version"]).run().succeeded();
    assert!(finished.stdout.starts_with(concat!("tidings ", env!("CARGO_PKG_VERSION"))), "{finished:?}");
    assert!(finished.stdout.contains("librdkafka 2."), "{finished:?}");
}

#[test]
fn help_is_data_and_every_verb_has_examples() {
    for verb in ["tail", "publish", "routes", "contract", "relay", "audit", "migrate", "completions"] {
        let finished = tidings([verb, "--help"]).run().succeeded();
        assert!(finished.stdout.contains("Examples:") && finished.stderr.is_empty(), "{finished:?}");
    }
    for verb in ["ensure", "show"] {
        assert!(tidings(["topics", verb, "--help"]).run().succeeded().stdout.contains("Examples:"));
    }
    for verb in ["check", "ls", "show", "diff", "release", "register", "export"] {
        assert!(tidings(["schema", verb, "--help"]).run().succeeded().stdout.contains("Examples:"));
    }
    for verb in ["ls", "show", "redrive"] {
        assert!(tidings(["dead-letters", verb, "--help"]).run().succeeded().stdout.contains("Examples:"));
    }
}

#[test]
fn a_question_that_cannot_be_understood_ends_with_2() {
    tidings([]).run().failed(2, &["Usage"]);
    tidings(["tale"]).run().failed(2, &["tale", "tail"]);
    tidings(["tail"]).run().failed(2, &["<TOPIC>"]);
    tidings(["tail", "accounts", "--from", "soon"]).run().failed(2, &["`soon`", "@2026-01-31"]);
    tidings(["tail", "accounts", "--from", "1:2", "--to", "3"]).run().failed(2, &["twice"]);
    tidings(["publish", "accounts", "--acks", "2", "{}"]).run().failed(2, &["`2`", "all, 1 (leader) or 0 (none)"]);
    tidings(["publish", "accounts", "--event-version", "one", "{}"]).run().failed(2, &["one", "--event-version"]);
    tidings(["routes"]).run().failed(2, &["FILE"]);
    tidings(["audit"]).run().failed(2, &["<TOPIC>"]);
    tidings(["audit", "accounts", "--from", "1200"]).run().failed(2, &["--from", "@-7d"]);
    tidings(["audit", "accounts", "--outbox"]).run().failed(2, &["--database"]);
    tidings(["audit", "accounts", "payments", "--outbox"]).run().failed(2, &["--outbox", "one topic"]);
    let both = ["audit", "accounts", "--outbox", "--database", "sqlite:a", "--shard", "eu-1=sqlite:b"];
    tidings(both).run().failed(2, &["--database", "--shard"]);
    let file = "database = \"sqlite:here.db\"\n[shards]\na = \"sqlite:nowhere.db\"\n";
    tidings(["audit", "accounts", "--outbox"]).file("tidings.toml", file).run().failed(2, &["nowhere.db"]);
    // Code 1 is an answer, and nobody has given one.
    tidings(["audit", "accounts", "--timeout", "1", "--brokers", "127.0.0.1:1"]).run().failed(2, &["127.0.0.1:1"]);
    tidings(["dead-letters"]).run().failed(2, &["redrive"]);
    tidings(["dead-letters", "ls"]).run().failed(2, &["--group"]);
    tidings(["dead-letters", "ls", "-g", "a.A", "-t", "b"]).run().failed(2, &["--topic", "--group"]);
    tidings(["dead-letters", "ls", "-g", "a.A", "--from", "1200"]).run().failed(2, &["--from", "@-1h", "--at"]);
    tidings(["dead-letters", "show", "17", "-g", "a.A"]).run().failed(2, &["`17`", "3:17"]);
    for rate in ["0", "-1", "inf", "fast"] {
        let rate = format!("--rate={rate}");
        tidings(["dead-letters", "redrive", "-g", "a.A", &rate]).run().failed(2, &["--rate", "above 0"]);
    }
    tidings(["topics", "ensure", "--partitions", "3"]).run().failed(2, &["<TOPIC>"]);
}

#[test]
fn no_broker_ends_with_1_and_names_the_address() {
    let asked: [&[&str]; 6] = [
        &["dead-letters", "ls", "-g", "boards.Board", "--timeout", "1"],
        &["dead-letters", "show", "0:0", "-g", "boards.Board", "--timeout", "1"],
        &["dead-letters", "redrive", "-g", "boards.Board", "--timeout", "1", "--execute"],
        &["tail", "accounts", "--timeout", "1"],
        &["topics", "show", "accounts", "--timeout", "1"],
        &["publish", "accounts", "--timeout", "1", "--event", "a.B", "--key", "1", "{}"],
    ];
    for arguments in asked {
        // Port 1 is nobody's.
        let finished = tidings(arguments.iter().copied()).args(["--brokers", "127.0.0.1:1"]).run();
        let finished = finished.failed(1, &["127.0.0.1:1", "check the addresses"]);
        assert_eq!(finished.stderr.lines().filter(|line| line.starts_with("error:")).count(), 1, "{finished:?}");
        assert!(finished.stdout.is_empty(), "{finished:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    // More than a pipe takes.
    let many = ROUTES.trim().trim_start_matches('[').trim_end_matches(']');
    let routes = format!("[{}]", vec![many; 2_000].join(","));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("routes.json"), routes).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(["routes", "routes.json", "-o", "jsonl"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 100]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn off_a_terminal_there_is_no_colour_unless_it_is_asked_for() {
    let routes = || tidings(["routes", "r.json"]).file("r.json", ROUTES);
    assert!(!routes().run().succeeded().stdout.contains('\u{1b}'));
    assert!(routes().args(["--color", "always"]).run().succeeded().stdout.contains('\u{1b}'));
    assert!(!routes().env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1").run().succeeded().stdout.contains('\u{1b}'));
    let error = tidings(["routes", "nosuch"]).run().failed(1, &["nosuch"]);
    assert!(!error.stderr.contains('\u{1b}'), "{error:?}");
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let finished = tidings(["completions", shell]).run().succeeded();
        assert!(finished.stdout.contains("tidings") && finished.stdout.contains("publish"), "{shell}");
    }
    tidings(["completions", "tcsh"]).run().failed(2, &["tcsh", "bash"]);
}
