//! `dispatch-noop`: typed, tracked, per-key-ordered dispatch to a handler that does nothing, beside the best of several tuned
//! bare `rdkafka` loops that decode the same records with a reader they keep.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 600,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;

use support::bare::{self, Take};
use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::{ScoreChanged, in_turn};
use support::{Cluster, Measurement, Probe, median, number, spread};
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

    let mut ours = Vec::new();
    let mut loops = LOOPS.map(|_| Vec::new());
    for round in 0..=rounds {
        let framework = dispatch(&cluster, records).await;
        let bare = {
            let cluster = cluster.clone();
            tokio::task::spawn_blocking(move || LOOPS.map(|take| bare::rate(&cluster, TOPIC, records, take)))
        };
        let bare = bare.await.expect("the bare loops run");
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!("round {round}: ours {framework:.0}/s, {LOOPS:?} {bare:.0?}/s");
            ours.push(framework);
            loops.iter_mut().zip(bare).for_each(|(all, rate)| all.push(rate));
        }
    }
    let (best, reference) =
        if median(&loops[0]) > median(&loops[1]) { (Take::Poll, &loops[0]) } else { (Take::Batch, &loops[1]) };
    eprintln!("the best reference is {best:?}: {}/s; ours {}/s", spread(reference), spread(&ours));
    let (ours, reference) = (median(&ours), median(reference));
    Measurement { name: "dispatch-noop", ours, reference, unit: "records/s", target: Some(0.9) }.report();
    let reference = median(&loops[2]);
    let name = "dispatch-noop, reference reads two headers too";
    Measurement { name, ours, reference, unit: "records/s", target: None }.report();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn dispatch(cluster: &Cluster, records: u64) -> f64 {
    let probe = Arc::new(Probe::new(records));
    consume(options(cluster), TOPIC, Nothing(Arc::clone(&probe)), probe.wait()).await;
    probe.rate()
}
