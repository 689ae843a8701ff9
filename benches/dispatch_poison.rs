//! `dispatch-poison`: the events of 1 % of the keys fail for good; how fast the others are handled, beside the same run in which
//! none fails. Handlers do nothing else, so a failure's own cost shows as much as it can.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 600,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 6) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;

use support::consuming::{DEAD_LETTERS, consume, options};
use support::score::{ScoreChanged, in_turn};
use support::{Cluster, Measurement, Probe, median, number, spread};
use tidings::schema::Codec;
use tidings::{HandlerError, dispatcher};

const TOPIC: &str = "bench-dispatch-poison";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;

struct Sick {
    others: Arc<Probe>,
    fails: bool,
}

#[dispatcher(source = "bench")]
impl Sick {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) -> tidings::Result {
        self.others.start();
        if event.player % 100 != 0 {
            self.others.end();
        } else if self.fails {
            return Err(HandlerError::from("this player cannot be handled").terminal());
        }
        Ok(())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 600_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 6);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.recreate_topic(DEAD_LETTERS, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), in_turn(records, KEYS)).await;
    let poisoned = in_turn(records, KEYS).filter(|event| event.player % 100 == 0).count() as u64;

    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        // In turns, so that neither always comes first.
        let (healthy, sick) = if round % 2 == 0 {
            let healthy = dispatch(&cluster, records - poisoned, false).await;
            (healthy, dispatch(&cluster, records - poisoned, true).await)
        } else {
            let sick = dispatch(&cluster, records - poisoned, true).await;
            (dispatch(&cluster, records - poisoned, false).await, sick)
        };
        // The first round warms the broker's cache.
        if round > 0 {
            eprintln!("round {round}: with {poisoned} poisoned events {sick:.0}/s, without {healthy:.0}/s");
            ours.push(sick);
            reference.push(healthy);
        }
    }
    eprintln!("with poison {}/s, without {}/s", spread(&ours), spread(&reference));
    let (ours, reference) = (median(&ours), median(&reference));
    let name = "dispatch-poison";
    Measurement { name, ours, reference, unit: "other records/s", target: Some(0.9) }.report();
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn dispatch(cluster: &Cluster, others: u64, fails: bool) -> f64 {
    let probe = Arc::new(Probe::new(others));
    let dispatcher = Sick { others: Arc::clone(&probe), fails };
    consume(options(cluster), TOPIC, dispatcher, probe.wait()).await;
    probe.rate()
}
