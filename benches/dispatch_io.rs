//! `dispatch-io`: 20,000 events of 2,000 keys, 5 ms of waiting each, 256 at once, beside the same handlers with the same order and
//! bound without Kafka. The time is from the first handler's start to the last one's end.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 20,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 7) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::by_hand::handle_all;
use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::in_turn;
use support::waiting::{Waiting, wait};
use support::{Cluster, Measurement, Probe, median, number, spread};
use tidings::schema::Codec;

const TOPIC: &str = "bench-dispatch-io";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 2_000;
const PAUSE: Duration = Duration::from_millis(5);
const IN_FLIGHT: usize = 256;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 20_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 7);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), in_turn(records, KEYS)).await;

    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let by_hand = without_kafka(records).await;
        let framework = with_kafka(&cluster, records).await;
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!("round {round}: ours {framework:.3} s, by hand {by_hand:.3} s");
            ours.push(framework);
            reference.push(by_hand);
        }
    }
    eprintln!("ours {} s, by hand {} s", spread(&ours), spread(&reference));
    let (ours, reference) = (median(&ours), median(&reference));
    Measurement { name: "dispatch-io", ours, reference, unit: "s", target: Some(0.9) }.report_cost();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn with_kafka(cluster: &Cluster, records: u64) -> f64 {
    let probe = Arc::new(Probe::new(records));
    let dispatcher = Waiting { probe: Arc::clone(&probe), pause: PAUSE };
    consume(options(cluster).max_in_flight(IN_FLIGHT), TOPIC, dispatcher, probe.wait()).await;
    probe.elapsed().as_secs_f64()
}

async fn without_kafka(records: u64) -> f64 {
    let probe = Arc::new(Probe::new(records));
    let events = in_turn(records, KEYS).collect();
    let of_handler = Arc::clone(&probe);
    handle_all(events, IN_FLIGHT, move |_event| wait(Arc::clone(&of_handler), PAUSE)).await;
    probe.elapsed().as_secs_f64()
}
