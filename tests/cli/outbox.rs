//! `tidings outbox`, on `SQLite`.

use tidings::database::sqlx;
use tidings::database::{Database, DatabaseOptions};
use tidings::schema::Codec;

use crate::command::{Finished, tidings};

const MARKED: &str = r#"{"type": "record", "name": "Moved", "namespace": "accounts", "fields": [
    {"name": "user_id", "type": "long"}, {"name": "mail", "type": "string", "pii": true}]}"#;

struct Desk {
    url: String,
    database: Database,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("outbox.db").display());
        let database = Database::connect(DatabaseOptions::new(&url).migrate(true)).await.unwrap();
        Self { url, database, _folder: folder }
    }

    async fn execute(&self, sql: String) {
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(sql));
        sql.execute(self.database.sqlite_pool().unwrap()).await.unwrap();
    }

    async fn count(&self, table: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        sqlx::query_scalar(sql).fetch_one(self.database.sqlite_pool().unwrap()).await.unwrap()
    }

    /// An event that Kafka refused, or that waits behind one.
    async fn park(&self, stream: &str, sequence: u32, reason: &str) {
        self.park_of("accounts", stream, sequence, reason).await;
    }

    async fn park_of(&self, source: &str, stream: &str, sequence: u32, reason: &str) {
        self.execute(format!(
            "INSERT INTO tidings_outbox_parked (bucket, id, event_id, topic, stream, epoch, sequence, partition_key, source, \
             event_type, schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, created_at, \
             payload, reason) VALUES (7, {sequence}, '{source}-{stream}-{sequence}', '{source}', '{stream}', 0, '{sequence:020}', '42', \
             '/{source}', 'accounts.UserUpdated', '1.2.0', '2026-01-31T09:00:00Z', '2026-01-31T09:00:00Z', 'c', 'd', 'p', \
             '2026-01-31 09:00:00', X'FF00', '{reason}')"
        ))
        .await;
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        tidings(["outbox"]).args(arguments.iter().copied()).env("TIDINGS_DATABASE", &self.url).run()
    }
}

#[tokio::test]
async fn parked_streams_are_listed_and_shown_with_the_reason() {
    let desk = Desk::new().await;
    assert!(desk.run(&["ls"]).succeeded().stderr.contains("no event is parked"));
    desk.park("Account/42", 2, "too large\x1b[2J").await;
    desk.park("Account/42", 3, "it waits").await;
    desk.park("Account/7", 1, "too large").await;
    let listed = desk.run(&["ls", "-o", "jsonl"]).succeeded().json_lines();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["stream"], &listed[0]["events"], &listed[0]["sequence"]),
        (&"Account/42".into(), &2.into(), &2.into())
    );
    let table = desk.run(&["ls"]).succeeded().stdout;
    assert!(table.contains("too large") && !table.contains('\x1b'), "{table}");

    let shown = desk.run(&["show", "Account/42", "-o", "json"]).succeeded();
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown[1]["sequence"], 3);
    // Nobody knows what is sensitive in it.
    assert_eq!((shown[0].get("payload_base64"), &shown[0]["masked"]), (None, &true.into()));
    let bytes = desk.run(&["show", "Account/42", "--unmask", "-o", "jsonl"]).succeeded().json_lines();
    assert_eq!((&bytes[0]["payload_base64"], bytes[0].get("masked")), (&"/wA=".into(), None));
    assert!(desk.run(&["show", "Account/42"]).succeeded().stdout.contains("it waits"));
    desk.run(&["show", "Account/9"]).failed(1, &["Account/9", "tidings outbox ls"]);
}

/// What has its mark in the schema is hidden, as by `tail`.
#[tokio::test]
async fn what_is_marked_in_a_parked_event_is_hidden_unless_it_is_asked_for() {
    let desk = Desk::new().await;
    desk.park("Account/42", 2, "too large").await;
    let codec = Codec::local();
    let value = serde_json::json!({"user_id": 42, "mail": "zoe@mail.example"});
    let framed = codec.frame("accounts", codec.encode_json(MARKED, &value).unwrap()).await.unwrap();
    let update = sqlx::query("UPDATE tidings_outbox_parked SET payload = ?").bind(framed.bytes.to_vec());
    update.execute(desk.database.sqlite_pool().unwrap()).await.unwrap();
    let show = |more: &[&str]| {
        let command = tidings(["outbox", "show", "Account/42"]).args(more.iter().copied());
        command.file("schemas/accounts/Moved.avsc", MARKED).env("TIDINGS_DATABASE", &desk.url).run().succeeded()
    };
    for output in ["table", "json", "jsonl"] {
        let hidden = show(&["-o", output]).stdout;
        assert!(hidden.contains("***") && !hidden.contains("zoe@mail.example"), "{hidden}");
        assert!(show(&["-o", output, "--unmask"]).stdout.contains("zoe@mail.example"));
    }
    let hidden = show(&["-o", "jsonl"]).json_lines();
    assert_eq!((&hidden[0]["masked"], hidden[0].get("payload_base64")), (&true.into(), None));
    assert_eq!(show(&["-o", "jsonl", "--unmask"]).json_lines()[0].get("masked"), None);
}

#[tokio::test]
async fn of_streams_of_one_name_only_the_named_services_is_touched() {
    let desk = Desk::new().await;
    desk.park_of("accounts", "Account/42", 2, "too large").await;
    desk.park_of("players", "Account/42", 1, "too large").await;
    assert_eq!(desk.run(&["ls", "-o", "jsonl"]).succeeded().json_lines().len(), 2);
    desk.run(&["skip", "Account/42", "--execute"]).failed(1, &["accounts and players", "--source"]);
    assert_eq!(desk.count("tidings_outbox_parked").await, 2);
    desk.run(&["skip", "Account/42", "--source", "teams", "--execute"]).failed(1, &["Account/42"]);
    let skipped = desk.run(&["skip", "Account/42", "--source", "accounts", "--execute", "-o", "jsonl"]).succeeded();
    assert_eq!(skipped.json_lines()[0]["streams"][0]["source"], "accounts");
    desk.run(&["retry", "Account/42", "--execute"]).succeeded();
    assert_eq!((desk.count("tidings_outbox").await, desk.count("tidings_outbox_parked").await), (1, 0));
}

#[tokio::test]
async fn nothing_is_put_back_or_skipped_until_it_is_told_to() {
    let desk = Desk::new().await;
    for sequence in 2..=4 {
        desk.park("Account/42", sequence, "too large").await;
    }
    desk.park("Account/7", 1, "too large").await;
    desk.run(&["retry"]).failed(2, &["STREAM"]);
    desk.run(&["retry", "Account/9"]).failed(1, &["Account/9"]);
    let dry = desk.run(&["skip", "Account/42"]).succeeded();
    assert!(dry.stderr.contains("would put back: 2 events of 1 stream, and 1 event forgotten"), "{}", dry.stderr);
    assert!(desk.run(&["retry", "--all"]).succeeded().stderr.contains("4 events of 2 streams"));
    assert_eq!((desk.count("tidings_outbox").await, desk.count("tidings_outbox_parked").await), (0, 4));

    desk.run(&["skip", "Account/42", "--execute"]).succeeded();
    assert_eq!((desk.count("tidings_outbox").await, desk.count("tidings_outbox_parked").await), (2, 1));
    let done = desk.run(&["retry", "--all", "--execute", "-o", "json"]).succeeded();
    let done: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&done["executed"], &done["events"]), (&true.into(), &1.into()));
    assert_eq!((desk.count("tidings_outbox").await, desk.count("tidings_outbox_parked").await), (3, 0));

    let status = desk.run(&["status", "-o", "json"]).succeeded();
    assert!(status.stderr.contains("3 events wait, 0 are parked, 256 buckets have no owner"), "{}", status.stderr);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!((&status[0]["rows"], &status[0]["buckets"]), (&3.into(), &256.into()));
    let buckets = desk.run(&["status", "--buckets", "-o", "jsonl"]).succeeded().json_lines();
    assert_eq!((buckets.len(), &buckets[7]["rows"]), (256, &3.into()));
}

#[tokio::test]
async fn a_new_epoch_is_given_to_those_streams_that_are_named_once_it_is_told_to() {
    let desk = Desk::new().await;
    for stream in ["Account/1", "Account/2", "Player/1"] {
        desk.execute(format!("INSERT INTO tidings_stream VALUES ('{stream}', 'main', 'outbox', '1', 0, 9)")).await;
    }
    desk.run(&["new-epoch"]).failed(2, &["--all", "--stream", "--prefix"]);
    assert!(desk.run(&["new-epoch", "--all"]).succeeded().stderr.contains("3 streams; nothing was changed"));
    let epochs = async || -> Vec<(i64, i64)> {
        let sql = "SELECT epoch, sequence FROM tidings_stream ORDER BY stream";
        sqlx::query_as(sql).fetch_all(desk.database.sqlite_pool().unwrap()).await.unwrap()
    };
    assert_eq!(epochs().await, [(0, 9); 3]);
    desk.run(&["new-epoch", "--prefix", "Account/", "--epoch", "5", "--execute"]).succeeded();
    desk.run(&["new-epoch", "--stream", "Account/2", "--epoch", "5", "--execute"]).succeeded();
    assert_eq!(epochs().await, [(5, 0), (6, 0), (0, 9)]);
    desk.run(&["new-epoch", "--all", "--execute"]).succeeded();
    let modes = "SELECT DISTINCT mode FROM tidings_stream";
    let modes: Vec<String> = sqlx::query_scalar(modes).fetch_all(desk.database.sqlite_pool().unwrap()).await.unwrap();
    assert_eq!(modes, ["outbox"]);
    assert!(epochs().await.iter().all(|(epoch, sequence)| *epoch > 1_700_000_000 && *sequence == 0));
}

#[tokio::test]
async fn streams_get_another_mode_once_none_of_their_events_wait() {
    let desk = Desk::new().await;
    for stream in ["Account/1", "Account/2"] {
        desk.execute(format!("INSERT INTO tidings_stream VALUES ('{stream}', 'main', 'outbox', '1', 0, 9)")).await;
    }
    desk.park("Account/2", 9, "too large").await;
    for change in
        [&["new-epoch", "--all", "--mode", "store"][..], &["new-epoch", "--all", "--mode", "store", "--execute"]]
    {
        desk.run(change).failed(1, &["Account/2", "1 are parked", "tidings outbox ls"]);
    }
    desk.run(&["new-epoch", "--all", "--mode", "kafka"]).failed(2, &["direct", "outbox", "store"]);
    desk.run(&["skip", "Account/2", "--execute"]).succeeded();
    let dry = desk.run(&["new-epoch", "--all", "--mode", "store"]).succeeded();
    assert!(dry.stderr.contains("a new epoch and the mode store to 2 streams; nothing was changed"), "{dry:?}");
    let streams = async || -> Vec<(String, i64, i64)> {
        let sql = "SELECT mode, epoch, sequence FROM tidings_stream ORDER BY stream";
        sqlx::query_as(sql).fetch_all(desk.database.sqlite_pool().unwrap()).await.unwrap()
    };
    assert_eq!(streams().await, [("outbox".to_owned(), 0, 9), ("outbox".to_owned(), 0, 9)]);
    desk.run(&["new-epoch", "--all", "--mode", "store", "--epoch", "3", "--execute"]).succeeded();
    assert_eq!(streams().await, [("store".to_owned(), 3, 0), ("store".to_owned(), 3, 0)]);
    desk.run(&["new-epoch", "--stream", "Account/1", "--mode", "direct:none", "--execute"]).succeeded();
    assert_eq!(streams().await[0].0, "direct");
}
