//! `dispatch-poison`: the events of 1 % of the keys fail for good and their keys are parked; how fast the others are handled, beside
//! the same run in which none fails. Handlers do nothing else, so a failure's own cost shows as much as it can.
//!
//! Parked events are kept in memory, so the figure is the engine's: a durable store adds its writes.
//! `dispatch-poison, dead letters`: the events go to the dead-letter topic instead, and their keys go on.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 600,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::sync::Arc;

use support::consuming::{DEAD_LETTERS, consume_with, options};
use support::score::{ScoreChanged, in_turn};
use support::{Cluster, Measurement, Probe, median, number, spread};
use tidings::consumer::Consumer;
use tidings::consumer::parked::MemoryParkedStore;
use tidings::dispatch::OnExhausted;
use tidings::schema::Codec;
use tidings::{HandlerError, dispatcher};

const TOPIC: &str = "bench-dispatch-poison";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;

/// What becomes of the events of one key in a hundred.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Poison {
    None,
    Parked,
    DeadLettered,
}

const POISONS: [Poison; 3] = [Poison::None, Poison::Parked, Poison::DeadLettered];

struct Sick {
    others: Arc<Probe>,
    poison: Poison,
}

#[dispatcher(source = "bench")]
impl Sick {
    #[on("bench.ScoreChanged", version = "^1")]
    async fn on_score_changed(&self, event: ScoreChanged) -> tidings::Result {
        self.others.start();
        if event.player % 100 != 0 {
            self.others.end();
        } else if self.poison != Poison::None {
            return Err(HandlerError::from("this player cannot be handled").terminal());
        }
        Ok(())
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let records = number("TIDINGS_BENCH_RECORDS", 600_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 5);
    let cluster = Cluster::from_environment();
    cluster.recreate_topic(TOPIC, PARTITIONS).await;
    cluster.recreate_topic(DEAD_LETTERS, PARTITIONS).await;
    cluster.fill(TOPIC, &Codec::default(), in_turn(records, KEYS)).await;
    let poisoned = in_turn(records, KEYS).filter(|event| event.player % 100 == 0).count() as u64;

    let mut rates = POISONS.map(|_| Vec::new());
    for round in 0..=rounds {
        // In turns, so that none always comes first.
        for turn in 0..POISONS.len() as u64 {
            let which = usize::try_from((round + turn) % POISONS.len() as u64).expect("a small number");
            let rate = dispatch(&cluster, records - poisoned, POISONS[which]).await;
            // The first round warms the broker's cache.
            if round > 0 {
                eprintln!("round {round}: {:?} {rate:.0}/s", POISONS[which]);
                rates[which].push(rate);
            }
        }
    }
    let [none, parked, dead_lettered] = &rates;
    eprintln!("none {}/s, parked {}/s, dead-lettered {}/s", spread(none), spread(parked), spread(dead_lettered));
    let reference = median(none);
    for (name, rates) in [("dispatch-poison", parked), ("dispatch-poison, dead letters", dead_lettered)] {
        let ours = median(rates);
        Measurement { name, ours, reference, unit: "other records/s", target: Some(0.9) }.report();
    }
    cluster.delete_topics(&[TOPIC, DEAD_LETTERS]).await;
}

async fn dispatch(cluster: &Cluster, others: u64, poison: Poison) -> f64 {
    let probe = Arc::new(Probe::new(others));
    let dispatcher = Sick { others: Arc::clone(&probe), poison };
    let options = match poison {
        Poison::Parked => options(cluster).on_exhausted(OnExhausted::ParkKey),
        _ => options(cluster).on_exhausted(OnExhausted::DeadLetter),
    };
    let builder = Consumer::builder(options).parked_store(Arc::new(MemoryParkedStore::default()));
    let stats = consume_with(builder, TOPIC, dispatcher, probe.wait()).await;
    // A run in which nothing fails that should would look fast.
    let given_up = (stats.parked > 0, stats.dead_lettered > 0);
    assert_eq!(given_up, (poison == Poison::Parked, poison == Poison::DeadLettered), "{poison:?}: {stats:?}");
    probe.rate()
}
