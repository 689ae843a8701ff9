//! Parked keys of real services: through kills, restarts and rebalances, until an operator releases them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidings::consumer::parked::ParkRequest;
use tidings::consumer::{BuildError, Consumer, ConsumerHandle, ConsumerOptions, ControlError};
use tidings::database::{Database, DatabaseOptions};
use tidings::dispatch::{OnExhausted, RetryPolicy};
use tidings::prelude::*;
use tidings::transport::TopicPartition;
use tidings::transport::kafka::topics;

use crate::command::{Tidings, tidings};
use crate::kafka::LONG;
use crate::setting;
use crate::support::chain;
use crate::support::child::{Child, listen, say, told};
use crate::support::groups::{caught_up, committed};
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec, kafka};
use crate::support::scores::{ScorePosted, post, posted};
use crate::support::store::Store;
use crate::support::wait::{until, until_true};

const PLAYERS: i64 = 20;
/// Every fifth player's third score is more than the board can take, until it is mended.
const FAILING: [i64; 4] = [0, 5, 10, 15];

fn is_broken(event: &ScorePosted) -> bool {
    event.serial == 3 && FAILING.contains(&event.player)
}

/// Appends each score to a file that several processes share: one order of all of them.
struct Chronicle {
    path: PathBuf,
    mended: Arc<AtomicBool>,
}

#[derive(Debug, thiserror::Error)]
#[error("the board cannot take score {serial} of player {player}")]
struct NoPlace {
    player: i64,
    serial: i64,
}

#[dispatcher(source = "scores")]
impl Chronicle {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        if is_broken(&event) && !self.mended.load(Ordering::Acquire) {
            return Err(NoPlace { player: event.player, serial: event.serial }.into());
        }
        tokio::task::yield_now().await;
        let line = format!("{} {}\n", event.player, event.serial);
        OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(line.as_bytes())?;
        Ok(())
    }
}

/// What all processes have handled, in the order they did.
fn chronicle(path: &Path) -> Ledger {
    let ledger = Ledger::default();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let (player, serial) = line.split_once(' ').unwrap();
        ledger.note(player, serial.parse().unwrap());
    }
    ledger
}

fn parking(options: ConsumerOptions) -> ConsumerOptions {
    let mut once = RetryPolicy::default();
    once.max_attempts = 1;
    options.retry(once).on_exhausted(OnExhausted::ParkKey)
}

/// The child's part: a service that parks keys, until it is killed. It is mended when its parent says so.
pub(crate) async fn serve() {
    let mended = Arc::<AtomicBool>::default();
    let mend = Arc::clone(&mended);
    tokio::spawn(async move {
        assert_eq!(listen().await, "mend");
        mend.store(true, Ordering::Release);
        say("mended");
    });
    // A killed member is missed as soon as brokers allow.
    let kafka = kafka().property("session.timeout.ms", "6000");
    let options = parking(ConsumerOptions::new(told("SERVICE")).kafka(kafka));
    let chronicle = Chronicle { path: told("CHRONICLE").into(), mended };
    let mut consumer = Consumer::builder(options.commit_interval(Duration::from_millis(50)))
        .codec(codec())
        .dispatch_with(chronicle, |settings| settings.source(told("TOPIC")));
    if !told("DATABASE").is_empty() {
        let database = Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap();
        consumer = consumer.database(database);
    }
    let consumer = consumer.build().await.unwrap();
    let handle = consumer.handle();
    let at_work = async {
        until_true("there are partitions", || handle.stats().assigned > 0).await;
        say("at work");
    };
    let (ran, ()) = tokio::join!(consumer.run(), at_work);
    ran.unwrap();
}

/// What is told to a command so that it finds the parked events.
enum Kept {
    InKafka,
    In(Store),
}

impl Kept {
    fn database(&self) -> String {
        match self {
            Self::InKafka => String::new(),
            Self::In(store) => store.url(),
        }
    }

    fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Tidings {
        let command = tidings(["parked"]).args(arguments).env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"));
        let command = command.env("TIDINGS_REGISTRY", setting("TIDINGS_TEST_REGISTRY"));
        match self {
            Self::InKafka => command,
            Self::In(store) => command.env("TIDINGS_DATABASE", store.url()),
        }
    }
}

async fn outlive(kept: Kept) {
    let scene = Scene::new(4).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chronicle");
    let (group, publisher, database) = (scene.group("Chronicle"), scene.publisher().await, kept.database());
    let (service, topic) = (scene.name("boards"), scene.topic());
    let start = || {
        let settings = [
            ("SERVICE", service.as_str()),
            ("TOPIC", &topic),
            ("DATABASE", &database),
            ("CHRONICLE", path.to_str().unwrap()),
        ];
        Child::start("parking service", &settings)
    };

    let first = start();
    post(&publisher, PLAYERS, 1..=5).await;
    caught_up(&scene, &group).await;
    // Killed, and started again.
    first.kill();
    post(&publisher, PLAYERS, 6..=10).await;
    let second = start();
    caught_up(&scene, &group).await;
    // Another member comes, and the one before it is killed.
    let mut third = start();
    third.expect("at work");
    post(&publisher, PLAYERS, 11..=15).await;
    caught_up(&scene, &group).await;
    second.kill();
    post(&publisher, PLAYERS, 16..=20).await;
    caught_up(&scene, &group).await;

    let ledger = chronicle(&path);
    for player in 0..PLAYERS {
        let last = if FAILING.contains(&player) { 2 } else { 20 };
        let seen = ledger.of(&player.to_string());
        assert!(seen.iter().all(|serial| *serial <= last) && seen.contains(&last), "player {player}: {seen:?}");
    }
    let listed = kept.command(["ls", "--group", &group, "-o", "jsonl"]).run().succeeded().json_lines();
    assert_eq!(listed.len(), FAILING.len(), "{listed:?}");
    for key in &listed {
        assert_eq!((&key["events"], &key["class"]), (&18.into(), &"retryable".into()), "{key}");
        assert_eq!((&key["handler"], &key["event"]), (&"Chronicle::on_posted".into(), &"scores.ScorePosted".into()));
        assert!(key["error"].as_str().unwrap().contains("cannot take score 3"), "{key}");
    }

    // It fails again, is told so, and is parked as before.
    let release = ["release", "5", "--group", &group, "--execute", "--wait", "60"];
    kept.command(release).run().failed(1, &["parked again", "tidings parked show"]);
    third.tell("mend");
    third.expect("mended");
    // Released while the service runs, and while more comes.
    let all = ["release", "--all", "--error", "CANNOT TAKE", "--group", &group];
    kept.command(all).run().succeeded();
    let again = kept.command(["ls", "--group", &group, "-o", "jsonl"]).run().succeeded().json_lines();
    for (now, before) in again.iter().zip(&listed) {
        // Nothing was asked for; and the one that failed again remembers when it first did.
        for part in ["key", "events", "request", "offset", "first_failure"] {
            assert_eq!(now[part], before[part], "{now} {before}");
        }
    }
    let more = tokio::spawn(async move { post(&publisher, PLAYERS, 21..=30).await });
    let command = kept.command(all).args(["--execute", "--wait", "60", "-o", "json"]);
    let asked = tokio::task::spawn_blocking(move || command.run()).await.unwrap().succeeded();
    let asked: serde_json::Value = serde_json::from_str(&asked.stdout).unwrap();
    assert_eq!((&asked["executed"], &asked["keys"].as_array().unwrap().len()), (&true.into(), &FAILING.len()));
    more.await.unwrap();
    caught_up(&scene, &group).await;
    let all_handled = async || {
        let distinct = chronicle(&path).distinct();
        if distinct == 600 { Ok(()) } else { Err(distinct) }
    };
    until("everything is handled", all_handled).await;
    let Audit { lost, out_of_order, repeated: _, invented } = chronicle(&path).audit(&posted(PLAYERS, 30));
    assert_eq!((lost, out_of_order, invented), (0, 0, 0));
    assert!(kept.command(["ls", "--group", &group, "-o", "jsonl"]).run().succeeded().json_lines().is_empty());
    third.terminate();
    assert!(third.ended().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_parked_in_kafka_outlive_kills_and_rebalances_and_are_released_in_order_while_the_service_runs() {
    outlive(Kept::InKafka).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_parked_in_mysql_outlive_kills_and_rebalances_and_are_released_in_order_while_the_service_runs() {
    outlive(Kept::In(Store::new().await)).await;
}

/// A service in this process.
async fn start(
    scene: &Scene,
    options: ConsumerOptions,
    chronicle: Chronicle,
) -> Result<(ConsumerHandle, Running), BuildError> {
    let consumer = Consumer::builder(options)
        .codec(codec())
        .dispatch_with(chronicle, |settings| settings.source(scene.topic()))
        .build()
        .await?;
    Ok((consumer.handle(), Running::start(consumer)))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_keys_are_parked_in_a_compacted_topic_and_a_later_policy_does_not_forget_them() {
    let scene = Scene::new(1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chronicle");
    let (group, publisher) = (scene.group("Chronicle"), scene.publisher().await);
    let of = |mended: bool| Chronicle { path: path.clone(), mended: Arc::new(AtomicBool::new(mended)) };
    let partition = TopicPartition { topic: scene.topic().into(), partition: 0 };

    let (handle, running) = start(&scene, parking(scene.consumer()), of(false)).await.unwrap();
    let topic = topics::show(&kafka(), &[format!("{group}.parked")], LONG).await.unwrap().remove(0);
    assert_eq!((topic.partitions, topic.cleanup_policy.as_deref()), (1, Some("compact")));
    post(&publisher, 2, 1..=5).await;
    caught_up(&scene, &group).await;
    let parked = handle.parked(&group).await.unwrap();
    assert_eq!((parked.len(), &*parked[0].key, parked[0].records), (1, &b"0"[..], 3));
    let first = handle.parked_records(&group, partition.clone(), Bytes::from_static(b"0"), 1).await.unwrap().remove(0);
    assert!(first.cause.unwrap().error.contains("cannot take score 3"));
    let missing = handle.unpark(&group, partition.clone(), Bytes::from_static(b"1"), ParkRequest::Release).await;
    assert!(matches!(missing, Err(ControlError::NotParked { .. })));
    running.stop().await;

    // No policy parks keys any more; the one that is parked stays so, until it is released.
    let (handle, running) = start(&scene, scene.consumer(), of(true)).await.unwrap();
    post(&publisher, 2, 6..=8).await;
    caught_up(&scene, &group).await;
    assert_eq!(handle.parked(&group).await.unwrap()[0].records, 6);
    handle.unpark(&group, partition, Bytes::from_static(b"0"), ParkRequest::Release).await.unwrap();
    let free = async || match handle.parked(&group).await {
        Ok(keys) if keys.is_empty() => Ok(()),
        other => Err(other),
    };
    until("the key is free", free).await;
    post(&publisher, 2, 9..=9).await;
    caught_up(&scene, &group).await;
    running.stop().await;
    assert_eq!(chronicle(&path).audit(&posted(2, 9)), Audit::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_topic_that_may_not_be_created_is_missed_at_startup() {
    let scene = Scene::new(1).await;
    let chronicle = Chronicle { path: PathBuf::new(), mended: Arc::default() };
    let options = parking(scene.consumer()).create_parked_topic(false);
    let error = start(&scene, options, chronicle).await.err().unwrap();
    let text = chain(&error);
    assert!(matches!(error, BuildError::NoParkedStore { handler: "Chronicle::on_posted", .. }), "{text}");
    assert!(text.contains(&format!("{}.parked does not exist", scene.group("Chronicle"))), "{text}");
    assert_eq!(committed(&scene, &scene.group("Chronicle")).await, [None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_a_parked_key_and_skips_or_discards_what_cannot_be_mended() {
    let scene = Scene::new(1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chronicle");
    let (group, publisher, kept) = (scene.group("Chronicle"), scene.publisher().await, Kept::InKafka);
    let chronicle_of = Chronicle { path: path.clone(), mended: Arc::default() };
    let (_, running) = start(&scene, parking(scene.consumer()), chronicle_of).await.unwrap();
    post(&publisher, 6, 1..=5).await;
    caught_up(&scene, &group).await;

    let shown = kept.command(["show", "0", "--group", &group, "-o", "json"]).run().succeeded();
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!((&shown["key"], &shown["events"], &shown["partition"]), (&"0".into(), &3.into(), &0.into()));
    let waiting = shown["waiting"].as_array().unwrap();
    assert_eq!(waiting[0]["record"]["payload"], serde_json::json!({"player": 0, "serial": 3}));
    assert_eq!((&waiting[0]["cause"]["attempts"], &waiting[1]["cause"]), (&1.into(), &serde_json::Value::Null));
    let table = kept.command(["show", "0", "--group", &group, "-n", "1"]).run().succeeded();
    for text in ["cannot take score 3", "ce_type: scores.ScorePosted", "\"serial\": 3", "Chronicle::on_posted"] {
        assert!(table.stdout.contains(text), "{table:#?}");
    }
    assert!(table.stderr.contains("2 more events wait"), "{table:#?}");

    kept.command(["skip", "0", "--group", &group]).run().succeeded();
    kept.command(["skip", "0", "--group", &group, "--execute", "--wait", "30"]).run().succeeded();
    kept.command(["discard", "5", "--group", &group, "--execute", "--wait", "30"]).run().succeeded();
    post(&publisher, 6, 6..=6).await;
    caught_up(&scene, &group).await;
    running.stop().await;
    let ledger = chronicle(&path);
    assert_eq!((ledger.of("0"), ledger.of("5")), (vec![1, 2, 4, 5, 6], vec![1, 2, 6]));

    let unknown = kept.command(["release", "0", "--group", &group]).run();
    unknown.failed(1, &["the key 0 is not parked", &group, "tidings parked ls"]);
    kept.command(["ls", "--group", "no-such-group"]).run().failed(1, &["no topic no-such-group.parked", "--database"]);
    kept.command(["release", "--group", &group]).run().failed(2, &["KEY"]);
}
