//! `dispatch-noop`: typed, tracked, per-key-ordered dispatch to a handler that does nothing, beside a bare `rdkafka` loop that
//! decodes the same records.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 300,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.

#![allow(missing_docs, clippy::expect_used, clippy::cast_possible_wrap, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::{Deserialize, Serialize};
use support::{Cluster, Measurement, median, number};
use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::schema::Codec;
use tidings::transport::kafka::KafkaOptions;
use tidings::{Event, dispatcher};

const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;

/// About 512 bytes with its key and headers left out.
#[derive(Event, Serialize, Deserialize, Clone)]
#[event(name = "bench.ScoreChanged", version = "1.0.0", schema = "benches/support/ScoreChanged.avsc")]
struct ScoreChanged {
    #[event(key)]
    player: i64,
    score: i64,
    board: String,
    note: String,
}

struct Count(Arc<AtomicU64>);

#[dispatcher(source = "bench-dispatch")]
impl Count {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) {
        self.0.fetch_add(u64::from(event.player >= 0), Ordering::Relaxed);
    }
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let records = number("TIDINGS_BENCH_RECORDS", 300_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 5);
    let cluster = Cluster::from_environment();
    let codec = Codec::default();
    // The source is the topic's name, so the topic is always the same; it is made anew for each run.
    cluster.recreate_topic("bench-dispatch", PARTITIONS).await;
    let sample = ScoreChanged { player: 0, score: 7, board: "weekly".into(), note: "x".repeat(470) };
    cluster
        .fill("bench-dispatch", &codec, records, |index| ScoreChanged {
            player: (index % KEYS) as i64,
            ..sample.clone()
        })
        .await;

    let mut ours = Vec::new();
    let mut reference = Vec::new();
    for round in 0..=rounds {
        let bare = {
            let cluster = cluster.clone();
            tokio::task::spawn_blocking(move || bare_loop(&cluster, records)).await.expect("the bare loop runs")
        };
        let framework = dispatch(&cluster, &codec, records).await;
        // The first round warms the broker's cache.
        if round > 0 {
            reference.push(bare);
            ours.push(framework);
            eprintln!("round {round}: ours {framework:.0}/s, reference {bare:.0}/s, ratio {:.3}", framework / bare);
        }
    }
    Measurement {
        name: "dispatch-noop",
        ours: median(&ours),
        reference: median(&reference),
        unit: "records/s",
        target: Some(0.9),
    }
    .report();
}

/// What a careful user writes by hand: tuned, one thread, decoding with a reader it keeps.
fn bare_loop(cluster: &Cluster, records: u64) -> f64 {
    let schema = apache_avro::Schema::parse_str(ScoreChanged::SCHEMA).expect("the schema parses");
    let reader = apache_avro::reader::datum::GenericDatumReader::builder(&schema).build().expect("a reader");
    let consumer: BaseConsumer = cluster
        .client_config()
        .set("group.id", format!("bare-{}", uuid::Uuid::new_v4()))
        .set("enable.auto.commit", "true")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "10")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()
        .expect("a consumer");
    consumer.subscribe(&["bench-dispatch"]).expect("a subscription");
    let mut start = None;
    let mut seen = 0;
    let mut sum = 0;
    while seen < records {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        start.get_or_insert_with(Instant::now);
        let payload = message.payload().expect("a payload");
        let event: ScoreChanged = reader.read_deser(&mut &payload[5..]).expect("a payload that decodes");
        sum += event.player;
        seen += 1;
    }
    assert!(sum > 0);
    records as f64 / start.expect("a first record").elapsed().as_secs_f64()
}

async fn dispatch(cluster: &Cluster, codec: &Codec, records: u64) -> f64 {
    let handled = Arc::new(AtomicU64::new(0));
    let options =
        ConsumerOptions::new(format!("bench-{}", uuid::Uuid::new_v4())).kafka(KafkaOptions::new(cluster.brokers()));
    let consumer = Consumer::builder(options)
        .codec(codec.clone())
        .dispatch(Count(Arc::clone(&handled)))
        .build()
        .await
        .expect("a consumer");
    let running = consumer.handle();
    let (done, stop) = tokio::sync::oneshot::channel::<()>();
    let task = tokio::spawn(consumer.run_until(async move { drop(stop.await) }));
    let mut start = None;
    let elapsed = loop {
        let count = handled.load(Ordering::Relaxed);
        if count > 0 && start.is_none() {
            start = Some(Instant::now());
        }
        if count >= records {
            break start.expect("a first record").elapsed();
        }
        assert!(!task.is_finished(), "the consumer stopped early: {:?}", running.stats());
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    drop(done);
    task.await.expect("the consumer runs").expect("the consumer stops in order");
    records as f64 / elapsed.as_secs_f64()
}
