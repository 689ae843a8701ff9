//! What a key that fails costs the others: how long their events wait with it and without, in rounds that take turns in one process.
//!
//! A machine that is busy adds to both rounds of a pair, now to this one and now to that. What a failing key adds, it adds in every
//! pair: so pairs are counted, and a bound can be far below what the machine does by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tidings::consumer::Consumer;
use tidings::prelude::*;
use tidings::publisher::{Acks, Publisher};
use tokio::sync::Mutex as AsyncMutex;

use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, posted};
use crate::support::wait::until;

const PLAYERS: i64 = 20;
/// Player 0's events fail.
const FAILING: i64 = 0;
/// A score of each player, this often.
const PACE: Duration = Duration::from_millis(20);
const PAIRS: usize = 12;
/// As many slower pairs as noise that favours neither round makes once in a hundred runs or less, and only where it is so large
/// that one round of three is slower by it.
const SLOWER_PAIRS: usize = 9;

/// One of these tests at a time: their rounds would take turns together.
static ALONE: AsyncMutex<()> = AsyncMutex::const_new(());

/// How long each player's events waited, from before they were published until they were handled, in microseconds.
struct Waits(Vec<Histogram<u64>>);

/// What a round is compared by. Its slowest events are what the machine makes of them; these are not.
#[derive(Debug, Clone, Copy)]
struct Measured {
    /// The median of the other key whose median is highest: what a key waits that shares something with the one that fails.
    slowest_key: Duration,
    /// Of all events of the other keys: what they wait now and then.
    p90: Duration,
}

/// What the publishing and the handling side share.
struct Watch {
    ledger: Ledger,
    failing: AtomicBool,
    /// When each event was published, and in which round.
    begun: Mutex<HashMap<(i64, i64), (Instant, usize)>>,
    waits: Mutex<Vec<Waits>>,
    /// For how long a failing attempt keeps what the handlers of all keys wait for, if at all.
    harm: Option<Duration>,
    shared: AsyncMutex<()>,
}

impl Waits {
    fn none() -> Self {
        Self((0..PLAYERS).map(|_| Histogram::new(3).unwrap()).collect())
    }

    fn measured(&self) -> Measured {
        let (mut all, mut slowest_key) = (Histogram::new(3).unwrap(), Duration::ZERO);
        for (player, waits) in (0..).zip(&self.0) {
            if player != FAILING {
                slowest_key = slowest_key.max(quantile(waits, 0.5));
                all.add(waits).unwrap();
            }
        }
        Measured { slowest_key, p90: quantile(&all, 0.9) }
    }
}

struct Watched(Arc<Watch>);

#[dispatcher(source = "scores", retry(max_attempts = 1000000, initial = "2ms", max = "50ms", max_age = "1h"))]
impl Watched {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        let fails = event.player == FAILING && self.0.failing.load(Ordering::Acquire);
        let shared = if self.0.harm.is_some() { Some(self.0.shared.lock().await) } else { None };
        tokio::task::yield_now().await;
        if fails {
            if let Some(harm) = self.0.harm {
                tokio::time::sleep(harm).await;
            }
            return Err("this player's board is broken".into());
        }
        let begun = self.0.begun.lock().remove(&(event.player, event.serial));
        if let Some((begun, round)) = begun {
            let waited = u64::try_from(begun.elapsed().as_micros())?;
            self.0.waits.lock()[round].0[usize::try_from(event.player)?].record(waited)?;
        }
        drop(shared);
        self.0.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

impl Watch {
    fn new(harm: Option<Duration>) -> Self {
        Self {
            ledger: Ledger::default(),
            failing: AtomicBool::new(false),
            begun: Mutex::default(),
            waits: Mutex::default(),
            harm,
            shared: AsyncMutex::default(),
        }
    }

    /// Publish for `time`, from the serial behind `last` on, while the key fails or does not, and wait until all of it is handled; the
    /// last serial.
    async fn round(&self, publisher: &Publisher, time: Duration, fails: bool, mut last: i64) -> i64 {
        let round = {
            let mut waits = self.waits.lock();
            waits.push(Waits::none());
            waits.len() - 1
        };
        self.failing.store(fails, Ordering::Release);
        let (start, mut pace) = (Instant::now(), tokio::time::interval(PACE));
        let mut receipts = Vec::new();
        while start.elapsed() < time {
            pace.tick().await;
            last += 1;
            for player in 0..PLAYERS {
                self.begun.lock().insert((player, last), (Instant::now(), round));
                receipts.push(publisher.enqueue(&ScorePosted::new(player, last), Acks::All).await.unwrap());
            }
        }
        futures_util::future::try_join_all(receipts).await.unwrap();
        self.failing.store(false, Ordering::Release);
        until("all of the round is handled", async || match self.begun.lock().len() {
            0 => Ok(()),
            waiting => Err(waiting),
        })
        .await;
        last
    }
}

fn quantile(waits: &Histogram<u64>, quantile: f64) -> Duration {
    Duration::from_micros(waits.value_at_quantile(quantile))
}

/// In how many of the pairs the other keys' events waited longer, and noticeably so, while the key failed: the slowest key's, and the
/// tenth of all that waited longest.
fn slower(pairs: &[(Measured, Measured)]) -> (usize, usize) {
    let noticeable = Duration::from_millis(5);
    let count = |by: fn(&Measured) -> Duration| {
        pairs.iter().filter(|(without, with)| by(with) > by(without).mul_f64(1.5) + noticeable).count()
    };
    (count(|round| round.slowest_key), count(|round| round.p90))
}

/// How the other keys' events waited in each pair of rounds, without the failing key and with it.
async fn pairs(time: Duration, harm: Option<Duration>) -> Vec<(Measured, Measured)> {
    let _alone = ALONE.lock().await;
    // One partition: all keys share it.
    let scene = Scene::new(1).await;
    let publisher = scene.publisher().await;
    let watch = Arc::new(Watch::new(harm));
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Watched(Arc::clone(&watch)), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    // Joining the group is not what is measured.
    let mut last = watch.round(&publisher, Duration::from_millis(100), false, 0).await;
    for pair in 0..PAIRS {
        // A machine that becomes busier, or less so, favours neither.
        let first_fails = pair % 2 == 1;
        for fails in [first_fails, !first_fails] {
            last = watch.round(&publisher, time, fails, last).await;
        }
    }
    caught_up(&scene, &scene.group("Watched")).await;
    running.stop().await;
    assert_eq!(watch.ledger.audit(&posted(PLAYERS, last)), Audit::default());

    let rounds = watch.waits.lock();
    let pairs = rounds[1..].chunks(2).enumerate().map(|(pair, rounds)| {
        let (without, with) = if pair % 2 == 1 { (&rounds[1], &rounds[0]) } else { (&rounds[0], &rounds[1]) };
        // So that the measure is one: what does wait for the failing event shows as long.
        let held = quantile(&with.0[usize::try_from(FAILING).unwrap()], 0.99);
        assert!(held > time.mul_f64(0.5), "the key that failed waited {held:?} only");
        (without.measured(), with.measured())
    });
    pairs.collect()
}

async fn one_key_fails_in_rounds_of(time: Duration) {
    let pairs = pairs(time, None).await;
    let (slowest_key, all) = slower(&pairs);
    let told = format!(
        "of {PAIRS} pairs of rounds, the other keys' slowest was slower in {slowest_key} while a key failed, and all of them in {all}: \
         {pairs:?}"
    );
    assert!(slowest_key < SLOWER_PAIRS && all < SLOWER_PAIRS, "{told}");
    tell(&told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_delays_no_other_key_by_more_than_the_usual_noise() {
    one_key_fails_in_rounds_of(Duration::from_millis(600)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_key_that_fails_for_a_minute_delays_no_other_key_by_more_than_the_usual_noise() {
    // A minute in all.
    one_key_fails_in_rounds_of(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_failures_do_hold_up_the_others_is_found_out() {
    let pairs = pairs(Duration::from_millis(600), Some(Duration::from_millis(100))).await;
    let (slowest_key, all) = slower(&pairs);
    assert!(slowest_key >= SLOWER_PAIRS && all >= SLOWER_PAIRS, "{slowest_key} and {all} of {PAIRS}: {pairs:?}");
}
