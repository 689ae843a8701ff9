//! What a key that fails costs the others: how long their events wait with it and without, in rounds of one process.
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

    fn of_failing(&self, share: f64) -> Duration {
        quantile(&self.0[usize::try_from(FAILING).unwrap()], share)
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

    /// Publish for `time`, from the serial behind `last` on, as a round of its own; the last serial.
    async fn publish(&self, publisher: &Publisher, time: Duration, mut last: i64) -> i64 {
        let round = {
            let mut waits = self.waits.lock();
            waits.push(Waits::none());
            waits.len() - 1
        };
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
        last
    }

    fn fail(&self, fails: bool) {
        self.failing.store(fails, Ordering::Release);
    }

    /// How many events wait: of the key that may fail, and of the others.
    fn waiting(&self) -> (usize, usize) {
        let begun = self.begun.lock();
        let failing = begun.keys().filter(|(player, _)| *player == FAILING).count();
        (failing, begun.len() - failing)
    }

    /// Wait until all is handled but what fails.
    async fn settled(&self) {
        until("all is handled but what fails", async || match self.waiting() {
            (failing, 0) if failing == 0 || self.failing.load(Ordering::Acquire) => Ok(()),
            waiting => Err(waiting),
        })
        .await;
    }

    /// Publish for `time` while the key fails or does not, and wait until all of it is handled; the last serial.
    async fn round(&self, publisher: &Publisher, time: Duration, fails: bool, last: i64) -> i64 {
        self.fail(fails);
        let last = self.publish(publisher, time, last).await;
        self.fail(false);
        self.settled().await;
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

/// Publishes and handles in rounds; all keys share one partition. How each round's events waited, from the first one on that is
/// measured.
async fn rounds(harm: Option<Duration>, run: impl AsyncFnOnce(&Watch, &Publisher, i64) -> i64) -> Vec<Waits> {
    let _alone = ALONE.lock().await;
    let scene = Scene::new(1).await;
    let publisher = scene.publisher().await;
    let watch = Arc::new(Watch::new(harm));
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Watched(Arc::clone(&watch)), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    // Joining the group is not what is measured.
    let last = watch.round(&publisher, Duration::from_millis(100), false, 0).await;
    let last = run(&watch, &publisher, last).await;
    caught_up(&scene, &scene.group("Watched")).await;
    running.stop().await;
    assert_eq!(watch.ledger.audit(&posted(PLAYERS, last)), Audit::default());
    watch.waits.lock().split_off(1)
}

/// How the other keys' events waited in each pair of rounds, without the failing key and with it.
async fn pairs(time: Duration, harm: Option<Duration>) -> Vec<(Measured, Measured)> {
    let rounds = rounds(harm, async |watch, publisher, mut last| {
        for pair in 0..PAIRS {
            // A machine that becomes busier, or less so, favours neither.
            let first_fails = pair % 2 == 1;
            for fails in [first_fails, !first_fails] {
                last = watch.round(publisher, time, fails, last).await;
            }
        }
        last
    })
    .await;
    let pairs = rounds.chunks(2).enumerate().map(|(pair, rounds)| {
        let (without, with) = if pair % 2 == 1 { (&rounds[1], &rounds[0]) } else { (&rounds[0], &rounds[1]) };
        // So that the measure is one: what does wait for the failing event shows as long.
        let held = with.of_failing(0.99);
        assert!(held > time.mul_f64(0.5), "the key that failed waited {held:?} only");
        (without.measured(), with.measured())
    });
    pairs.collect()
}

/// The same where the key fails without a break for as many rounds as there are pairs, and its events pile up: half of them are
/// compared with rounds before, half with rounds after.
async fn pairs_of_one_long_failure(time: Duration) -> Vec<(Measured, Measured)> {
    let rounds = rounds(None, async |watch, publisher, mut last| {
        for _ in 0..PAIRS / 2 {
            last = watch.round(publisher, time, false, last).await;
        }
        let before = last;
        watch.fail(true);
        for _ in 0..PAIRS {
            last = watch.publish(publisher, time, last).await;
            watch.settled().await;
            // None of them was handled in between: all that were published wait.
            assert_eq!(watch.waiting(), (usize::try_from(last - before).unwrap(), 0));
        }
        watch.fail(false);
        watch.settled().await;
        for _ in 0..PAIRS / 2 {
            last = watch.round(publisher, time, false, last).await;
        }
        last
    })
    .await;
    let (before, rest) = rounds.split_at(PAIRS / 2);
    let (during, after) = rest.split_at(PAIRS);
    let (all, held) = (time * u32::try_from(PAIRS - 1).unwrap(), during[0].of_failing(0.0));
    // A histogram is exact to a thousandth.
    assert!(held > all.mul_f64(0.99), "the first events of the key that failed waited {held:?}, not {all:?}");
    before.iter().chain(after).zip(during).map(|(without, with)| (without.measured(), with.measured())).collect()
}

fn assert_no_slower(pairs: &[(Measured, Measured)]) {
    let (slowest_key, all) = slower(pairs);
    let told = format!(
        "of {PAIRS} pairs of rounds, the other keys' slowest was slower in {slowest_key} while a key failed, and all of them in {all}: \
         {pairs:?}"
    );
    assert!(slowest_key < SLOWER_PAIRS && all < SLOWER_PAIRS, "{told}");
    tell(&told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_delays_no_other_key_by_more_than_the_usual_noise() {
    assert_no_slower(&pairs(Duration::from_millis(600), None).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_key_that_fails_for_a_minute_delays_no_other_key_by_more_than_the_usual_noise() {
    // A minute without a break, and half of one before and after.
    assert_no_slower(&pairs_of_one_long_failure(Duration::from_secs(5)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_failures_do_hold_up_the_others_is_found_out() {
    let pairs = pairs(Duration::from_millis(600), Some(Duration::from_millis(100))).await;
    let (slowest_key, all) = slower(&pairs);
    assert!(slowest_key >= SLOWER_PAIRS && all >= SLOWER_PAIRS, "{slowest_key} and {all} of {PAIRS}: {pairs:?}");
}
