//! `outbox-backlog`: one relay works off a backlog; how many rows a second, and how fast the last tenth is beside the first. Once
//! more while a transaction is open that looked at the outbox before: the database keeps every deleted row for it.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_RECORDS` (default 2,000,000) sizes
//! the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::cast_precision_loss, reason = "a benchmark")]

mod support;

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use support::outbox::{Ground, event, recorder};
use support::{Cluster, Measurement, number, processor_time};
use tidings::database::sqlx;
use tidings::database::{Database, Error};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions, bucket_of};
use tidings::transport::kafka::KafkaOptions;

const TOPIC: &str = "bench-outbox-backlog";
const PARTITIONS: i32 = 8;
const PLAYERS: u64 = 10_000;
/// What a relay must do, in rows a second.
const TARGET: f64 = 40_000.0;

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let records = number("TIDINGS_BENCH_RECORDS", 2_000_000) / PLAYERS * PLAYERS;
    let cluster = Cluster::from_environment();
    let [rate, first, last] = work_off(&cluster, records, false).await;
    Measurement { name: "outbox-backlog", ours: rate, reference: TARGET, unit: "rows/s", target: Some(1.0) }.report();
    let name = "outbox-backlog, the last tenth beside the first";
    Measurement { name, ours: last, reference: first, unit: "rows/s", target: Some(0.9) }.report();
    let [with_reader, first, last] = work_off(&cluster, records, true).await;
    let name = "outbox-backlog, with a transaction open";
    Measurement { name, ours: with_reader, reference: rate, unit: "rows/s", target: Some(0.8) }.report();
    let name = "outbox-backlog, with a transaction open, the last tenth beside the first";
    Measurement { name, ours: last, reference: first, unit: "rows/s", target: Some(0.9) }.report();
    cluster.delete_topics(&[TOPIC]).await;
}

/// The rate of all, of the first tenth, of the last.
async fn work_off(cluster: &Cluster, records: u64, reader: bool) -> [f64; 3] {
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    let ground = Ground::new().await;
    let database = ground.database(8).await.with_publisher(&recorder(cluster, TOPIC).await);
    fill(&ground, &database, records).await;
    let open = if reader {
        let mut open = database.mysql_pool().expect("MySQL").begin().await.expect("a transaction");
        let repeatable = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        // Of the next transaction on this connection.
        sqlx::raw_sql("COMMIT").execute(&mut *open).await.expect("a commit");
        for sql in [repeatable, "START TRANSACTION WITH CONSISTENT SNAPSHOT", "SELECT COUNT(*) FROM tidings_stream"] {
            sqlx::raw_sql(sql).execute(&mut *open).await.expect("a statement");
        }
        Some(open)
    } else {
        None
    };

    let producers = KafkaProducers::new(KafkaOptions::new(cluster.brokers())).topic(TOPIC);
    let before = processor_time();
    let start = Instant::now();
    let relay = Relay::new(&database, producers).options(RelayOptions::default().check_durability(false)).spawn();
    let watching = cluster.clone();
    let tenths = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = watching.client_config().create().expect("a consumer");
        let mut tenths = Vec::new();
        while tenths.len() < 10 {
            let written: i64 = (0..PARTITIONS).map(|partition| end(&consumer, partition)).sum();
            while tenths.len() < 10 && written.unsigned_abs() >= records / 10 * (tenths.len() as u64 + 1) {
                tenths.push(start.elapsed());
            }
            assert!(start.elapsed() < Duration::from_mins(15), "{written} of {records} are written");
            std::thread::sleep(Duration::from_millis(20));
        }
        tenths
    });
    let tenths = tenths.await.expect("the topic's ends");
    let processor = processor_time().saturating_sub(before).as_secs_f64() * 1e6 / records as f64;
    relay.shutdown().await.expect("a relay that gets on");
    drop(open);
    database.close().await;
    ground.clear().await;

    let tenth = records as f64 / 10.0;
    // Making the producer and taking the leases is not in it.
    let began = tenths[0].saturating_sub(tenths[9].saturating_sub(tenths[0]) / 9);
    let rate = records as f64 / tenths[9].saturating_sub(began).as_secs_f64();
    let rates: Vec<_> = tenths.windows(2).map(|pair| tenth / pair[1].saturating_sub(pair[0]).as_secs_f64()).collect();
    let shown: Vec<_> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    eprintln!("rows a second, from the second tenth on: {}; {processor:.1} µs of this process a row", shown.join(" "));
    [rate, rates[0], rates[8]]
}

fn end(consumer: &BaseConsumer, partition: i32) -> i64 {
    consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(10)).expect("a topic's ends").1
}

/// As many rows as transactions would have left, all from the pattern of one that did.
async fn fill(ground: &Ground, database: &Database, records: u64) {
    let published = database.transaction(async |tx| {
        tx.publish(&event(0, 0));
        Ok::<_, Error>(())
    });
    published.await.expect("a transaction");
    let keys =
        "CREATE TABLE bench_key (bucket TINYINT UNSIGNED NOT NULL, partition_key VARCHAR(20) NOT NULL PRIMARY KEY)";
    ground.execute(database, keys).await;
    ground.execute(database, "CREATE TABLE bench_pattern AS SELECT * FROM tidings_outbox").await;
    ground.execute(database, "TRUNCATE TABLE tidings_outbox").await;
    let rows: Vec<_> = (0..PLAYERS).map(|player| format!("({}, '{player}')", bucket_of(&player.to_string()))).collect();
    ground.execute(database, &format!("INSERT INTO bench_key VALUES {}", rows.join(","))).await;
    for sequence in 1..=records / PLAYERS {
        let insert = format!(
            "INSERT INTO tidings_outbox (bucket, event_id, topic, stream, epoch, sequence, partition_key, source, event_type, \
             schema_version, occurred_at, recorded_at, correlation_id, data_schema, traceparent, payload) \
             SELECT k.bucket, UUID(), p.topic, CONCAT('Player/', k.partition_key), 0, LPAD({sequence}, 20, '0'), \
             k.partition_key, p.source, p.event_type, p.schema_version, p.occurred_at, p.recorded_at, p.correlation_id, \
             p.data_schema, p.traceparent, p.payload FROM bench_key k CROSS JOIN bench_pattern p"
        );
        ground.execute(database, &insert).await;
    }
}
