//! `outbox-latency`: from a transaction's commit to a Kafka consumer that sees its event, the relay in a process of its own.
//!
//! Transactions are begun on a steady schedule; the time runs from when the commit was acknowledged to when a bare `rdkafka`
//! consumer has the record. The references are constants, the targets of single events: half of them within 6 ms and 99 of 100 within
//! 15 ms, at 3,000 a second 99 of 100 within 50 ms, if that many are committed. Loads of several events a transaction have none. Writers, relay, consumer, broker and database share the machine.
//!
//! Needs `TIDINGS_TEST_BROKERS` and `TIDINGS_TEST_DATABASE`; `make bench` sets them. `TIDINGS_BENCH_SECONDS` (default 8; a load of 1 a
//! second takes five times as long) and `TIDINGS_BENCH_LOADS` (default `1x1,100x1,1000x1,3000x1,500x10,1000x10`: transactions a second
//! and events in each) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::cast_precision_loss, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rdkafka::Message as _;
use support::outbox::{Ground, event, recorder};
use support::{Cluster, LatencyMeasurement, LatencyTarget, Quantiles, child, number};
use tidings::database::{Database, DatabaseOptions, Error};
use tidings::outbox::{KafkaProducers, Relay, RelayOptions};
use tidings::transport::kafka::KafkaOptions;

const TOPIC: &str = "bench-outbox-latency";
const PLAYERS: u64 = 10_000;
const WRITERS: u32 = 32;
/// What is not measured, at the beginning.
const WARM_UP: u64 = 2;

#[tokio::main(worker_threads = 2)]
async fn main() {
    if child::part().is_some() {
        return relay().await;
    }
    let seconds = number("TIDINGS_BENCH_SECONDS", 8);
    let loads = std::env::var("TIDINGS_BENCH_LOADS");
    let loads = loads.unwrap_or_else(|_| "1x1,100x1,1000x1,3000x1,500x10,1000x10".to_owned());
    let cluster = Cluster::from_environment();
    for load in loads.split(',') {
        let (transactions, events) = load.trim().split_once('x').expect("loads are written 1000x1");
        let transactions = transactions.parse().expect("transactions a second");
        let events = events.parse().expect("events in each transaction");
        measure(&cluster, transactions, events, if transactions == 1 { seconds * 5 } else { seconds }).await;
    }
    cluster.delete_topics(&[TOPIC]).await;
}

/// The child's part.
async fn relay() {
    let database = Database::connect(DatabaseOptions::new(child::told("DATABASE"))).await.expect("a database");
    let producers = KafkaProducers::new(KafkaOptions::new(child::told("BROKERS"))).topic(TOPIC);
    let relay = Relay::new(&database, producers).options(RelayOptions::default().check_durability(false));
    relay.run(std::future::pending()).await.expect("a relay that gets on");
}

/// When each event was committed and seen, in nanoseconds since the beginning; 0 where it was not yet.
struct Moments {
    began: Instant,
    committed: Vec<AtomicU64>,
    seen: Vec<AtomicU64>,
    all_seen: AtomicBool,
}

impl Moments {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).expect("a short run")
    }
}

async fn measure(cluster: &Cluster, per_second: u64, events: u64, seconds: u64) {
    cluster.recreate_topic(TOPIC, 8).await;
    let ground = Ground::new().await;
    let database = ground.database(WRITERS).await.with_publisher(&recorder(cluster, TOPIC).await);
    let words = [("DATABASE", ground.url()), ("BROKERS", cluster.brokers().to_owned())];
    let mut relay = child::start("relay", &words);

    let transactions = per_second * (seconds + WARM_UP);
    let count = usize::try_from(transactions * events).expect("a short run");
    let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
    let moments = Arc::new(Moments {
        began: Instant::now(),
        committed: zeros(),
        seen: zeros(),
        all_seen: AtomicBool::new(false),
    });
    let seeing = {
        let (cluster, moments) = (cluster.clone(), Arc::clone(&moments));
        tokio::task::spawn_blocking(move || see(&cluster, &moments, count))
    };
    // The relay has its buckets, and the consumer its place.
    tokio::time::sleep(Duration::from_secs(3)).await;

    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (database, moments, next) = (database.clone(), Arc::clone(&moments), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= transactions {
                        return;
                    }
                    let due = start + Duration::from_nanos(turn * 1_000_000_000 / per_second);
                    tokio::time::sleep_until(due.into()).await;
                    let committed = database.transaction(async |tx| {
                        for index in turn * events..(turn + 1) * events {
                            tx.publish(&event(index % PLAYERS, index));
                        }
                        Ok::<_, Error>(())
                    });
                    committed.await.expect("a transaction");
                    let now = moments.now();
                    for index in turn * events..(turn + 1) * events {
                        moments.committed[usize::try_from(index).expect("an index")].store(now, Ordering::Release);
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer that gets on");
    }
    let took = start.elapsed();
    seeing.await.expect("a consumer that gets on");
    assert!(moments.all_seen.load(Ordering::Acquire), "events were not seen within a minute");
    relay.kill().await.expect("a relay to end");
    database.close().await;
    ground.clear().await;

    let mut histogram = Histogram::<u64>::new(3).expect("a histogram");
    let warm = usize::try_from(per_second * WARM_UP * events).expect("an index");
    for (committed, seen) in moments.committed.iter().zip(&moments.seen).skip(warm) {
        // The consumer may be faster than the answer to the commit.
        let latency = seen.load(Ordering::Acquire).saturating_sub(committed.load(Ordering::Acquire));
        histogram.record(latency.max(1)).expect("a recordable time");
    }
    let ours = Quantiles::of(&histogram);
    let offered = per_second * events;
    let target = match (events, offered) {
        (1, ..3_000) => Some(LatencyTarget { p50_ms: Some(6.0), p99_ms: 15.0 }),
        (1, 3_000) => Some(LatencyTarget { p50_ms: None, p99_ms: 50.0 }),
        _ => None,
    };
    let p99_ms = if offered >= 3_000 { 50.0 } else { 15.0 };
    LatencyMeasurement {
        name: "outbox-latency",
        offered_per_second: offered,
        committed_per_second: Some((transactions * events) as f64 / took.as_secs_f64()),
        ours,
        reference: Quantiles { p50_ms: 6.0, p99_ms, p999_ms: p99_ms },
        target,
    }
    .report();
}

/// Note when each event is seen.
fn see(cluster: &Cluster, moments: &Moments, count: usize) {
    let schema = support::bare::schema();
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("a reader");
    let consumer = support::bare::consumer(cluster, TOPIC);
    let (mut seen, mut last) = (0, Instant::now());
    while seen < count && last.elapsed() < Duration::from_mins(1) {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let now = moments.now();
        let message = message.expect("a record");
        let payload = message.payload().expect("a payload");
        let event: support::score::ScoreChanged =
            reader.read_deser(&mut &payload[5..]).expect("a payload that decodes");
        let place = &moments.seen[usize::try_from(event.score).expect("an index")];
        // A repeat is not seen anew.
        if place.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            seen += 1;
        }
        last = Instant::now();
    }
    moments.all_seen.store(seen == count, Ordering::Release);
}
