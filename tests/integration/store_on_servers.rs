//! The event store beside long transactions, and what it reads of its database.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tidings::database::sqlx::{self, AssertSqlSafe};
use tidings::database::{Database, DatabaseOptions};
use tidings::store::{
    Append, DatabaseStore, EventStore as _, ExpectedVersion, NewEvent, Refusal, StoreError, StoreOptions,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::scenarios::event_store::{event, follow, store};
use crate::scenarios::stage::{Place, Stage};

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

/// How long it takes until 100 events, appended one after the other, have their positions one after the other.
async fn one_by_one(store: &DatabaseStore, position: &mut u64) -> Duration {
    let begin = Instant::now();
    for _ in 0..100 {
        append(store, "Account/1", 1).await;
        follow(store, *position, 1).await;
        *position += 1;
    }
    begin.elapsed()
}

pub(crate) async fn beside_a_view_that_stays_open_positions_come_about_as_soon_as_without(stage: &Stage) {
    let store = store(stage, options()).await;
    let mut position = 0;
    one_by_one(&store, &mut position).await;
    let without = one_by_one(&store, &mut position).await;
    // As a backup reads: nothing that is deleted from now on is cleared away.
    let mut view = stage.database.mysql_pool().unwrap().acquire().await.unwrap();
    for begin in
        ["SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT"]
    {
        sqlx::raw_sql(begin).execute(&mut *view).await.unwrap();
    }
    for _ in 0..40 {
        append(&store, "Account/2", 500).await;
        follow(&store, position, 500).await;
        position += 500;
    }
    let beside = one_by_one(&store, &mut position).await;
    sqlx::raw_sql("COMMIT").execute(&mut *view).await.unwrap();
    store.close().await;
    assert!(beside < without * 3, "100 events took {without:?} without it, {beside:?} beside it");
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
