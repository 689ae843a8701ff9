//! `dispatch-zipf`: keys as a Zipf distribution has them (s = 1, 10,000 keys: a tenth of the events are the first key's), beside
//! the same handlers with the same keys, order and bound without Kafka.
//!
//! `dispatch-zipf`: handlers of 1 ms. The first key's events follow each other, so what counts is how soon the next one starts.
//! `dispatch-zipf, handlers that only yield`: what a task a handler costs, Kafka's own cost included; no target.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 20,000; ten times as many for handlers
//! that only yield) and `TIDINGS_BENCH_ROUNDS` (default 3) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand_distr::{Distribution as _, Zipf};
use support::by_hand::handle_all;
use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::ScoreChanged;
use support::waiting::{Waiting, wait};
use support::{Cluster, Measurement, Probe, median, number, spread};
use tidings::schema::Codec;

const TOPIC: &str = "bench-dispatch-zipf";
const PARTITIONS: i32 = 8;
const KEYS: f64 = 10_000.0;
const EXPONENT: f64 = 1.0;
const IN_FLIGHT: usize = 256;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 20_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 3);
    let cluster = Cluster::from_environment();
    measure(&cluster, "dispatch-zipf", Duration::from_millis(1), records, rounds, Some(0.9)).await;
    let name = "dispatch-zipf, handlers that only yield";
    measure(&cluster, name, Duration::ZERO, records * 10, rounds, None).await;
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn measure(
    cluster: &Cluster,
    name: &'static str,
    pause: Duration,
    records: u64,
    rounds: u64,
    target: Option<f64>,
) {
    let players = players(records);
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), players.iter().map(|player| ScoreChanged::of(*player))).await;
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let by_hand = without_kafka(&players, pause).await;
        let framework = with_kafka(cluster, records, pause).await;
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!("{name} {round}: ours {framework:.3} s, by hand {by_hand:.3} s");
            ours.push(framework);
            reference.push(by_hand);
        }
    }
    eprintln!("{name}: ours {} s, by hand {} s", spread(&ours), spread(&reference));
    let (ours, reference) = (median(&ours), median(&reference));
    Measurement { name, ours, reference, unit: "s", target }.report_cost();
}

/// The same ones in every run.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ranks are whole numbers from 1 to KEYS")]
fn players(count: u64) -> Vec<u64> {
    let zipf = Zipf::new(KEYS, EXPONENT).expect("a distribution");
    let mut random = StdRng::seed_from_u64(1);
    (0..count).map(|_| zipf.sample(&mut random) as u64).collect()
}

async fn with_kafka(cluster: &Cluster, records: u64, pause: Duration) -> f64 {
    let probe = Arc::new(Probe::new(records));
    let dispatcher = Waiting { probe: Arc::clone(&probe), pause };
    consume(options(cluster).max_in_flight(IN_FLIGHT), TOPIC, dispatcher, probe.wait()).await;
    probe.elapsed().as_secs_f64()
}

async fn without_kafka(players: &[u64], pause: Duration) -> f64 {
    let probe = Arc::new(Probe::new(players.len() as u64));
    let events = players.iter().map(|player| ScoreChanged::of(*player)).collect();
    let of_handler = Arc::clone(&probe);
    handle_all(events, IN_FLIGHT, move |_event| wait(Arc::clone(&of_handler), pause)).await;
    probe.elapsed().as_secs_f64()
}
