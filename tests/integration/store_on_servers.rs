//! The event store beside long transactions, and what it reads of its database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::database::{Database, DatabaseOptions};
use tidings::store::{
    Append, DatabaseStore, EventStore as _, ExpectedVersion, NewEvent, Refusal, StoreError, StoreOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uuid::Uuid;

use crate::scenarios::event_store::{event, follow, store};
use crate::scenarios::stage::{Place, Stage, eventually};
use crate::silence::through;

fn options() -> StoreOptions {
    StoreOptions::default().forward(false)
}

async fn append(store: &DatabaseStore, stream: &str, events: usize) {
    let events = (0..events).map(|_| event(stream, "x"));
    store.append(Append::new(events, ExpectedVersion::Any)).await.unwrap();
}

pub(crate) async fn an_append_that_stays_open_holds_up_no_other_and_is_not_passed_by(stage: &Stage) {
    let store = store(stage, options()).await;
    append(&store, "Account/1", 1).await;
    // As the store appends: a gate first, then the event, then its row among those without a position.
    let columns = "source, epoch, sequence, bucket, topic, partition_key, event_type, schema_version, occurred_at, \
                   recorded_at, correlation_id, data_schema, traceparent, payload";
    let statements = [
        "SELECT slot FROM tidings_outbox_gate WHERE slot = 0 LOCK IN SHARE MODE".to_owned(),
        format!(
            "INSERT INTO tidings_store_event (event_id, stream, {columns}) \
             SELECT '{}', 'Account/late', {columns} FROM tidings_store_event",
            Uuid::now_v7()
        ),
        "INSERT INTO tidings_store_pending (event) SELECT id FROM tidings_store_event WHERE stream = 'Account/late'"
            .to_owned(),
    ];
    let mut late = stage.database.mysql_pool().unwrap().begin().await.unwrap();
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *late).await.unwrap();
    }
    for batch in 1..=20 {
        append(&store, "Account/2", 250).await;
        if batch % 4 == 0 {
            assert_eq!(follow(&store, 0, 1 + batch * 250).await.len(), 1 + batch * 250);
        }
    }
    late.commit().await.unwrap();
    let last = follow(&store, 5_001, 1).await;
    assert_eq!((last[0].position, last[0].event.envelope.stream.as_str()), (Some(5_002), "Account/late"));
    store.close().await;
}

/// Behind which event the sequencer looks, as it says to the server.
fn mark_of(sent: &[u8]) -> Option<u64> {
    const LOOK: &str = "FROM tidings_store_pending WHERE event > ";
    let sent = String::from_utf8_lossy(sent);
    let (_, mark) = sent.split_once(LOOK)?;
    mark.split_once(' ')?.0.parse().ok()
}

/// Whether or not the database has cleared it away: a backup that reads for hours keeps all of it.
pub(crate) async fn what_has_its_position_is_not_looked_at_again_and_again(stage: &Stage) {
    DatabaseStore::migrate(&stage.database).await.unwrap();
    let mark = Arc::<AtomicU64>::default();
    let (never, told) = (watch::Sender::new(0), Arc::clone(&mark));
    let looks = move |sent: &mut [u8]| {
        if let Some(mark) = mark_of(sent) {
            told.store(mark, Ordering::Release);
        }
        false
    };
    let database = through(stage, looks, never.subscribe()).await;
    let store = DatabaseStore::open(&database, options()).await.unwrap();
    for batch in 1..=20 {
        append(&store, "Account/1", 250).await;
        follow(&store, batch * 250 - 250, 250).await;
    }
    eventually("it looks behind most of them", async || mark.load(Ordering::Acquire) > 4_000).await;
    append(&store, "Account/1", 1).await;
    assert_eq!(follow(&store, 5_000, 1).await[0].position, Some(5_001));
    store.close().await;
    database.close().await;
}

/// A line to the server of `address`, and how many bytes came back.
async fn counting_line(address: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (here, come) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&come);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = TcpStream::connect(&address).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let come = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
                    come.fetch_add(read, Ordering::AcqRel);
                    if to_client.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (here, come)
}

pub(crate) async fn who_sends_small_events_has_no_large_ones_read(stage: &Stage) {
    let Place::Server { url, name } = &stage.place else { panic!("a file has no line") };
    let (credentials, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let (line, come) = counting_line(address.to_owned()).await;
    DatabaseStore::migrate(&stage.database).await.unwrap();
    let through_it = DatabaseOptions::new(format!("{credentials}@{line}/{name}?ssl-mode=disabled"));
    let through_it = Database::connect(through_it).await.unwrap();
    let store = DatabaseStore::open(&through_it, options()).await.unwrap();
    let large: Vec<NewEvent> = (0..32)
        .map(|_| {
            let mut event = event("Account/1", &"x".repeat(64 * 1_024));
            event.envelope.tracestate = Some("y".repeat(32 * 1_024));
            event
        })
        .collect();
    store.append(Append::new(large.clone(), ExpectedVersion::None)).await.unwrap();
    let before = come.load(Ordering::Acquire);
    for payload in ["", "small"] {
        let small = large.iter().cloned().map(|mut event| {
            event.payload = payload.into();
            event.envelope.tracestate = None;
            event
        });
        let refused = store.append(Append::new(small, ExpectedVersion::Any)).await;
        assert!(matches!(refused, Err(StoreError::Refused(Refusal::OtherContent { .. }))), "{refused:?}");
    }
    let read = come.load(Ordering::Acquire) - before;
    assert!(read < 256 * 1_024, "{read} bytes were read");
    assert!(store.append(Append::new(large, ExpectedVersion::Any)).await.unwrap().repeated);
    store.close().await;
    through_it.close().await;
}
