//! Databases that fall silent, and databases that know less: what the relay makes of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::{Relay, RelayOptions, parked};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::scenarios::account::AccountRenamed;
use crate::scenarios::stage::{Place, Stage, eventually};
use crate::setting;

async fn publish(stage: &Stage, id: &str) {
    let publish = stage.database.transaction(async |tx| {
        tx.publish(&AccountRenamed::new(id, "Kim"));
        Ok::<_, Error>(())
    });
    publish.await.unwrap();
}

/// Two events of three streams each; the first of the second stream is to be parked, with the one behind it.
async fn publish_one_that_no_relay_can_read(stage: &Stage) {
    for id in ["1", "2", "3"] {
        publish(stage, id).await;
        publish(stage, id).await;
    }
    stage
        .execute("UPDATE tidings_outbox SET occurred_at = 'yesterday' WHERE stream = 'Account/2' AND sequence + 0 = 1")
        .await;
}

/// What is done to what a client sends.
pub(crate) trait Change: Fn(&mut [u8]) -> bool + Clone + Send + Sync + 'static {}

impl<F: Fn(&mut [u8]) -> bool + Clone + Send + Sync + 'static> Change for F {}

/// A line to the server of `address`. `change` is given what is sent, and says whether its connection dies behind it. When `silence`
/// counts up, all connections of then die: nothing more passes, in no direction, and nobody is told. New ones work.
async fn line(address: String, change: impl Change, silence: watch::Receiver<u32>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&address).await.unwrap();
            let mut silence = silence.clone();
            silence.mark_unchanged();
            tokio::spawn(pass_on(client, server, change.clone(), silence));
        }
    });
    here
}

async fn pass_on(mut client: TcpStream, mut server: TcpStream, change: impl Change, mut silence: watch::Receiver<u32>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            biased;
            changed = silence.changed() => {
                if changed.is_ok() {
                    std::future::pending::<()>().await;
                }
                return;
            }
            read = client.read(&mut up) => {
                let Ok(read @ 1..) = read else { return };
                let dies = change(&mut up[..read]);
                if server.write_all(&up[..read]).await.is_err() {
                    return;
                }
                if dies {
                    std::future::pending::<()>().await;
                }
            }
            read = server.read(&mut down) => {
                let Ok(read @ 1..) = read else { return };
                if client.write_all(&down[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The stage's database, through a line.
pub(crate) async fn through(stage: &Stage, change: impl Change, silence: watch::Receiver<u32>) -> Database {
    let Place::Server { url, name } = &stage.place else { panic!("a file has no line") };
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let line = line(address.to_owned(), change, silence).await;
    Database::connect(DatabaseOptions::new(format!("{credentials}@{line}/{name}?ssl-mode=disabled"))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_connections_fall_silent_goes_on_with_new_ones() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let silence = watch::Sender::new(0);
    let database = through(&stage, |_| false, silence.subscribe()).await;
    let options = RelayOptions::default().lease_ttl(Duration::from_secs(3)).database_timeout(Duration::from_secs(1));
    let producers = {
        let kafka = stage.kafka.clone();
        move || -> std::sync::Arc<dyn tidings::transport::Producer> { std::sync::Arc::new(kafka.clone()) }
    };
    let relay = Relay::new(&database, producers).options(options).spawn();
    for round in 1..=3 {
        // What is read, deleted, asked and reported stands still in the middle, whatever it is.
        for _ in 0..20 {
            publish(&stage, "7").await;
        }
        stage.until_published(round * 20).await;
        silence.send_modify(|times| *times += 1);
    }
    publish(&stage, "7").await;
    stage.until_published(61).await;
    stage.until_empty().await;
    relay.shutdown().await.unwrap();
    let mut last = 0;
    for (_, sequence) in stage.published() {
        assert!(sequence <= last + 1, "{sequence} came after {last}");
        last = last.max(sequence);
    }
    assert_eq!(last, 61);
    database.close().await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_dies_while_a_row_is_parked_keeps_no_lock_for_long() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let never = watch::Sender::new(0);
    let died = Arc::<AtomicBool>::default();
    let database = {
        let died = Arc::clone(&died);
        // The server has moved the row, and waits for the word.
        let parks = move |sent: &mut [u8]| {
            let words = b"REPLACE INTO tidings_outbox_parked";
            sent.windows(words.len()).any(|window| window == words) && !died.swap(true, Ordering::AcqRel)
        };
        through(&stage, parks, never.subscribe()).await
    };
    publish_one_that_no_relay_can_read(&stage).await;
    let options = RelayOptions::default().lease_ttl(Duration::from_secs(3)).database_timeout(Duration::from_secs(1));
    let kafka = stage.kafka.clone();
    let producers = move || -> std::sync::Arc<dyn tidings::transport::Producer> { std::sync::Arc::new(kafka.clone()) };
    let relay = Relay::new(&database, producers).options(options).spawn();
    stage.until_published(4).await;
    stage.until_empty().await;
    assert!(died.load(Ordering::Acquire));
    assert_eq!(parked(&stage.database, None, 10).await.unwrap().len(), 2);
    publish(&stage, "3").await;
    stage.until_published(5).await;
    relay.shutdown().await.unwrap();
    database.close().await;
    stage.clear().await;
}

/// Append through a line that dies behind the first statement of `words`, and again behind it: each event is there once, and those who
/// follow the store get both.
#[cfg(feature = "store")]
async fn append_while_the_line_dies_behind(words: &'static [u8]) {
    use futures_util::TryStreamExt as _;
    use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, Notice, StoreOptions, Subscription};

    use crate::scenarios::event_store::event;

    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    DatabaseStore::migrate(&stage.database).await.unwrap();
    let never = watch::Sender::new(0);
    let died = Arc::<AtomicBool>::default();
    let database = {
        let died = Arc::clone(&died);
        let dies = move |sent: &mut [u8]| {
            sent.windows(words.len()).any(|window| window == words) && !died.swap(true, Ordering::AcqRel)
        };
        through(&stage, dies, never.subscribe()).await
    };
    let store = DatabaseStore::open(&database, StoreOptions::default().forward(false)).await.unwrap();
    for version in [ExpectedVersion::None, ExpectedVersion::Exact(1)] {
        store.append(Append::new([event("Account/1", "x")], version)).await.unwrap();
    }
    assert!(died.load(Ordering::Acquire), "no statement has these words");
    let mut notices = store.subscribe(Subscription::after(0));
    let mut followed = Vec::new();
    while followed.len() < 2 {
        if let Some(Notice::Event(event)) = notices.try_next().await.unwrap() {
            followed.push(event.event.envelope.sequence.unwrap());
        }
    }
    assert_eq!(followed, [1, 2]);
    assert_eq!(stage.texts("SELECT event_id FROM tidings_store_event").await.len(), 2);
    drop(notices);
    store.close().await;
    database.close().await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "store")]
async fn a_line_that_dies_behind_what_is_appended_has_it_appended_once() {
    append_while_the_line_dies_behind(b"INSERT INTO tidings_store_pending").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "store")]
async fn a_line_that_dies_while_streams_are_locked_keeps_them_for_seconds_only() {
    append_while_the_line_dies_behind(b"FROM tidings_store_stream ").await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "store")]
async fn readers_of_a_store_whose_connections_fall_silent_are_told_so_and_can_go_on() {
    use futures_util::TryStreamExt as _;
    use tidings::Stream;
    use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, Notice, StoreError};
    use tidings::store::{StoreOptions, StreamQuery, Subscription};

    use crate::scenarios::event_store::event;

    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    DatabaseStore::migrate(&stage.database).await.unwrap();
    let silence = watch::Sender::new(0);
    let database = through(&stage, |_| false, silence.subscribe()).await;
    let store = DatabaseStore::open(&database, StoreOptions::default().forward(false)).await.unwrap();
    let first = event("Account/1", "x");
    store.append(Append::new([first.clone()], ExpectedVersion::None)).await.unwrap();
    let read = async || {
        store.read(StreamQuery::new("accounts", Stream::from_name("Account/1"))).try_collect::<Vec<_>>().await.map(drop)
    };
    let follow = async || loop {
        if let Some(Notice::Event(_)) = store.subscribe(Subscription::after(0)).try_next().await? {
            return Ok(());
        }
    };
    let ask = async || {
        let limit = Duration::from_secs(60);
        let (read, followed, stored) = tokio::join!(
            tokio::time::timeout(limit, read()),
            tokio::time::timeout(limit, follow()),
            tokio::time::timeout(limit, store.stored(first.id())),
        );
        [read, followed, stored].map(|asked: Result<Result<(), StoreError>, _>| asked.expect("nobody is told"))
    };
    // Each has a connection of its own then.
    eventually("three are asked at once", async || {
        ask().await.into_iter().for_each(Result::unwrap);
        database.mysql_pool().unwrap().num_idle() >= 3
    })
    .await;
    silence.send_modify(|times| *times += 1);
    for asked in ask().await {
        assert!(matches!(asked, Ok(()) | Err(StoreError::Unavailable(_))), "{asked:?}");
    }
    eventually("all go on", async || ask().await.iter().all(Result::is_ok)).await;
    // None is kept by whoever waits for its answer.
    let pool = database.mysql_pool().unwrap();
    eventually("no connection is waited for", async || usize::try_from(pool.size()).unwrap() == pool.num_idle()).await;
    store.close().await;
    database.close().await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_a_services_session_that_says_nothing() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let Place::Server { url, name } = &stage.place else { panic!("a file has no sessions") };
    let (address, _) = url.rsplit_once('/').unwrap();
    let options = DatabaseOptions::new(format!("{address}/{name}")).session_timeout(Duration::from_secs(1));
    let database = Database::connect(options).await.unwrap();
    let pool = database.mysql_pool().unwrap();
    // As a machine would that has lost its power: a lock is held, and nothing more is said.
    let mut gone = pool.begin().await.unwrap();
    sqlx::query("SELECT slot FROM tidings_outbox_gate FOR UPDATE").fetch_all(&mut *gone).await.unwrap();
    stage.execute("UPDATE tidings_outbox_gate SET slot = slot").await;
    assert!(sqlx::query("DO 1").execute(&mut *gone).await.is_err(), "its session is over");
    drop(gone);
    database.close().await;
    stage.clear().await;
}

/// A server that does not know `JSON_TABLE`: what it is sent is as long as before, and means nothing.
fn without_key_lists(sent: &mut [u8]) -> bool {
    const KNOWN: &[u8] = b"JSON_TABLE(";
    let found: Vec<usize> = (0..sent.len()).filter(|at| sent[*at..].starts_with(KNOWN)).collect();
    for at in found {
        sent[at..at + KNOWN.len()].copy_from_slice(b"NO_TABLES_(");
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_without_json_table_rows_are_deleted_and_parked_all_the_same() {
    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    let never = watch::Sender::new(0);
    let database = through(&stage, without_key_lists, never.subscribe()).await;
    publish_one_that_no_relay_can_read(&stage).await;
    let relay = stage.relay_of(&database);
    stage.until_empty().await;
    eventually("it is parked", async || parked(&stage.database, None, 10).await.unwrap().len() == 2).await;
    let summary = relay.shutdown().await.unwrap();
    assert_eq!((summary.published, summary.parked), (4, 2));
    database.close().await;
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "store")]
async fn on_a_server_without_json_table_a_stores_events_have_their_positions_all_the_same() {
    use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, StoreOptions};

    use crate::scenarios::event_store::{event, follow};

    let stage = Stage::server(&setting("TIDINGS_TEST_DATABASE")).await;
    DatabaseStore::migrate(&stage.database).await.unwrap();
    let never = watch::Sender::new(0);
    let database = through(&stage, without_key_lists, never.subscribe()).await;
    let store = DatabaseStore::open(&database, StoreOptions::default().forward(false)).await.unwrap();
    for version in 0..3 {
        store.append(Append::new([event("Account/1", "x")], ExpectedVersion::Exact(version))).await.unwrap();
    }
    let positions: Vec<_> = follow(&store, 0, 3).await.iter().map(|event| event.position).collect();
    assert_eq!(positions, [Some(1), Some(2), Some(3)]);
    let left = async || stage.texts("SELECT event FROM tidings_store_pending").await.is_empty();
    eventually("none is left without one", left).await;
    store.close().await;
    database.close().await;
    stage.clear().await;
}
