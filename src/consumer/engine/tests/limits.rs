//! Limits: handlers in flight, bytes held, fairness.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::rig::{Rig, key_of, options};
use crate::dispatch::{OnExhausted, Policy};
use crate::outcome::{HandlerError, Outcome};

#[tokio::test(start_paused = true)]
async fn no_more_handlers_run_than_allowed() {
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    let rig = Rig::start(options().max_in_flight(7), move |_| {
        let (now, peak) = (Arc::clone(&now), Arc::clone(&peak));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            Outcome::Done
        }
    });
    for key in 0..100 {
        rig.publish(key % 2, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 100).await;
    // The eighth is polled once before it is known that it has to wait.
    assert_eq!(most.load(Ordering::Relaxed), 7);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_stops_fetching_and_loses_nothing() {
    let rig = Rig::start(options().max_in_flight(1).max_buffered_bytes(4_000), |_| async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Outcome::Done
    });
    for key in 0..5_000 {
        rig.publish(0, &key.to_string());
    }
    let most = AtomicUsize::new(0);
    rig.until("all is done", |rig| {
        most.fetch_max(usize::try_from(rig.stats().buffered_bytes).unwrap(), Ordering::Relaxed);
        rig.stats().handled == 5_000
    })
    .await;
    // A batch may pass the budget, by its own size.
    assert!(most.load(Ordering::Relaxed) < 4_000 + 512 * 1_500, "{most:?}");
    assert_eq!(rig.handled.lock().len(), 5_000);
}

#[tokio::test(start_paused = true)]
async fn a_hot_key_leaves_the_places_to_the_others() {
    let rig = Rig::start(options().max_in_flight(4), |_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Outcome::Done
    });
    for number in 0..100 {
        rig.publish(0, "hot");
        rig.publish(0, &format!("key-{number}"));
    }
    rig.until("the others are done", |rig| rig.handled.lock().iter().filter(|(key, _)| key != "hot").count() == 100)
        .await;
    // Three places for the others: they take a third of what the hot key takes.
    assert!(rig.handled_of("hot").len() < 40, "{}", rig.handled_of("hot").len());
}

#[tokio::test(start_paused = true)]
async fn a_busy_partition_does_not_starve_another() {
    let rig = Rig::start(options().max_in_flight(2), |delivery| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!key_of(&delivery).is_empty());
        Outcome::Done
    });
    for number in 0..1_000 {
        rig.publish(0, &format!("busy-{number}"));
    }
    rig.publish(1, "lonely");
    rig.until("the lonely one is done", |rig| rig.handled_of("lonely") == [0]).await;
    assert!(rig.stats().handled < 20, "{}", rig.stats().handled);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_key_with_many_successors_leaves_room_for_the_other_partitions() {
    let rig =
        Rig::start(options().max_buffered_bytes(200_000).timeout(Duration::from_secs(3_600)), |delivery| async move {
            if key_of(&delivery) == "stuck" {
                std::future::pending::<()>().await;
            }
            Outcome::Done
        });
    for _ in 0..5_000 {
        rig.publish(0, "stuck");
    }
    rig.until("its partition holds what it may", |rig| rig.stats().buffered_bytes > 90_000).await;
    for number in 0..5_000 {
        rig.publish(1, &number.to_string());
    }
    rig.until("the other partition goes on", |rig| rig.stats().handled == 5_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_less_than_a_byte_for_each_partition_still_lets_events_through() {
    let rig = Rig::start(options().max_buffered_bytes(1), |_| async { Outcome::Done });
    for partition in [0, 1, 0, 1] {
        rig.publish(partition, "42");
    }
    rig.until("all are handled", |rig| rig.stats().handled == 4).await;
}

/// Whether nothing keeps what was fetched together in memory once `keys` of it wait, behind an event that runs.
async fn wait_in_memory_of_their_own(rig: Rig, keys: &[&str], wait: impl Fn(&Rig) -> bool) {
    rig.publish(1, "first");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    let chunk = rig.publish_together(0, keys).await;
    rig.until("they wait", wait).await;
    assert!(chunk.is_unique(), "a key that waits keeps what was read with it");
}

/// The first event runs for ever; `other` is what becomes of others.
fn first_runs(
    other: fn() -> Outcome,
) -> impl Fn(crate::Delivery) -> futures_util::future::BoxFuture<'static, Outcome> + Send + Sync + use<> {
    move |delivery| {
        Box::pin(async move {
            if key_of(&delivery) == "first" {
                std::future::pending::<()>().await;
            }
            other()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_wait_for_a_place_keep_nothing_in_memory_but_their_own_events() {
    let options = options().max_in_flight(1).timeout(Duration::from_hours(1_000));
    let rig = Rig::start(options, first_runs(|| Outcome::Done));
    // More than wait for a place in tasks.
    wait_in_memory_of_their_own(rig, &["a", "b", "c", "a", "d"], |rig| rig.health().waiting_keys >= 3).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_wait_for_their_handler_keep_nothing_in_memory_but_their_own_events() {
    let options = options().timeout(Duration::from_hours(1_000));
    let rig = Rig::start_with(options, Policy::INHERIT.concurrency(1), None, first_runs(|| Outcome::Done));
    wait_in_memory_of_their_own(rig, &["a", "b", "a"], |_| true).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_tried_again_keep_nothing_in_memory_but_their_own_events() {
    let options = options().timeout(Duration::from_hours(1_000));
    let failed = || Outcome::retry_after(Duration::from_mins(5), HandlerError::from("away"));
    let rig = Rig::start(options, first_runs(failed));
    wait_in_memory_of_their_own(rig, &["a", "b", "a"], |rig| rig.stats().retried == 2).await;
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_parked_keep_nothing_in_memory_of_what_was_read() {
    let policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::ParkKey);
    let options = options().timeout(Duration::from_hours(1_000));
    let rig = Rig::start_with(options, policy, None, first_runs(|| HandlerError::from("away").into()));
    wait_in_memory_of_their_own(rig, &["a", "b", "a"], |rig| rig.stats().parked == 3).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_are_given_up_keep_nothing_in_memory_but_themselves_while_they_are_written() {
    let options = options().timeout(Duration::from_hours(1_000));
    let rig = Rig::start(options, first_runs(|| Outcome::dead_letter("no use")));
    rig.letters.silent.store(true, Ordering::Relaxed);
    wait_in_memory_of_their_own(rig, &["a", "b", "a"], |_| true).await;
}
