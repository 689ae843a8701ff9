//! `store-append-N`: N writers that each append one event at a time over gRPC and await that it is durable, beside as many writers
//! that each insert one row of the same payload, on the same MySQL with the same durability. The event store writes four rows for
//! an event (itself, its stream, its place in the line for a position, its way to Kafka), and gathers what waits into one commit.
//!
//! Needs `TIDINGS_TEST_DATABASE`; `make bench` sets it. `TIDINGS_BENCH_SECONDS` (default 4) is how long each side runs in a round,
//! and `TIDINGS_BENCH_ROUNDS` (default 3) how many rounds there are.
#![allow(missing_docs, clippy::expect_used, clippy::cast_precision_loss, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use support::{Measurement, median, number};
use tidings::Stream;
use tidings::database::sqlx::{self, AssertSqlSafe, MySqlPool};
use tidings::database::{Database, DatabaseOptions};
use tidings::envelope::Envelope;
use tidings::store::{
    Append, DatabaseStore, EventStore as _, ExpectedVersion, NewEvent, ServiceOptions, StoreClient, StoreClientOptions,
    StoreOptions, StoreService,
};
use uuid::Uuid;

const PAYLOAD: usize = 300;
const STREAMS: u64 = 10_000;
const CONNECTIONS: u32 = 72;
const RAW_TABLE: &str =
    "CREATE TABLE raw_event (id BIGINT AUTO_INCREMENT PRIMARY KEY, stream VARCHAR(64) NOT NULL, payload BLOB NOT NULL)";

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let time = Duration::from_secs(number("TIDINGS_BENCH_SECONDS", 4));
    let rounds = number("TIDINGS_BENCH_ROUNDS", 3);
    let url = std::env::var("TIDINGS_TEST_DATABASE").expect("TIDINGS_TEST_DATABASE is set");
    let name = format!("tidings_bench_{}", Uuid::new_v4().simple());
    let server = MySqlPool::connect(&url).await.expect("a server");
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&server).await.expect("a database");
    let (base, _) = url.rsplit_once('/').expect("a URL with a database");
    let options = DatabaseOptions::new(format!("{base}/{name}")).migrate(true).max_connections(CONNECTIONS);
    let database = Database::connect(options).await.expect("a connection");
    DatabaseStore::migrate(&database).await.expect("the store's tables");
    let pool = database.mysql_pool().expect("it is MySQL").clone();
    sqlx::raw_sql(RAW_TABLE).execute(&pool).await.expect("a table");

    let store = DatabaseStore::open(&database, StoreOptions::default()).await.expect("a store");
    let service = StoreService::bind(store, ServiceOptions::new(([127, 0, 0, 1], 0).into())).await.expect("an address");
    let address = service.address().expect("an address");
    let serving = tokio::spawn(service.run(std::future::pending()));
    let options = StoreClientOptions::new(format!("http://{address}")).deadline(Duration::from_mins(1));
    let client = StoreClient::new(options).await.expect("a client");

    for (name, writers) in [("store-append-1", 1), ("store-append-8", 8), ("store-append-64", 64)] {
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let (inserting, appending) = (pool.clone(), client.clone());
            let raw = rate(writers, time, move |_| insert(inserting.clone())).await;
            let appended = rate(writers, time, move |writer| append(appending.clone(), writer)).await;
            // The first round warms the server up.
            if round > 0 {
                eprintln!("{name} {round}: ours {appended:.0}/s, reference {raw:.0}/s, ratio {:.3}", appended / raw);
                ours.push(appended);
                reference.push(raw);
            }
        }
        let (ours, reference) = (median(&ours), median(&reference));
        Measurement { name, ours, reference, unit: "events/s", target: None }.report();
    }
    serving.abort();
    database.close().await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name}"))).execute(&server).await.expect("it is gone");
}

/// How often a second `writers` do it, each again and again for `time`.
async fn rate<F, Fut>(writers: u64, time: Duration, act: F) -> f64
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
    F: Clone + Send + Sync + 'static,
{
    let done = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let all = (0..writers).map(|writer| {
        let (act, done) = (act.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while start.elapsed() < time {
                act(writer).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    for writer in join_all(all).await {
        writer.expect("a writer that ends");
    }
    done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

async fn insert(pool: MySqlPool) {
    let stream = format!("Account/{}", rand::random_range(0..STREAMS));
    let insert = sqlx::query("INSERT INTO raw_event (stream, payload) VALUES (?, ?)").bind(stream);
    insert.bind(vec![7_u8; PAYLOAD]).execute(&pool).await.expect("a row");
}

async fn append(client: StoreClient, _writer: u64) {
    let stream = format!("Account/{}", rand::random_range(0..STREAMS));
    let now = chrono::DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time");
    let envelope = Envelope {
        id: Uuid::now_v7(),
        source: "bench".into(),
        event: "bench.ScoreChanged".into(),
        schema_version: "1.0.0".into(),
        time: now,
        recorded_time: now,
        stream: Stream::from_name(&stream),
        sequence: None,
        stream_epoch: 0,
        key: stream,
        correlation_id: "bench".to_owned(),
        causation_id: None,
        data_schema: "urn:avro:1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        tracestate: None,
    };
    let event = NewEvent { envelope, payload: vec![7_u8; PAYLOAD].into() };
    client.append(Append::new([event], ExpectedVersion::Any)).await.expect("an acknowledgement");
}
