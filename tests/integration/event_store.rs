//! Replicas of the event store that are killed without notice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tidings::Stream;
use tidings::database::{Database, DatabaseOptions};
use tidings::outbox::{KafkaProducers, Relay};
use tidings::store::{
    Append, DatabaseStore, EventStore as _, ExpectedVersion, NewEvent, Notice, ServiceOptions, StoreClient,
    StoreClientOptions, StoreOptions, StoreService, StreamQuery, Subscription,
};

use crate::reader::read;
use crate::scenarios::event_store::event;
use crate::setting;
use crate::support::appending::append_until;
use crate::support::child::{Child, say, told};
use crate::support::scene::{Scene, kafka};
use crate::support::store::Store;

/// How long a killed replica's lease stays its own: what a test must wait.
const LEASE: Duration = Duration::from_secs(1);

fn options() -> StoreOptions {
    StoreOptions::default().lease_ttl(LEASE)
}

async fn database() -> Database {
    Database::connect(DatabaseOptions::new(told("DATABASE"))).await.unwrap()
}

pub(crate) fn event_of(topic: &str, stream: &str, number: u64) -> NewEvent {
    let mut event = event(stream, &number.to_string());
    event.envelope.source = topic.to_owned().into();
    event
}

/// The child's part: append, and forward nothing.
pub(crate) async fn append() {
    let store = DatabaseStore::open(&database().await, options()).await.unwrap();
    for number in 0..10 {
        for stream in 0..3 {
            let event = event_of(&told("TOPIC"), &format!("Account/{stream}"), number);
            store.append(Append::new([event], ExpectedVersion::Exact(number))).await.unwrap();
        }
    }
    say("appended");
    std::future::pending::<()>().await;
}

/// The child's part: be a replica, until it is killed.
pub(crate) async fn serve() {
    let store = DatabaseStore::open(&database().await, options()).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replica_stored_before_it_was_killed_is_forwarded_once_by_another() {
    let (scene, database) = (Scene::new(2).await, Store::new().await);
    DatabaseStore::migrate(&database.database).await.unwrap();
    let child = Child::start("append to store", &[("TOPIC", &scene.topic()), ("DATABASE", &database.url())]);
    child.expect("appended");
    child.kill();
    assert_eq!(database.rows("tidings_outbox").await, 30, "nothing was forwarded yet");

    let producers = KafkaProducers::new(kafka()).topic(scene.topic());
    let relay = Relay::new(&database.database, producers).spawn();
    database.until_published().await;
    relay.shutdown().await.unwrap();
    let mut streams: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in read(&setting("TIDINGS_TEST_BROKERS"), &scene.topic(), 2, 30) {
        let headers = record.text_headers();
        streams.entry(headers["ce_subject"].to_owned()).or_default().push(headers["ce_sequence"].parse().unwrap());
    }
    let whole: Vec<u64> = (1..=10).collect();
    assert_eq!(streams.into_values().collect::<Vec<_>>(), [whole.clone(), whole.clone(), whole]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_again_and_again_keeps_what_it_acknowledged_and_repeats_nothing() {
    const WRITERS: u64 = 4;
    let database = Store::new().await;
    DatabaseStore::migrate(&database.database).await.unwrap();
    let address = free_address().await;
    let settings = [("ADDRESS", address.to_string()), ("DATABASE", database.url())];
    let settings = settings.each_ref().map(|(name, value)| (*name, value.as_str()));
    let client_options = StoreClientOptions::new(format!("http://{address}")).deadline(Duration::from_mins(2));
    let client = StoreClient::new(client_options).await.unwrap();
    let mut child = Child::start("store service", &settings);
    child.expect("serving");

    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            append_until(client.clone(), Arc::clone(&over), move |_| event(&format!("Account/{writer}"), "x"))
        })
        .collect();
    for _ in 0..4 {
        let before = database.rows("tidings_store_event").await;
        crate::support::wait::until("this one has stored something", async || {
            let rows = database.rows("tidings_store_event").await;
            if rows > before + 20 { Ok(()) } else { Err(rows) }
        })
        .await;
        child.kill();
        child = Child::start("store service", &settings);
        child.expect("serving");
    }
    over.store(true, Ordering::Relaxed);
    let mut total = 0;
    for (number, writer) in writers.into_iter().enumerate() {
        let acknowledged = writer.await.unwrap();
        let query = StreamQuery::new("accounts", Stream::from_name(&format!("Account/{number}")));
        let stored: Vec<_> = client.read(query).try_collect().await.unwrap();
        assert_eq!(stored.len() as u64, acknowledged);
        total += acknowledged;
    }
    // All of them have a position, in order, and none has two.
    let mut notices = client.subscribe(Subscription::after(0));
    let mut last = 0;
    while last < total {
        if let Notice::Event(event) = notices.try_next().await.unwrap().unwrap() {
            assert_eq!(event.position, Some(last + 1));
            last += 1;
        }
    }
    drop(notices);
    child.kill();
}

async fn free_address() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
