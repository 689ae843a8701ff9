//! Replicas of the event store that are killed at every step from an append to the deletion of what was forwarded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tidings::Stream;
use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::database::{Database, DatabaseOptions};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions};
use tidings::store::{
    DatabaseStore, EventStore as _, NewEvent, Notice, ServiceOptions, StoreClient, StoreClientOptions, StoreOptions,
    StoreService, StreamQuery, Subscription,
};
use tidings::testing::{FAULT_POINT_VARIABLE, STORE_FAULT_POINTS};

use crate::reader::read;
use crate::scenarios::event_store::event;
use crate::servers::Servers;
use crate::setting;
use crate::support::appending::append_until;
use crate::support::chance::tell;
use crate::support::child::{Child, say, told};
use crate::support::groups::ends;
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::scene::{Scene, kafka};
use crate::support::store::Store;
use crate::support::wait::until;

/// How long the leases of a killed replica stay its own: what a test must wait.
const LEASE: Duration = Duration::from_secs(1);
/// The points of the relay that forwards.
const OF_A_FORWARDER: [&str; 4] = ["after read", "after produce", "after ack", "after delete"];
const WRITERS: u64 = 6;

/// The child's part: a replica that forwards, until it is ended.
pub(crate) async fn replica() {
    let database = Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap();
    let store = DatabaseStore::open(&database, StoreOptions::default().lease_ttl(LEASE)).await.unwrap();
    let options = RelayOptions::default().lease_ttl(LEASE);
    let _relay = Relay::new(&database, KafkaProducers::new(kafka()).topic(told("TOPIC"))).options(options).spawn();
    let address: SocketAddr = told("ADDRESS").parse().unwrap();
    // Whoever had it before may not be quite gone.
    let service = loop {
        match StoreService::bind(store.clone(), ServiceOptions::new(address)).await {
            Ok(service) => break service,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    say("serving");
    service.run(std::future::pending()).await.unwrap();
}

fn event_of(topic: &str, writer: u64, number: u64) -> NewEvent {
    let mut event = event(&format!("Account/{writer}"), &number.to_string());
    event.envelope.source = topic.to_owned().into();
    event
}

/// What became of what was acknowledged: in the store, in its positions, and on the topic.
async fn proof(scene: &Scene, client: &StoreClient, acknowledged: &Published) -> Audit {
    let total: i64 = acknowledged.values().sum();
    for (stream, count) in acknowledged {
        let stored = client.read(StreamQuery::new(scene.topic(), Stream::from_name(stream)));
        let stored: Vec<_> = stored.try_collect().await.unwrap();
        let sequences: Vec<_> = stored.iter().map(|stored| stored.event.envelope.sequence.unwrap()).collect();
        assert_eq!(sequences, (1..=u64::try_from(*count).unwrap()).collect::<Vec<_>>(), "{stream}");
    }
    let mut notices = client.subscribe(Subscription::after(0));
    let (mut last, mut places) = (0, BTreeMap::<String, u64>::new());
    while last < u64::try_from(total).unwrap() {
        let Some(Notice::Event(event)) = notices.try_next().await.unwrap() else { continue };
        last += 1;
        assert_eq!(event.position, Some(last), "a gap or a repeat");
        let place = places.entry(event.event.envelope.stream.to_string()).or_default();
        *place += 1;
        assert_eq!(event.event.envelope.sequence, Some(*place));
    }
    let (topic, partitions) = (scene.topic(), scene.partitions());
    let records = usize::try_from(ends(scene).await.iter().sum::<i64>()).unwrap();
    let reading = move || read(&setting("TIDINGS_TEST_BROKERS"), &topic, partitions, records);
    let ledger = Ledger::default();
    for record in tokio::task::spawn_blocking(reading).await.unwrap() {
        let headers = record.text_headers();
        ledger.note(headers["ce_subject"], headers["ce_sequence"].parse().unwrap());
    }
    let audit = ledger.audit(acknowledged);
    tell(&format!("{total} acknowledged, {records} records, {audit:?}"));
    audit
}

/// Replicas are killed at `points`, one after the other; then `plant` is done to the database of the store, and one goes on.
async fn killed_at(points: impl Iterator<Item = (&'static str, u32)>, plant: Option<&str>) -> Audit {
    let _alone = Servers::alone().await;
    let (scene, database) = (Scene::new(4).await, Store::new().await);
    DatabaseStore::migrate(&database.database).await.unwrap();
    let address = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let (topic, url) = (scene.topic(), database.url());
    let settings = [("TOPIC", topic.as_str()), ("DATABASE", url.as_str()), ("ADDRESS", address.as_str())];
    let options = StoreClientOptions::new(format!("http://{address}")).deadline(Duration::from_mins(2));
    let client = StoreClient::new(options).await.unwrap();
    let over = Arc::<AtomicBool>::default();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let topic = topic.clone();
            append_until(client.clone(), Arc::clone(&over), move |number| event_of(&topic, writer, number))
        })
        .collect();
    for (point, times) in points {
        const SIGABRT: i32 = 6;
        let armed = format!("{point}*{times}");
        let replica = Child::start("store replica", &[&settings[..], &[(FAULT_POINT_VARIABLE, &armed)]].concat());
        let status = tokio::task::block_in_place(|| replica.ended());
        assert_eq!(status.signal(), Some(SIGABRT), "{point}: {status:?}");
    }
    if let Some(plant) = plant {
        sqlx::raw_sql(AssertSqlSafe(plant)).execute(database.database.mysql_pool().unwrap()).await.unwrap();
    }
    let last = Child::start("store replica", &settings);
    last.expect("serving");
    over.store(true, Ordering::Relaxed);
    let mut acknowledged = Published::new();
    for (number, writer) in writers.into_iter().enumerate() {
        acknowledged.insert(format!("Account/{number}"), i64::try_from(writer.await.unwrap()).unwrap());
    }
    until("everything is forwarded", async || match database.rows("tidings_outbox").await {
        0 => Ok(()),
        rows => Err(rows),
    })
    .await;
    let audit = proof(&scene, &client, &acknowledged).await;
    assert!(acknowledged.values().all(|count| *count > 0), "{acknowledged:?}");
    last.kill();
    audit
}

fn assert_sound(audit: &Audit) {
    assert_eq!((audit.lost, audit.out_of_order, audit.invented), (0, 0, 0), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_killed_at_every_step_from_append_to_deletion_loses_and_reorders_nothing_it_acknowledged() {
    let points = STORE_FAULT_POINTS.into_iter().chain(OF_A_FORWARDER);
    assert_sound(&killed_at(points.map(|point| (point, 5)), None).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_store_has_and_does_not_forward_is_found() {
    // The first replica ends before it has forwarded anything.
    let lost = "DELETE FROM tidings_outbox ORDER BY bucket, id LIMIT 1";
    let audit = killed_at([("after read", 1)].into_iter(), Some(lost)).await;
    assert_eq!((audit.lost, audit.out_of_order, audit.invented), (1, 0, 0), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_store_killed_at_every_step_again_and_again_loses_and_reorders_nothing_it_acknowledged() {
    let points = STORE_FAULT_POINTS.into_iter().chain(OF_A_FORWARDER);
    let points: Vec<_> = points.collect();
    let points = (1..60).map(|round: u32| (points[round as usize % points.len()], round % 17 + 1));
    assert_sound(&killed_at(points, None).await);
}
