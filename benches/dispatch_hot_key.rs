//! `dispatch-hot-key`: 20,000 events with 5 ms of waiting each, one key holding a tenth of them: when the *others* are done, beside
//! the same run without the hot key's events.
//!
//! All events are there when the run begins, so an event's latency is the time from the first handler's start to its own
//! handler's end: waiting behind others and all. The others' events are the same in both runs. The hot key's own are not waited
//! for: one behind the other they take 2,000 × 5 ms whoever handles them.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 20,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;
use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::ScoreChanged;
use support::{Cluster, Measurement, Probe, Quantiles, median, number};
use tidings::dispatcher;
use tidings::schema::Codec;

const WITH: &str = "bench-dispatch-hot-key";
const WITHOUT: &str = "bench-dispatch-no-hot-key";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 2_000;
const HOT: u64 = 1_000_000;
const PAUSE: Duration = Duration::from_millis(5);

struct Others {
    probe: Arc<Probe>,
    ended_after: Arc<Mutex<Histogram<u64>>>,
}

#[dispatcher(source = "bench")]
impl Others {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) {
        let start = self.probe.start();
        tokio::time::sleep(PAUSE).await;
        if event.player.cast_unsigned() != HOT {
            let nanoseconds = u64::try_from(start.elapsed().as_nanos()).expect("a short run");
            self.ended_after.lock().expect("a histogram").record(nanoseconds).expect("a recordable time");
            self.probe.end();
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 20_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 5);
    let cluster = Cluster::from_environment();
    let codec = Codec::default();
    let hot = |index: u64| index.is_multiple_of(10);
    let player = |index| if hot(index) { HOT } else { index % KEYS };
    for topic in [WITH, WITHOUT] {
        cluster.recreate_topic(topic, PARTITIONS).await;
        let indices = (0..records).filter(|index| topic == WITH || !hot(*index));
        cluster.fill(topic, &codec, indices.map(|index| ScoreChanged::of(player(index)))).await;
    }
    let others = records - records.div_ceil(10);
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let without = drain(&cluster, WITHOUT, others).await;
        let with = drain(&cluster, WITH, others).await;
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!("round {round}: with the hot key {with}, without {without}");
            ours.push(with.p99_ms);
            reference.push(without.p99_ms);
        }
    }
    let (ours, reference) = (median(&ours), median(&reference));
    Measurement { name: "dispatch-hot-key", ours, reference, unit: "ms, the others' p99", target: Some(0.9) }
        .report_cost();
    cluster.delete_topics(&[WITH, WITHOUT, DEAD_LETTERS]).await;
}

async fn drain(cluster: &Cluster, topic: &str, others: u64) -> Quantiles {
    let probe = Arc::new(Probe::new(others));
    let ended_after = Arc::new(Mutex::new(Histogram::new(3).expect("a histogram")));
    let dispatcher = Others { probe: Arc::clone(&probe), ended_after: Arc::clone(&ended_after) };
    consume(options(cluster), topic, dispatcher, probe.wait()).await;
    Quantiles::of(&ended_after.lock().expect("a histogram"))
}
