//! `dispatch-lag-memory`: the memory of a consumer that works off a lag of 3,000,000 records with handlers that take a
//! millisecond, beside its budget (`max_buffered_bytes`, the default of 64 MiB).
//!
//! The consumer is a process of its own, so that neither filling the topic nor anything else is in the figures.
//! `dispatch-lag-memory`: the highest resident memory, less what the process had before it began to consume. The client's own
//! queues of fetched records are in it, and may hold the budget once more.
//! `dispatch-lag-memory, records held`: the most bytes of records the engine held at once. It must keep to the budget, but for the
//! batch that reached it.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 3,000,000) sizes the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, clippy::print_stdout, reason = "a benchmark")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use support::consuming::{DEAD_LETTERS, options};
use support::score::in_turn;
use support::waiting::Waiting;
use support::{Cluster, Measurement, Probe, child, number};
use tidings::consumer::Consumer;
use tidings::schema::Codec;

const TOPIC: &str = "bench-dispatch-lag-memory";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;
const PAUSE: Duration = Duration::from_millis(1);
const MIB: usize = 1024 * 1024;
const BUDGET: usize = 64 * MIB;
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// What the consumer's process tells at its end.
#[derive(Serialize, Deserialize, Debug)]
struct Report {
    idle_kib: u64,
    /// The highest there ever was.
    peak_kib: u64,
    /// When half of the lag was worked off.
    half_way_kib: u64,
    end_kib: u64,
    most_held_bytes: u64,
    seconds: f64,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 3_000_000);
    let cluster = Cluster::from_environment();
    if child::part().is_some() {
        let report = work_off(&cluster, records).await;
        println!("{}", serde_json::to_string(&report).expect("a report"));
        return;
    }
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), in_turn(records, KEYS)).await;
    let consumer = child::start("consumer", &[]);
    let output = consumer.wait_with_output().await.expect("the consumer's process ends");
    assert!(output.status.success(), "the consumer's process ended with {}", output.status);
    let report: Report = serde_json::from_slice(&output.stdout).expect("a report");
    eprintln!("{records} records in {:.1} s: {report:?}", report.seconds);

    let mib_of_kib = |kib: u64| kib as f64 / 1024.0;
    let budget = BUDGET as f64 / MIB as f64;
    let grown = mib_of_kib(report.peak_kib - report.idle_kib);
    let name = "dispatch-lag-memory";
    Measurement { name, ours: grown, reference: budget, unit: "MiB", target: None }.report_cost();
    let held = report.most_held_bytes as f64 / MIB as f64;
    let name = "dispatch-lag-memory, records held";
    // A batch of 128 records is taken whole.
    Measurement { name, ours: held, reference: budget, unit: "MiB", target: Some(0.99) }.report_cost();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn work_off(cluster: &Cluster, records: u64) -> Report {
    let probe = Arc::new(Probe::new(records));
    let dispatcher = Waiting { probe: Arc::clone(&probe), pause: PAUSE };
    let idle_kib = memory_kib("VmRSS");
    let consumer = Consumer::builder(options(cluster).max_buffered_bytes(BUDGET))
        .dispatch_with(dispatcher, |settings| settings.source(TOPIC))
        .build()
        .await
        .expect("a consumer");
    let handle = consumer.handle();
    let (mut most_held_bytes, mut half_way_kib) = (0, 0);
    let sampled = async {
        let mut wait = std::pin::pin!(probe.wait());
        while tokio::time::timeout(SAMPLE_EVERY, &mut wait).await.is_err() {
            most_held_bytes = most_held_bytes.max(handle.stats().buffered_bytes);
            if half_way_kib == 0 && probe.ended() > records / 2 {
                half_way_kib = memory_kib("VmRSS");
            }
        }
    };
    consumer.run_until(sampled).await.expect("the consumer stops in order");
    let seconds = probe.elapsed().as_secs_f64();
    let (peak_kib, end_kib) = (memory_kib("VmHWM"), memory_kib("VmRSS"));
    Report { idle_kib, peak_kib, half_way_kib, end_kib, most_held_bytes, seconds }
}

/// What the system says about this process.
fn memory_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system that tells about processes");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    let figure = line.trim_start_matches(':').split_whitespace().next().expect("a figure");
    figure.parse().expect("a whole number")
}
