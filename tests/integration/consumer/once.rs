//! Handlers whose effects happen once, whatever ends in the middle.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tidings::consumer::parked::ParkRequest;
use tidings::consumer::{BuildError, Consumer, ConsumerBuilder, ConsumerOptions};
use tidings::database::inbox::InboxOptions;
use tidings::database::sqlx::{self, Row as _};
use tidings::database::{Database, DatabaseOptions};
use tidings::dispatch::RetryPolicy;
use tidings::prelude::*;
use tidings::schema::Codec;
use tidings::transport::TopicPartition;
use tokio::sync::watch;

use crate::setting;
use crate::support::child::{Child, listen, say, told};
use crate::support::groups::{behind, caught_up, committed};
use crate::support::line::{Line, address_of};
use crate::support::running::Running;
use crate::support::scene::{RawHeader, Scene, codec, kafka};
use crate::support::scores::ScorePosted;
use crate::support::store::Store;
use crate::support::wait::{until, until_true};

const TABLE: &str = "CREATE TABLE effect (dispatcher VARCHAR(16) NOT NULL, event VARCHAR(64) NOT NULL)";
const ADD: &str = "INSERT INTO effect (dispatcher, event) VALUES (?, ?)";

/// Adds to what is in the database, in the transaction of the framework.
struct Once {
    gate: Gate,
}

/// The control: adds to it in a transaction of its own.
struct Plain {
    database: Database,
    gate: Gate,
}

/// What happens in a handler after its effect, before it is done.
#[derive(Clone)]
pub(crate) enum Gate {
    Open,
    /// Say so, and wait until the parent says so.
    Parents(watch::Receiver<bool>),
    /// Refuse this serial while the flag is set.
    Refusing(i64, Arc<AtomicBool>),
}

impl Gate {
    async fn pass(&self, event: &ScorePosted) -> Result<()> {
        match self {
            Self::Parents(released) => {
                say("waiting");
                released.clone().wait_for(|released| *released).await?;
                Ok(())
            }
            Self::Refusing(serial, refusing) if *serial == event.serial && refusing.load(Ordering::Acquire) => {
                Err(HandlerError::from("this score is refused").terminal())
            }
            Self::Open | Self::Refusing(..) => Ok(()),
        }
    }
}

pub(crate) fn name(event: &ScorePosted) -> String {
    format!("{}-{}", event.player, event.serial)
}

#[dispatcher(source = "scores")]
impl Once {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted, tx: Transaction) -> Result<()> {
        let mut connection = tx.mysql().await?;
        sqlx::query(ADD).bind("Once").bind(name(&event)).execute(&mut *connection).await?;
        drop(connection);
        self.gate.pass(&event).await
    }
}

#[dispatcher(source = "scores")]
impl Plain {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        sqlx::query(ADD).bind("Plain").bind(name(&event)).execute(self.database.mysql_pool()?).await?;
        self.gate.pass(&event).await
    }
}

pub(crate) async fn store() -> Store {
    store_on(&setting("TIDINGS_TEST_DATABASE")).await
}

pub(crate) async fn store_on(server: &str) -> Store {
    let store = Store::on(server).await;
    sqlx::query(TABLE).execute(store.database.mysql_pool().unwrap()).await.unwrap();
    store
}

/// How often each event took effect at `dispatcher`.
pub(crate) async fn effects(store: &Store, dispatcher: &str) -> BTreeMap<String, i64> {
    let count = "SELECT event, COUNT(*) FROM effect WHERE dispatcher = ? GROUP BY event";
    let rows = sqlx::query(count).bind(dispatcher).fetch_all(store.database.mysql_pool().unwrap()).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Each of `events` took effect `times` times.
pub(crate) fn each(events: &[&str], times: i64) -> BTreeMap<String, i64> {
    events.iter().map(|event| ((*event).to_owned(), times)).collect()
}

/// Write an event with a place in its stream, as a relay would.
pub(super) async fn post(scene: &Scene, event: &ScorePosted, event_id: &str) -> (i32, i64) {
    post_with(&codec(), scene, event, event_id).await
}

async fn post_with(codec: &Codec, scene: &Scene, event: &ScorePosted, event_id: &str) -> (i32, i64) {
    let framed = codec.frame(&scene.topic(), codec.encode(event).unwrap()).await.unwrap();
    write(scene, event, event_id, &framed.bytes).await
}

async fn write(scene: &Scene, event: &ScorePosted, event_id: &str, payload: &[u8]) -> (i32, i64) {
    let (subject, sequence) = (format!("Player/{}", event.player), format!("{:020}", event.serial));
    let source = format!("/{}", scene.topic());
    let headers: [RawHeader<'_>; 6] = [
        ("ce_specversion", Some(b"1.0")),
        ("ce_type", Some(b"scores.ScorePosted")),
        ("ce_id", Some(event_id.as_bytes())),
        ("ce_source", Some(source.as_bytes())),
        ("ce_subject", Some(subject.as_bytes())),
        ("ce_sequence", Some(sequence.as_bytes())),
    ];
    scene.write(Some(event.player.to_string().as_bytes()), Some(payload), &headers).await
}

/// Post the scores of all players, each player's in order; their names.
pub(crate) async fn post_all(scene: &Scene, players: i64, serials: RangeInclusive<i64>) -> Vec<String> {
    let codec = &codec();
    let players = (0..players).map(|player| {
        let serials = serials.clone();
        async move {
            let mut names = Vec::new();
            for serial in serials {
                let event = ScorePosted::new(player, serial);
                post_with(codec, scene, &event, &name(&event)).await;
                names.push(name(&event));
            }
            names
        }
    });
    join_all(players).await.concat()
}

fn builder(options: ConsumerOptions, database: &Database, topic: &str, gate: &Gate) -> ConsumerBuilder {
    let plain = Plain { database: database.clone(), gate: gate.clone() };
    Consumer::builder(options)
        .codec(codec())
        .database(database.clone())
        .dispatch_with(Once { gate: gate.clone() }, |settings| settings.source(topic))
        .dispatch_with(plain, |settings| settings.source(topic))
}

pub(crate) async fn running(scene: &Scene, store: &Store, gate: &Gate) -> Running {
    let builder = builder(scene.consumer(), &store.database, &scene.topic(), gate);
    Running::start(builder.build().await.unwrap())
}

/// The child's part: handle scores, and commit no offsets; behind each effect is the gate that is asked for, and a line of the
/// parent opens it.
pub(crate) async fn keep_totals() {
    let database = Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap();
    let kafka = kafka().property("session.timeout.ms", "6000").property("heartbeat.interval.ms", "1000");
    let options = ConsumerOptions::new(told("SERVICE")).kafka(kafka).commit_interval(Duration::from_secs(3_600));
    let gate = match told("GATE").as_str() {
        "open" => Gate::Open,
        "waits" => {
            let (release, released) = watch::channel(false);
            tokio::spawn(async move {
                listen().await;
                release.send(true).unwrap();
            });
            Gate::Parents(released)
        }
        serial => {
            let refusing = Arc::new(AtomicBool::new(true));
            tokio::spawn({
                let refusing = Arc::clone(&refusing);
                async move {
                    listen().await;
                    refusing.store(false, Ordering::Release);
                    say("mended");
                }
            });
            Gate::Refusing(serial.parse().unwrap(), refusing)
        }
    };
    builder(options, &database, &told("TOPIC"), &gate).build().await.unwrap().run().await.unwrap();
}

/// A process that handles scores, with a gate: `open`, `waits`, or the serial that is refused.
pub(crate) fn child(scene: &Scene, store: &Store, gate: &str) -> Child {
    let settings = [
        ("SERVICE", &scene.name("boards")),
        ("TOPIC", &scene.topic()),
        ("DATABASE", &store.url()),
        ("GATE", &gate.to_owned()),
    ];
    Child::start("totals", &settings.map(|(name, value)| (name, value.as_str())))
}

async fn until_effects(store: &Store, dispatcher: &str, events: usize) {
    until("the effects are there", async || {
        let found = effects(store, dispatcher).await.len();
        if found == events { Ok(()) } else { Err(found) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_killed_between_its_handlers_commits_and_its_offsets_has_its_effects_once() {
    let (scene, store) = (Scene::new(2).await, store().await);
    let posted = post_all(&scene, 4, 1..=5).await;
    let posted: Vec<_> = posted.iter().map(String::as_str).collect();
    let killed = child(&scene, &store, "open");
    until_effects(&store, "Once", 20).await;
    until_effects(&store, "Plain", 20).await;
    killed.kill();
    assert_eq!(committed(&scene, &scene.group("Once")).await, [None, None]);

    let running = running(&scene, &store, &Gate::Open).await;
    caught_up(&scene, &scene.group("Once")).await;
    caught_up(&scene, &scene.group("Plain")).await;
    let stats = running.stats_of(&scene.group("Once"));
    running.stop().await;
    assert_eq!((stats.handled, stats.inbox_repeats, stats.dead_lettered), (20, 20, 0));
    assert_eq!(effects(&store, "Once").await, each(&posted, 1));
    // The control: without the transaction, twice.
    assert_eq!(effects(&store, "Plain").await, each(&posted, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lost_its_partition_in_the_middle_of_a_handler_has_its_effect_once() {
    let (scene, store) = (Scene::new(1).await, store().await);
    post_all(&scene, 1, 1..=1).await;
    let mut frozen = child(&scene, &store, "waits");
    for _ in ["Once", "Plain"] {
        frozen.expect("waiting");
    }
    frozen.freeze();

    // Each group gives the partition to another process, where the one handler waits for the frozen one's transaction, and the
    // other does it all again.
    let running = running(&scene, &store, &Gate::Open).await;
    for group in ["Once", "Plain"] {
        until_true("the partition is the other's", || running.stats_of(&scene.group(group)).assigned == 1).await;
    }
    until("the other handler's effect is there twice", async || {
        let found = effects(&store, "Plain").await;
        if found == each(&["0-1"], 2) { Ok(()) } else { Err(found) }
    })
    .await;
    frozen.tell("go on");
    frozen.thaw();
    caught_up(&scene, &scene.group("Once")).await;
    caught_up(&scene, &scene.group("Plain")).await;
    let stats = running.stats_of(&scene.group("Once"));
    running.stop().await;
    // Who was first is for the thawed process to say: it commits, or hears before that that it lost the partition.
    assert!(stats.handled == 1 && stats.inbox_repeats <= 1, "{stats:?}");
    assert_eq!(effects(&store, "Once").await, each(&["0-1"], 1));
    assert_eq!(effects(&store, "Plain").await, each(&["0-1"], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_parked_with_what_follows_it_and_handled_once_it_is_released() {
    let (scene, store) = (Scene::new(1).await, store().await);
    let running = running(&scene, &store, &Gate::Open).await;
    let (group, handle) = (scene.group("Once"), running.handle());
    for (serial, id) in [(1, "one"), (1, "another"), (2, "next")] {
        post(&scene, &ScorePosted::new(0, serial), id).await;
    }
    caught_up(&scene, &group).await;
    let stats = running.stats_of(&group);
    assert_eq!((stats.forks, stats.inbox_forks, stats.inbox_repeats), (1, 1, 0));
    assert_eq!((stats.parked, stats.dead_lettered), (2, 0));
    assert_eq!(effects(&store, "Once").await, each(&["0-1"], 1));
    let partition = TopicPartition { topic: scene.topic().into(), partition: 0 };
    let key = Bytes::from_static(b"0");
    let first = handle.parked_records(&group, partition.clone(), key.clone(), 1).await.unwrap().remove(0);
    let cause = first.cause.unwrap();
    assert_eq!((first.headers.get_str("ce_id"), &*cause.class), (Some("another"), "forked"));
    assert!(cause.error.contains("the stream has forked"), "{}", cause.error);

    handle.unpark(&group, partition, key, ParkRequest::Release).await.unwrap();
    until_true("the key is free", || running.stats_of(&group).parked_keys == 0).await;
    let mut expected = each(&["0-1"], 2);
    expected.extend(each(&["0-2"], 1));
    assert_eq!(effects(&store, "Once").await, expected, "two events, two effects");
    for (serial, id) in [(1, "one"), (1, "another")] {
        post(&scene, &ScorePosted::new(0, serial), id).await;
    }
    caught_up(&scene, &group).await;
    assert_eq!(running.stats_of(&group).inbox_repeats, 2, "both are known");
    running.stop().await;
    assert_eq!((effects(&store, "Once").await, store.rows("tidings_inbox_hole").await), (expected, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_nothing_is_lost_given_up_or_done_twice() {
    outages(6, 5, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn ten_outages_of_the_database_under_200_000_events_lose_nothing_and_do_nothing_twice() {
    outages(500, 40, 10).await;
}

/// Post `serials` scores of each player in each outage.
async fn outages(players: i64, serials: i64, outages: i64) {
    let (scene, store) = (Scene::new(4).await, store().await);
    let line = Line::to(address_of(&store.url())).await;
    let options = DatabaseOptions::new(line.over(&store.url()));
    let options = options.max_connections(32).acquire_timeout(Duration::from_secs(5));
    let database = Database::connect(options).await.unwrap();
    // A policy that would give up at once what counts as an attempt.
    let retry = RetryPolicy::default().max_attempts(1).max(Duration::from_millis(50));
    let consumer = Consumer::builder(scene.consumer().retry(retry))
        .codec(codec())
        .database(database)
        .inbox(InboxOptions::default().purge_interval(Duration::from_secs(1)))
        .dispatch_with(Once { gate: Gate::Open }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());

    let mut posted = Vec::new();
    for outage in 0..outages {
        let (retried, handled) = (running.stats().retried, running.stats().handled);
        let first = outage * serials + 1;
        let cutting = async {
            until_true("handlers are at work", || running.stats().handled > handled).await;
            line.cut();
        };
        let (names, ()) = tokio::join!(post_all(&scene, players, first..=first + serials - 1), cutting);
        posted.extend(names);
        assert!(!behind(&scene, &scene.group("Once")).await.is_empty(), "it was cut in the middle");
        until_true("handlers notice", || running.stats().retried > retried + 5).await;
        line.mend();
        caught_up(&scene, &scene.group("Once")).await;
    }
    let stats = running.stop().await;
    assert_eq!(stats.dead_lettered, 0);
    let posted: Vec<_> = posted.iter().map(String::as_str).collect();
    assert_eq!(effects(&store, "Once").await, each(&posted, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offset_does_not_pass_a_dead_letter_that_the_inbox_could_not_note() {
    let (scene, store) = (Scene::new(1).await, store().await);
    let line = Line::to(address_of(&store.url())).await;
    let options = DatabaseOptions::new(line.over(&store.url())).acquire_timeout(Duration::from_millis(100));
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .database(Database::connect(options).await.unwrap())
        .dispatch_with(Once { gate: Gate::Open }, |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    // The partition is read once the database has said which of its keys are parked.
    post(&scene, &ScorePosted::new(1, 1), "1-1").await;
    until_true("the partition is at work", || running.stats().handled == 1).await;
    line.cut();
    // It cannot be decoded, so it fails before its handler's transaction opens.
    let (_, offset) = write(&scene, &ScorePosted::new(0, 1), "0-1", b"not avro").await;
    until_true("it is read", || running.stats().buffered_bytes > 0).await;
    until_true("the inbox is asked", || line.refused() > 3).await;
    assert_eq!(running.stats().dead_lettered, 0);
    assert!(
        committed(&scene, &scene.group("Once")).await.iter().flatten().all(|committed| *committed <= offset),
        "{offset}"
    );

    line.mend();
    caught_up(&scene, &scene.group("Once")).await;
    assert_eq!(running.stop().await.dead_lettered, 1);
    assert_eq!(store.rows("tidings_inbox_hole").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_takes_a_transaction_needs_a_database() {
    let scene = Scene::new(1).await;
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Once { gate: Gate::Open }, |settings| settings.source(scene.topic()));
    let error = consumer.build().await.unwrap_err();
    assert!(matches!(error, BuildError::NoDatabase { handler: "Once::on_posted" }), "{error:?}");
    assert!(error.to_string().contains("`.database(…)`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gaps_and_repeats_are_counted_whether_or_not_somebody_handles_the_events() {
    let (scene, store) = (Scene::new(1).await, store().await);
    let running = running(&scene, &store, &Gate::Open).await;
    for serial in [3, 4, 4, 7, 6, 8] {
        post(&scene, &ScorePosted::new(0, serial), &serial.to_string()).await;
    }
    caught_up(&scene, &scene.group("Once")).await;
    let stats = running.stats_of(&scene.group("Once"));
    running.stop().await;
    assert_eq!((stats.repeats, stats.gaps, stats.out_of_order, stats.forks), (1, 2, 1, 0));
}
