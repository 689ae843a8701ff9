//! Redrives that are killed, stopped, or overtaken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tidings::dead_letters::{DeadLetterError, RedriveOptions, Selection};
use tidings::transport::kafka::TransactionError;

use super::letters::{all_written, dead_letters, everything, letter_topic, numbered, numbers, stranger, write};
use crate::command::tidings;
use crate::setting;
use crate::support::scene::Scene;
use crate::support::wait::until;

const KEYS: u32 = 10;
const LETTERS: u32 = 10_000;
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_killed_again_and_again_redrives_every_letter_once_and_in_order() {
    let scene = Scene::new(3).await;
    let topic = letter_topic(&scene, 2).await;
    write(numbered(&topic, &scene.topic(), KEYS, LETTERS)).await;
    let redrive = || {
        tidings(["dead-letters", "redrive", "--topic", &topic, "--execute", "-o", "json"])
            .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
    };
    let watch = Watch::begin(&scene.topic(), 3);
    for kill in 0..KILLS {
        // In the middle of the first transaction, of the second, and so on.
        let wanted = watch.seen() + 250 + 500 * (kill % 3);
        let running = redrive().start();
        until("it goes on", async || if watch.seen() > wanted { Ok(()) } else { Err(watch.seen()) }).await;
        // Dropping it is SIGKILL.
        drop(running);
    }
    let finished = redrive().run().succeeded();
    let outcome: serde_json::Value = serde_json::from_str(&finished.stdout).unwrap();
    let count = |name: &str| outcome[name].as_u64().unwrap();
    assert!(count("redriven") > 0 && count("already_redriven") > 0, "{outcome}");
    assert_eq!(count("redriven") + count("already_redriven"), u64::from(LETTERS));

    let numbers = numbers(&everything(&scene.topic(), 3).await);
    assert_eq!(numbers.len(), KEYS as usize);
    for (key, numbers) in numbers {
        assert_eq!(numbers, (0..LETTERS / KEYS).collect::<Vec<_>>(), "{key}: each once, in order");
    }
    // What shows that kills fell into transactions: records of theirs that were undone.
    let written = all_written(&scene.topic(), 3).await.len();
    println!("{} records were undone by {KILLS} kills", written - LETTERS as usize);
    assert!(written > LETTERS as usize, "no kill fell into a transaction: {written} records were written");
}

/// Counts what is written to a topic, as it comes, in transactions that are not yet committed too.
struct Watch {
    seen: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Watch {
    fn begin(topic: &str, partitions: i32) -> Self {
        let (seen, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let watch = Self { seen: Arc::clone(&seen), over: Arc::clone(&over) };
        let consumer = stranger(topic, partitions, "read_uncommitted");
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                if let Some(Ok(_)) = consumer.poll(Duration::from_millis(100)) {
                    seen.fetch_add(1, Ordering::AcqRel);
                }
            }
        });
        watch
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_redrive_ends_the_first_and_goes_on_where_that_stopped() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    write(numbered(&topic, &scene.topic(), 1, 40)).await;
    let redriven = Arc::new(AtomicU64::new(0));
    let first = tokio::spawn({
        let (letters, redriven) = (dead_letters(&topic), Arc::clone(&redriven));
        let options = RedriveOptions::default().rate(4.0);
        async move {
            let tell = |count| redriven.store(count, Ordering::Release);
            letters.redrive(&Selection::all(), &options, std::future::pending(), tell).await
        }
    });
    until("the first has begun", async || if redriven.load(Ordering::Acquire) > 0 { Ok(()) } else { Err(()) }).await;
    let options = RedriveOptions::default();
    let second =
        dead_letters(&topic).redrive(&Selection::all(), &options, std::future::pending(), |_| {}).await.unwrap();
    let error = first.await.unwrap().unwrap_err();
    let DeadLetterError::Transaction { redriven, source } = error else { panic!("{error:?}") };
    assert!(matches!(*source, TransactionError::Fenced { .. }), "{source:?}");
    assert!(redriven > 0 && redriven == second.already_redriven, "{redriven} {second:?}");
    assert_eq!(numbers(&everything(&scene.topic(), 1).await)["key-0"], (0..40).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_that_is_told_to_stop_stops_between_two_transactions() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    write(numbered(&topic, &scene.topic(), 1, 30)).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    let tell = |_| drop(stop.take());
    let options = RedriveOptions::default().rate(2.0);
    let stopping = async { drop(stopped.await) };
    let letters = dead_letters(&topic);
    let done = letters.redrive(&Selection::all(), &options, stopping, tell).await.unwrap();
    assert!(done.stopped && done.redriven < 30, "{done:?}");
    let rest = letters.redrive(&Selection::all(), &RedriveOptions::default(), std::future::pending(), |_| {}).await;
    let rest = rest.unwrap();
    assert_eq!((rest.already_redriven, rest.redriven), (done.redriven, 30 - done.redriven));
    assert_eq!(numbers(&everything(&scene.topic(), 1).await)["key-0"].len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_ends_in_order_when_it_is_told_to() {
    let scene = Scene::new(1).await;
    let topic = letter_topic(&scene, 1).await;
    write(numbered(&topic, &scene.topic(), 1, 20)).await;
    let running = tidings(["dead-letters", "redrive", "-t", &topic, "--execute", "--rate", "1"])
        .env("TIDINGS_BROKERS", setting("TIDINGS_TEST_BROKERS"))
        .start();
    until(
        "the first is redriven",
        async || {
            if everything(&scene.topic(), 1).await.is_empty() { Err(()) } else { Ok(()) }
        },
    )
    .await;
    // Letters are left: that is not done.
    assert_eq!(running.terminate(), Some(1));
    let redriven = everything(&scene.topic(), 1).await.len();
    assert!(redriven < 20, "it went on to the end");
}
