//! `tidings audit` on real servers.

use std::future::poll_fn;
use std::task::Poll;

use serde_json::{Value, json};
use tidings::audit::{Audit, AuditError, AuditOptions, Tolerance};
use tidings::database::{Database, DatabaseOptions};
use tidings::publisher::DeliveryMode;

use crate::command::{Tidings, tidings};
use crate::setting;
use crate::support::scene::{Scene, delete_records, kafka};
use crate::support::store::{Store, post_next, publishing};

/// `tidings audit` of the scene's topic, with a line of JSON for each stream and one for the topic.
fn audit(scene: &Scene) -> Tidings {
    let topic = scene.topic();
    tidings(["audit", &topic, "-o", "jsonl"]).env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
}

/// Write an event's record, as far as an auditor looks at it.
async fn write(scene: &Scene, stream: &str, sequence: u64) {
    let (id, sequence) = (format!("{stream} {sequence}"), format!("{sequence:020}"));
    let headers = [
        ("ce_id", Some(id.as_bytes())),
        ("ce_subject", Some(stream.as_bytes())),
        ("ce_sequence", Some(sequence.as_bytes())),
    ];
    scene.write(Some(stream.as_bytes()), Some(b"payload"), &headers).await;
}

/// The last line: what was counted in the topic.
fn topic(lines: &[Value]) -> &Value {
    let last = lines.last().unwrap();
    assert_eq!(last["kind"], "topic");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_is_found_and_named_and_nothing_else_is() {
    let scene = Scene::new(6).await;
    for sequence in 1..=9 {
        for stream in 0..40 {
            // One stream lacks two, one has one twice, one has two that changed places.
            match (stream, sequence) {
                (7, 4 | 5) | (9, 6) => {}
                (8, 3) => {
                    write(&scene, "Account/8", 3).await;
                    write(&scene, "Account/8", 3).await;
                }
                (9, 7) => {
                    write(&scene, "Account/9", 7).await;
                    write(&scene, "Account/9", 6).await;
                }
                _ => write(&scene, &format!("Account/{stream}"), sequence).await,
            }
        }
        if sequence == 1 {
            scene.write(Some(b"1"), Some(b"a stranger's"), &[]).await;
        }
    }
    let found = audit(&scene).run();
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stderr.contains("2 missing, 1 repeated, 1 out of order"), "{found:?}");
    let lines = found.json_lines();
    let of = |stream: &str| lines.iter().find(|line| line["stream"] == stream).unwrap().clone();
    assert_eq!(of("Account/7")["missing"], json!([{"epoch": 0, "from": 4, "to": 5}]));
    assert_eq!((of("Account/8")["repeated"].as_u64(), of("Account/9")["out_of_order"].as_u64()), (Some(1), Some(1)));
    assert_eq!(of("Account/9")["first"]["sequence"], 6);
    let counted = topic(&lines);
    assert_eq!((lines.len(), &counted["listed_streams"], &counted["events"]), (4, &json!([]), &json!(359)));
    assert_eq!(counted["streams"], json!(40));
    assert_eq!((&counted["unsequenced"], &counted["partitions"]), (&json!(1), &json!(6)));

    let table = tidings(["audit", &scene.topic()]).env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS")).run();
    assert!(table.stdout.contains("Account/7") && table.stdout.contains("4-5"), "{table:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_and_a_start_in_the_middle_are_no_losses_and_repeats_may_be_let_pass() {
    let scene = Scene::new(1).await;
    for sequence in 1..=10 {
        write(&scene, "Account/1", sequence).await;
    }
    audit(&scene).run().succeeded();
    delete_records(&scene, 4).await;
    let lines = audit(&scene).run().succeeded().json_lines();
    assert_eq!(topic(&lines)["events"], 6);
    write(&scene, "Account/1", 10).await;
    assert_eq!(audit(&scene).run().code, Some(1));
    let lines = audit(&scene).args(["--allow-repeats"]).run().succeeded().json_lines();
    assert_eq!(topic(&lines)["repeated"], 1);
    // It begins at a time when everything was written.
    let lines = audit(&scene).args(["--from", "@2100-01-01"]).run().succeeded().json_lines();
    assert_eq!(topic(&lines)["events"], 0);
    // The control: the same topic, and a loss.
    write(&scene, "Account/1", 12).await;
    assert_eq!(audit(&scene).args(["--allow-repeats"]).run().code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_topics_each_is_told_and_one_that_is_wrong_is_enough() {
    let (first, second) = (Scene::new(1).await, Scene::new(1).await);
    for scene in [&first, &second] {
        write(scene, "Account/1", 1).await;
    }
    let (other, both) = (second.topic(), || audit(&first));
    let lines = both().args([&*other]).run().succeeded().json_lines();
    assert_eq!((&lines[0]["topic"], &lines[1]["topic"]), (&json!(first.topic()), &json!(other)));
    write(&first, "Account/1", 3).await;
    let found = both().args([&*other]).run();
    let told = format!("topic {} is not as it should be: 1 missing", first.topic());
    assert!(found.code == Some(1) && found.stderr.contains(&told) && !found.stderr.contains("; topic"), "{found:?}");
    assert_eq!(found.json_lines().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_goes_on_where_the_last_one_ended() {
    let (scene, folder) = (Scene::new(1).await, tempfile::tempdir().unwrap());
    let state = folder.path().join("audit");
    let state = state.to_str().unwrap();
    for sequence in 1..=5 {
        write(&scene, "Account/1", sequence).await;
    }
    audit(&scene).args(["--state", state]).run().succeeded();
    // Were it read from the start again, this would look like retention.
    delete_records(&scene, 1).await;
    write(&scene, "Account/1", 7).await;
    let found = audit(&scene).args(["--state", state]).run();
    assert_eq!(found.code, Some(1), "{found:?}");
    let lines = found.json_lines();
    assert_eq!((&topic(&lines)["events"], &topic(&lines)["missing"]), (&json!(6), &json!(1)));
    let other = Scene::new(1).await;
    audit(&other).args(["--state", state]).run().failed(2, &[state, &scene.topic(), "delete it"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_in_the_topic_in_the_outbox_or_missing() {
    let (scene, store) = (Scene::new(2).await, Store::new().await);
    let publisher = scene.publisher_in(DeliveryMode::Outbox).await;
    let database = publishing(&store, &publisher);
    let url = store.url();
    let compared = || audit(&scene).args(["--outbox"]).env("TIDINGS_DATABASE", &url);
    let post = async |times: usize| {
        for _ in 0..times {
            for player in 0..3 {
                post_next(&database, player).await.unwrap();
            }
        }
    };
    let relay = || tidings::outbox::Relay::new(&database, tidings::outbox::KafkaProducers::of(&publisher)).spawn();
    let publish = async || {
        let relay = relay();
        store.until_published().await;
        relay.shutdown().await.unwrap();
    };
    post(2).await;
    publish().await;
    post(2).await;
    let lines = compared().run().succeeded().json_lines();
    assert_eq!((&topic(&lines)["events"], &topic(&lines)["waiting"]), (&json!(6), &json!(6)));

    // The last event of one stream, and all that another one will have: nothing but the database knows of them.
    let sql = "DELETE FROM tidings_outbox WHERE stream = 'Player/1' AND sequence + 0 = 4";
    let pool = store.database.mysql_pool().unwrap();
    tidings::database::sqlx::raw_sql(sql).execute(pool).await.unwrap();
    post_next(&database, 9).await.unwrap();
    tidings::database::sqlx::raw_sql("DELETE FROM tidings_outbox WHERE stream = 'Player/9'")
        .execute(pool)
        .await
        .unwrap();
    let found = compared().run();
    assert_eq!(found.code, Some(1), "{found:?}");
    let lines = found.json_lines();
    assert_eq!((&topic(&lines)["missing"], &topic(&lines)["waiting"]), (&json!(2), &json!(5)));
    let of = |stream: &str| lines.iter().find(|line| line["stream"] == stream).unwrap().clone();
    assert_eq!(of("Player/1")["missing"], json!([{"epoch": 0, "from": 4, "to": 4}]));
    assert_eq!((&of("Player/9")["partition"], &of("Player/9")["missing_events"]), (&Value::Null, &json!(1)));
    // The topic alone does not show it.
    publish().await;
    audit(&scene).run().succeeded();
    assert_eq!(compared().run().code, Some(1));
}

/// A shard's name and address, as the command takes them.
fn shard(name: &str, store: &Store) -> String {
    format!("{name}={}", store.url())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_key_has_moved_each_shard_answers_for_what_lives_there_and_for_nothing_else() {
    let (scene, left, right) = (Scene::new(2).await, Store::new().await, Store::new().await);
    let publisher = scene.publisher_in(DeliveryMode::Outbox).await;
    let connect = async |name: &str, store: &Store| {
        let options = DatabaseOptions::new(store.url()).shard(name);
        Database::connect(options).await.unwrap().with_publisher(&publisher)
    };
    let (on_left, on_right) = (connect("left", &left).await, connect("right", &right).await);
    let publish = async || {
        for (store, database) in [(&left, &on_left), (&right, &on_right)] {
            let producers = tidings::outbox::KafkaProducers::of(&publisher);
            let relay = tidings::outbox::Relay::new(database, producers).spawn();
            store.until_published().await;
            relay.shutdown().await.unwrap();
        }
    };
    let alone = |store: &Store| audit(&scene).args(["--outbox", "--database", &store.url()]).run();
    for player in [7, 42, 42] {
        post_next(&on_left, player).await.unwrap();
    }
    publish().await;
    let shards = [shard("left", &left), shard("right", &right)];
    let movement = ["shards", "move", "42", "--from", "left", "--to", "right"];
    tidings(movement.into_iter().chain(["--shard", &shards[0], "--shard", &shards[1]])).run().succeeded();
    for _ in 0..3 {
        post_next(&on_right, 42).await.unwrap();
    }
    publish().await;
    alone(&left).succeeded();
    alone(&right).succeeded();

    // The end of the stream that has moved, of which only its new shard knows.
    post_next(&on_right, 42).await.unwrap();
    let lost = "DELETE FROM tidings_outbox";
    tidings::database::sqlx::raw_sql(lost).execute(right.database.mysql_pool().unwrap()).await.unwrap();
    alone(&left).succeeded();
    let found = alone(&right);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!(found.json_lines()[0]["missing"], json!([{"epoch": 0, "from": 6, "to": 6}]));

    // And the end of one that has stayed.
    post_next(&on_left, 7).await.unwrap();
    tidings::database::sqlx::raw_sql(lost).execute(left.database.mysql_pool().unwrap()).await.unwrap();
    let found = alone(&left);
    assert_eq!(found.code, Some(1), "{found:?}");
    assert_eq!((&found.json_lines()[0]["stream"], found.json_lines().len()), (&json!("Player/7"), 2));

    // Both at once are all that was committed. A third stream waits.
    post_next(&on_right, 8).await.unwrap();
    let together = audit(&scene).args(["--outbox", "--shard", &shards[0], "--shard", &shards[1]]).run();
    assert_eq!(together.code, Some(1), "{together:?}");
    let lines = together.json_lines();
    let missing = |stream: &str| lines.iter().find(|line| line["stream"] == stream).unwrap()["missing_events"].clone();
    assert_eq!((missing("Player/7"), missing("Player/42")), (json!(1), json!(1)));
    assert_eq!((&topic(&lines)["unknown"], &topic(&lines)["waiting"]), (&json!(0), &json!(1)));
}

#[cfg(feature = "store")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_in_the_topic_in_the_stores_outbox_or_missing() {
    use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, StoreOptions};

    let (scene, database) = (Scene::new(2).await, Store::new().await);
    DatabaseStore::migrate(&database.database).await.unwrap();
    let store = DatabaseStore::open(&database.database, StoreOptions::default()).await.unwrap();
    let url = database.url();
    let compared = || audit(&scene).args(["--store-database", &url]);
    let append = async |stream: &str, version: u64, source: &str| {
        let mut event = crate::scenarios::event_store::event(stream, "x");
        event.envelope.source = source.to_owned().into();
        store.append(Append::new([event], ExpectedVersion::Exact(version))).await.unwrap();
    };
    let forward = async || {
        let producers = tidings::outbox::KafkaProducers::new(kafka()).topic(scene.topic());
        let relay = tidings::outbox::Relay::new(&database.database, producers).spawn();
        database.until_published().await;
        relay.shutdown().await.unwrap();
    };
    for version in 0..3 {
        for stream in ["Account/1", "Account/2"] {
            append(stream, version, &scene.topic()).await;
        }
    }
    forward().await;
    append("Account/1", 3, &scene.topic()).await;
    // Another source's is nothing of this topic's.
    append("Account/3", 0, "others").await;
    let lines = compared().run().succeeded().json_lines();
    assert_eq!((&topic(&lines)["events"], &topic(&lines)["waiting"]), (&json!(6), &json!(1)));

    // What is stored and will never come: the end of one stream, and the whole of another.
    append("Account/4", 0, &scene.topic()).await;
    let pool = database.database.mysql_pool().unwrap();
    let lost = "DELETE FROM tidings_outbox WHERE stream <> 'Account/3'";
    tidings::database::sqlx::raw_sql(lost).execute(pool).await.unwrap();
    let found = compared().run();
    assert_eq!(found.code, Some(1), "{found:?}");
    let lines = found.json_lines();
    assert_eq!((&topic(&lines)["missing"], &topic(&lines)["waiting"]), (&json!(2), &json!(0)));
    let of = |stream: &str| lines.iter().find(|line| line["stream"] == stream).unwrap().clone();
    assert_eq!(of("Account/1")["missing"], json!([{"epoch": 0, "from": 4, "to": 4}]));
    assert_eq!(of("Account/4")["missing_events"], json!(1));
    assert!(!lines.iter().any(|line| line["stream"] == "Account/3"));
    // The topic alone does not show it, and neither does a service's outbox.
    audit(&scene).run().succeeded();
    audit(&scene).args(["--outbox"]).env("TIDINGS_DATABASE", &url).run().succeeded();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_audit_that_is_interrupted_again_and_again_reads_everything_once() {
    let (scene, folder) = (Scene::new(3).await, tempfile::tempdir().unwrap());
    for sequence in 1..=5 {
        for stream in 0..12 {
            write(&scene, &format!("Account/{stream}"), sequence).await;
        }
    }
    let options = AuditOptions::default().state_file(folder.path().join("audit"));
    for patience in 1..1_000 {
        // The first one is told to end at once, and each has a bit more time than the one before.
        let mut looks = 0;
        let told_to_end = poll_fn(|_| {
            looks += 1;
            if looks >= patience { Poll::Ready(()) } else { Poll::Pending }
        });
        match Audit::new(&kafka(), scene.topic()).options(options.clone()).run(told_to_end, |_| {}).await {
            Err(AuditError::Interrupted { saved: true }) => {}
            Ok(report) => {
                assert!(patience > 1);
                assert_eq!((report.totals.events, report.is_wrong(Tolerance::default())), (60, false), "{report:?}");
                return;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("it never came to its end");
}
