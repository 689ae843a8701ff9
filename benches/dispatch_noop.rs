//! `dispatch-noop`: typed, tracked, per-key-ordered dispatch to a handler that does nothing, beside the best of several tuned
//! bare `rdkafka` loops that decode the same records with a reader they keep.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 600,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::future::Future;
use std::sync::Arc;

use support::bare::{self, Take};
use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::{ScoreChanged, in_turn};
use support::{Cluster, Measurement, Probe, median, number, processor_time, spread};
use tidings::dispatcher;
use tidings::schema::Codec;

const TOPIC: &str = "bench-dispatch-noop";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;
/// The first two are what ours is measured by; the last shows what the headers cost that ours reads.
const LOOPS: [Take; 3] = [Take::Poll, Take::Batch, Take::BatchWithHeaders];

struct Nothing(Arc<Probe>);

#[dispatcher(source = "bench")]
impl Nothing {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, _event: ScoreChanged) {
        self.0.start();
        self.0.end();
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 600_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 5);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), in_turn(records, KEYS)).await;

    let mut ours = Runs::default();
    let mut loops = LOOPS.map(|_| Runs::default());
    for round in 0..=rounds {
        let framework = Run::of(records, dispatch(&cluster, records)).await;
        let mut bare = Vec::new();
        for take in LOOPS {
            let cluster = cluster.clone();
            let drain = tokio::task::spawn_blocking(move || bare::drain(&cluster, TOPIC, records, take));
            bare.push(Run::of(records, async { drain.await.expect("the bare loop runs") }).await);
        }
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!(
                "round {round}: ours {framework}; {}",
                LOOPS.iter().zip(&bare).map(|(take, run)| format!("{take:?} {run}")).collect::<Vec<_>>().join("; ")
            );
            ours.push(framework);
            loops.iter_mut().zip(bare).for_each(|(all, run)| all.push(run));
        }
    }
    let (best, reference) = if median(&loops[0].rates) > median(&loops[1].rates) {
        (Take::Poll, &loops[0])
    } else {
        (Take::Batch, &loops[1])
    };
    eprintln!("the best reference is {best:?}: {}/s; ours {}/s", spread(&reference.rates), spread(&ours.rates));
    let name = "dispatch-noop";
    let (rate, reference_rate) = (median(&ours.rates), median(&reference.rates));
    Measurement { name, ours: rate, reference: reference_rate, unit: "records/s", target: Some(0.9) }.report();
    let name = "dispatch-noop, reference reads two headers too";
    let reference_rate = median(&loops[2].rates);
    Measurement { name, ours: rate, reference: reference_rate, unit: "records/s", target: None }.report();
    let name = "dispatch-noop, processor time";
    let (each, reference_each) = (median(&ours.microseconds), median(&reference.microseconds));
    Measurement { name, ours: each, reference: reference_each, unit: "µs/record", target: None }.report_cost();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

/// One drain of the topic.
#[derive(Clone, Copy)]
struct Run {
    rate: f64,
    /// Of the processors, a record, joining the group and all.
    microseconds: f64,
}

#[derive(Default)]
struct Runs {
    rates: Vec<f64>,
    microseconds: Vec<f64>,
}

impl Run {
    async fn of(records: u64, drain: impl Future<Output = f64>) -> Self {
        let before = processor_time();
        let rate = drain.await;
        let used = processor_time().saturating_sub(before);
        Self { rate, microseconds: used.as_secs_f64() * 1e6 / records as f64 }
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:.0}/s {:.2} µs", self.rate, self.microseconds)
    }
}

impl Runs {
    fn push(&mut self, run: Run) {
        self.rates.push(run.rate);
        self.microseconds.push(run.microseconds);
    }
}

async fn dispatch(cluster: &Cluster, records: u64) -> f64 {
    let probe = Arc::new(Probe::new(records));
    consume(options(cluster), TOPIC, Nothing(Arc::clone(&probe)), probe.wait()).await;
    probe.rate()
}
