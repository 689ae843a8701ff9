//! `tidings inbox purge`, on `SQLite`.

use crate::command::tidings;

#[test]
fn nothing_is_purged_that_is_not_named() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("inbox.db").display());
    tidings(["migrate", "--database", &url]).run().succeeded();
    let purge =
        |arguments: &[&str]| tidings(["inbox", "purge", "--database", &url]).args(arguments.iter().copied()).run();
    purge(&[]).failed(2, &["--streams", "--events", "--passed-over"]);
    purge(&["--streams", "forever"]).failed(2, &["is no age"]);
    let purged = purge(&["--streams", "90d", "--events", "7d", "--group", "totals.Totals"]).succeeded();
    assert!(purged.stdout.contains("0 streams, 0 ids of events, 0 notes"), "{}", purged.stdout);
}
