//! What a key that fails costs the others: how long their events wait, with and without it, in one run.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tidings::consumer::Consumer;
use tidings::prelude::*;
use tidings::publisher::{Acks, Publisher};

use crate::support::chance::tell;
use crate::support::groups::caught_up;
use crate::support::ledger::{Audit, Ledger};
use crate::support::running::Running;
use crate::support::scene::{Scene, codec};
use crate::support::scores::{ScorePosted, posted};

const PLAYERS: i64 = 20;
/// Player 0's events fail.
const FAILING: i64 = 0;
/// A score of each player, this often.
const PACE: Duration = Duration::from_millis(20);
/// What a machine may add by itself that does nothing else meanwhile.
const USUAL: Duration = Duration::from_millis(500);

/// How long events waited, from before they were published until they were handled, in microseconds.
struct Waits {
    others: Histogram<u64>,
    failing: Histogram<u64>,
}

/// What the publishing and the handling side share.
struct Watch {
    ledger: Ledger,
    failing: AtomicBool,
    begun: Mutex<HashMap<(i64, i64), Instant>>,
    waits: Mutex<Waits>,
}

impl Waits {
    fn none() -> Self {
        let empty = || Histogram::new(3).unwrap();
        Self { others: empty(), failing: empty() }
    }
}

struct Watched(Arc<Watch>);

#[dispatcher(source = "scores", retry(max_attempts = 1000000, initial = "2ms", max = "50ms", max_age = "1h"))]
impl Watched {
    #[on("scores.ScorePosted")]
    async fn on_posted(&self, event: ScorePosted) -> Result<()> {
        tokio::task::yield_now().await;
        if event.player == FAILING && self.0.failing.load(Ordering::Acquire) {
            return Err("this player's board is broken".into());
        }
        let begun = self.0.begun.lock().remove(&(event.player, event.serial));
        if let Some(begun) = begun {
            let mut waits = self.0.waits.lock();
            let waits = if event.player == FAILING { &mut waits.failing } else { &mut waits.others };
            waits.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
        self.0.ledger.note(event.player.to_string(), event.serial);
        Ok(())
    }
}

impl Watch {
    /// Publish for `time`, from the serial behind `last` on; the last serial, and how long events waited that ended meanwhile.
    async fn load(&self, publisher: &Publisher, time: Duration, mut last: i64) -> (i64, Waits) {
        *self.waits.lock() = Waits::none();
        let (start, mut pace) = (Instant::now(), tokio::time::interval(PACE));
        let mut receipts = Vec::new();
        while start.elapsed() < time {
            pace.tick().await;
            last += 1;
            for player in 0..PLAYERS {
                self.begun.lock().insert((player, last), Instant::now());
                receipts.push(publisher.enqueue(&ScorePosted::new(player, last), Acks::All).await.unwrap());
            }
        }
        futures_util::future::try_join_all(receipts).await.unwrap();
        (last, std::mem::replace(&mut *self.waits.lock(), Waits::none()))
    }
}

fn p99(waits: &Histogram<u64>) -> Duration {
    Duration::from_micros(waits.value_at_quantile(0.99))
}

async fn one_key_fails_for(time: Duration, usual: Duration) -> String {
    // One partition: all keys share it.
    let scene = Scene::new(1).await;
    let publisher = scene.publisher().await;
    let watch = Arc::new(Watch {
        ledger: Ledger::default(),
        failing: AtomicBool::new(false),
        begun: Mutex::default(),
        waits: Mutex::new(Waits::none()),
    });
    let consumer = Consumer::builder(scene.consumer())
        .codec(codec())
        .dispatch_with(Watched(Arc::clone(&watch)), |settings| settings.source(scene.topic()));
    let running = Running::start(consumer.build().await.unwrap());
    // Joining the group is not what is measured.
    let (last, _) = watch.load(&publisher, Duration::from_millis(100), 0).await;
    caught_up(&scene, &scene.group("Watched")).await;

    let (last, without) = watch.load(&publisher, time, last).await;
    watch.failing.store(true, Ordering::Release);
    let (last, mut with) = watch.load(&publisher, time, last).await;
    watch.failing.store(false, Ordering::Release);
    caught_up(&scene, &scene.group("Watched")).await;
    running.stop().await;
    let held = p99(&watch.waits.lock().failing);
    // Those that were held until the end count, too.
    with.others.add(&watch.waits.lock().others).unwrap();

    let (without, with, handled) = (p99(&without.others), p99(&with.others), with.others.len());
    let told =
        format!("p99 of the other keys: {without:?} before, {with:?} while one key failed; of that key: {held:?}");
    assert!(handled > 0, "nothing of the other keys was handled: {told}");
    assert!(with < without * 3 + usual, "{told}");
    // So that the measure is one: what does wait for the failing event shows as long.
    assert!(held > time.mul_f64(0.5), "{told}");
    assert_eq!(watch.ledger.audit(&posted(PLAYERS, last)), Audit::default());
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_fails_delays_no_other_key_by_more_than_the_usual_noise() {
    // Other tests run meanwhile, on a machine that may be slow: far below what one would wait that does wait for the failing key.
    let time = Duration::from_secs(6);
    tell(&one_key_fails_for(time, time / 3).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: make soak runs it"]
async fn a_key_that_fails_for_a_minute_delays_no_other_key_by_more_than_the_usual_noise() {
    tell(&one_key_fails_for(Duration::from_secs(60), USUAL).await);
}
