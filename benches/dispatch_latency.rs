//! `dispatch-latency`: events offered on a steady schedule, and how long after its scheduled time each one's handler starts; beside
//! a bare `rdkafka` consumer that decodes the same events at the same load.
//!
//! The time is taken from when an event *was to be* sent: one that is sent late, because everything stood still, counts from its
//! place in the schedule. Producer, broker and consumer share the machine.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_SECONDS` (default 8), `TIDINGS_BENCH_ROUNDS` (default 3)
//! and `TIDINGS_BENCH_RATES` (default `1000,10000,50000`) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use apache_avro::reader::datum::GenericDatumReader;
use hdrhistogram::Histogram;
use rdkafka::Message as _;
use support::consuming::{DEAD_LETTERS, consume, options};
use support::offering::Offering;
use support::score::ScoreChanged;
use support::{Cluster, LatencyMeasurement, Probe, Quantiles, bare, number};
use tidings::dispatcher;

const TOPIC: &str = "bench-dispatch-latency";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;

/// What is known of a run.
#[derive(Clone)]
struct Watch {
    epoch: Instant,
    warm: Arc<AtomicBool>,
    probe: Arc<Probe>,
    latencies: Arc<Mutex<Histogram<u64>>>,
}

impl Watch {
    fn new(events: u64) -> Self {
        Self {
            epoch: Instant::now(),
            warm: Arc::default(),
            probe: Arc::new(Probe::new(events)),
            latencies: Arc::new(Mutex::new(Histogram::new(3).expect("a histogram"))),
        }
    }

    /// A handler has started.
    fn see(&self, event: &ScoreChanged) {
        if event.score == 0 {
            return self.warm.store(true, Ordering::Release);
        }
        self.probe.start();
        let now = self.epoch.elapsed().as_nanos();
        let latency = now.saturating_sub(u128::from(event.score.cast_unsigned()));
        let latency = u64::try_from(latency).expect("a short run");
        self.latencies.lock().expect("a histogram").record(latency).expect("a recordable time");
        self.probe.end();
    }
}

struct Watched(Watch);

#[dispatcher(source = "bench")]
impl Watched {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) {
        self.0.see(&event);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Bare,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let seconds = number("TIDINGS_BENCH_SECONDS", 8);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 3);
    let rates = std::env::var("TIDINGS_BENCH_RATES").unwrap_or_else(|_| "1000,10000,50000".to_owned());
    let cluster = Cluster::from_environment();
    for rate in rates.split(',') {
        let per_second = rate.trim().parse().expect("TIDINGS_BENCH_RATES holds whole numbers with commas between");
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for round in 1..=rounds {
            let bare = offered(&cluster, Who::Bare, per_second, seconds).await;
            let framework = offered(&cluster, Who::Ours, per_second, seconds).await;
            eprintln!("{per_second}/s, round {round}: ours {framework}, bare {bare}");
            ours.push(framework);
            reference.push(bare);
        }
        LatencyMeasurement {
            name: "dispatch-latency",
            offered_per_second: per_second,
            committed_per_second: None,
            target: None,
            ours: Quantiles::median(&ours),
            reference: Quantiles::median(&reference),
        }
        .report();
    }
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn offered(cluster: &Cluster, who: Who, per_second: u64, seconds: u64) -> Quantiles {
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    let count = per_second * seconds;
    let watch = Watch::new(count);
    let offering = Offering::new(cluster, TOPIC, watch.epoch).await;
    let warm = Arc::clone(&watch.warm);
    let offered = tokio::task::spawn_blocking(move || {
        while !warm.load(Ordering::Acquire) {
            offering.warm_up();
            std::thread::sleep(Duration::from_millis(20));
        }
        offering.run(per_second, count, KEYS);
    });
    match who {
        Who::Ours => {
            let probe = Arc::clone(&watch.probe);
            consume(options(cluster), TOPIC, Watched(watch.clone()), async move { probe.wait().await }).await;
        }
        Who::Bare => {
            let (cluster, watch) = (cluster.clone(), watch.clone());
            let consumed = tokio::task::spawn_blocking(move || consume_bare(&cluster, &watch, count));
            consumed.await.expect("the bare consumer runs");
        }
    }
    offered.await.expect("the schedule is kept to");
    Quantiles::of(&watch.latencies.lock().expect("a histogram"))
}

fn consume_bare(cluster: &Cluster, watch: &Watch, count: u64) {
    let schema = bare::schema();
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let consumer = bare::consumer(cluster, TOPIC);
    while watch.probe.ended() < count {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        let payload = message.payload().expect("a payload");
        watch.see(&reader.read_deser(&mut &payload[5..]).expect("a payload that decodes"));
    }
}
