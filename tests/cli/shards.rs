//! `tidings shards`, on `SQLite`.

use tidings::database::{Database, DatabaseOptions, sqlx};

use crate::command::tidings;

const STREAM: &str = "INSERT INTO tidings_stream (stream, shard, mode, partition_key, sequence) VALUES ('Player/42', 'a', 'outbox', '42', 7)";
const PLACES: &str = "SELECT shard || ' ' || sequence FROM tidings_stream";

/// The databases of two shards, the first with a stream of the key 42.
async fn two_shards() -> (tempfile::TempDir, [Database; 2], String) {
    let folder = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", folder.path().join(format!("{name}.db")).display());
    let connect = async |name: &str| Database::connect(DatabaseOptions::new(url(name)).migrate(true)).await.unwrap();
    let databases = [connect("a").await, connect("b").await];
    sqlx::query(STREAM).execute(databases[0].sqlite_pool().unwrap()).await.unwrap();
    let shards = format!("a={} b={}", url("a"), url("b"));
    (folder, databases, shards)
}

async fn places(database: &Database) -> Vec<String> {
    sqlx::query_scalar(PLACES).fetch_all(database.sqlite_pool().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_moved_in_steps_and_says_so() {
    let (_folder, [a, b], shards) = two_shards().await;
    let run = |arguments: &[&'static str]| {
        let command = tidings(["shards", "move", "42", "--from", "a", "--to", "b"]).args(arguments.iter().copied());
        command.env("TIDINGS_SHARDS", &shards).run().succeeded()
    };
    let closed = run(&["--until", "closed"]);
    assert!(closed.stdout.contains("key 42 is on its way from a to b: Closed"), "{closed:#?}");
    assert_eq!(places(&b).await.len(), 0);
    for _ in 0..2 {
        let moved = run(&[]);
        assert!(moved.stdout.contains("key 42 lives on b"), "{moved:#?}");
        assert_eq!((places(&a).await, places(&b).await), (vec!["b 7".to_owned()], vec!["b 7".to_owned()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_read_from_the_file_and_a_name_that_is_none_is_told() {
    let (_folder, [_, b], shards) = two_shards().await;
    let lines: String = shards.split(' ').map(|shard| shard.replacen('=', " = \"", 1) + "\"\n").collect();
    let file = format!("[shards]\n{lines}");
    let wrong = tidings(["shards", "move", "42", "--from", "a", "--to", "c"]).file("tidings.toml", &file).run();
    wrong.failed(2, &["there is no shard c; those named are a, b"]);
    tidings(["shards", "move", "42", "--from", "a", "--to", "b"]).file("tidings.toml", &file).run().succeeded();
    assert_eq!(places(&b).await, ["b 7"]);
    tidings(["shards", "move", "42", "--from", "a", "--to", "b"]).run().failed(2, &["[shards]", "TIDINGS_SHARDS"]);
    tidings(["shards", "move", "42", "--from", "a", "--to", "a"]).run().failed(2, &["nothing to move"]);
}
