//! What holds batches back, and what cuts them short: limits, breakers, handovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::batches::{WAIT, all_done, failed, start};
use super::health::{OtherThread, block};
use super::rig::{Rig, TOPIC, options};
use crate::consumer::ConsumerOptions;
use crate::consumer::dead_letter_header as header;
use crate::consumer::health::HealthOptions;
use crate::dispatch::{BatchPolicy, Delivery, OnExhausted, Policy};
use crate::outcome::Outcome;

/// A handler of batches that waits for the gate, and counts itself.
fn gated(
    gate: &Arc<Semaphore>,
    sizes: &Arc<Mutex<Vec<usize>>>,
) -> impl Fn(Vec<Delivery>) -> futures_util::future::BoxFuture<'static, Vec<Outcome>> + Send + Sync + use<> {
    let (gate, sizes) = (Arc::clone(gate), Arc::clone(sizes));
    move |deliveries| {
        sizes.lock().push(deliveries.len());
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            all_done(&deliveries)
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_counts_as_one_in_flight_and_never_outgrows_its_maximum_while_it_waits() {
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let limits: [(ConsumerOptions, Policy); 2] =
        [(options().max_in_flight(2), Policy::INHERIT), (options(), Policy::INHERIT.concurrency(2))];
    for (options, policy) in limits {
        let rig = Rig::start_batches(options, policy, BatchPolicy::new(5, WAIT), gated(&gate, &sizes));
        for key in 0..100 {
            rig.publish(key % 2, &key.to_string());
        }
        rig.until("two run", |rig| rig.stats().in_flight == 2).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((rig.stats().in_flight, sizes.lock().len()), (2, 2));
        gate.add_permits(20);
        rig.until("all is done", |rig| rig.stats().handled == 100).await;
        assert_eq!(std::mem::take(&mut *sizes.lock()), [5; 20]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_bounds_batches_rather_than_events() {
    let (rig, batches) = start(BatchPolicy::new(10, WAIT), Policy::INHERIT.rate(2), |_| Outcome::Done);
    for key in 0..60 {
        rig.publish(0, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 60).await;
    let times: Vec<_> = batches.lock().iter().map(|(time, _)| *time).collect();
    assert_eq!(times.len(), 6);
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + Duration::from_millis(490)), "{times:?}");
    assert!(times[5] < Duration::from_secs(4), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn keys_beyond_max_waiting_are_rejected() {
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let policy = Policy::INHERIT.concurrency(1).max_waiting(3);
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(2, WAIT), gated(&gate, &sizes));
    // Two that run, two that are collected, three that wait, and one too many.
    for key in 0..8 {
        rig.publish(0, &key.to_string());
    }
    rig.until("one is given up", |rig| rig.stats().dead_lettered == 1).await;
    assert_eq!(rig.letters.written.lock()[0].headers.get_str(header::CLASS), Some("rejected"));
    gate.add_permits(10);
    rig.until("the others are done", |rig| rig.broker.committed(TOPIC, 0) == Some(8)).await;
    assert_eq!(rig.stats().handled, 7);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_fails_counts_once_for_the_breaker() {
    let policy = Policy::INHERIT.breaker_keys(3).breaker_pause(Duration::from_secs(30));
    let (rig, batches) =
        start(
            BatchPolicy::new(20, WAIT),
            policy,
            |delivery| {
                if delivery.attempt() == 1 { failed() } else { Outcome::Done }
            },
        );
    for key in 0..20 {
        rig.publish(0, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 20).await;
    assert!(batches.lock().iter().all(|(time, _)| *time < Duration::from_secs(5)), "the breaker opened");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_every_batch_is_paused_and_probed_with_one() {
    let policy = Policy::INHERIT
        .breaker_keys(2)
        .breaker_pause(Duration::from_secs(30))
        .on_exhausted(OnExhausted::Stop)
        .max_attempts(2);
    let start_of_test = Instant::now();
    let recovered = Duration::from_secs(100);
    let (rig, batches) = start(BatchPolicy::new(2, WAIT), policy, move |_| {
        if start_of_test.elapsed() < recovered { failed() } else { Outcome::Done }
    });
    for key in 0..10 {
        rig.publish(0, &key.to_string());
    }
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    rig.until("all is done", |rig| rig.stats().handled == 10).await;
    let tried = batches.lock().iter().filter(|(time, _)| *time < recovered).count();
    // Five at first, and a probe after 30 s and after another 60.
    assert!(tried <= 7, "{:?}", batches.lock());
    assert_eq!(rig.stats().breakers_open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_waits_for_its_batch_and_takes_what_was_being_collected_with_it() {
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let rig = Rig::start_batches(
        options().commit_interval(Duration::from_hours(1)),
        Policy::INHERIT,
        BatchPolicy::new(4, Duration::from_secs(1)),
        gated(&gate, &sizes),
    );
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.publish(1, "d");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    // These are being collected.
    rig.publish(0, "e");
    rig.publish(1, "f");
    tokio::time::sleep(Duration::from_millis(500)).await;
    rig.broker.revoke(TOPIC, &[0]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((rig.stats().assigned, rig.broker.committed(TOPIC, 0)), (2, None));
    gate.add_permits(2);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    assert_eq!(rig.broker.committed(TOPIC, 0), Some(3));
    rig.until("the other partition goes on", |rig| rig.handled_of("f") == [1]).await;
    assert_eq!((rig.handled_of("e"), rig.stats().buffered_bytes), (vec![], 0));
    assert_eq!(*sizes.lock(), [4, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_cancelled_for_a_lost_partition_has_not_failed_in_the_others() {
    let policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::Stop);
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(4, WAIT), gated(&gate, &sizes));
    for (partition, key) in [(0, "a"), (1, "b"), (1, "c"), (1, "b")] {
        rig.publish(partition, key);
    }
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.broker.lose(TOPIC, &[0]);
    rig.until("the others run again", |_| *sizes.lock() == [4, 3]).await;
    gate.add_permits(1);
    rig.until("they are done", |rig| rig.broker.committed(TOPIC, 1) == Some(3)).await;
    assert_eq!((rig.handled_of("b"), rig.stats().retried, rig.broker.committed(TOPIC, 0)), (vec![0, 2], 0, None));
}

#[tokio::test]
async fn a_batch_that_ends_long_after_its_partition_went_ends_nobody_elses_watch() {
    let released = [0, 1].map(|_| Arc::new(AtomicBool::new(false)));
    let (held, moment) = (released.clone(), Duration::from_millis(50));
    let options = options().health(HealthOptions::default().handler_grace(moment));
    let policy = Policy::INHERIT.timeout(moment);
    let handler = move |deliveries: Vec<Delivery>| {
        let held = Arc::clone(&held[usize::from(deliveries[0].record().partition == 1)]);
        async move {
            tokio::task::yield_now().await;
            block(&held);
            all_done(&deliveries)
        }
    };
    let other = OtherThread::of(4);
    let rig = {
        let threads = other.handle();
        let _there = threads.enter();
        Rig::start_batches(options, policy, BatchPolicy::new(1, WAIT), handler)
    };
    rig.publish(0, "late");
    rig.until("it is stuck", |rig| !rig.health().stuck.is_empty()).await;
    rig.lose_first().await;
    rig.until("it is told no more", |rig| rig.health().stuck.is_empty()).await;
    rig.publish(1, "other");
    rig.until("the other one is stuck", |rig| rig.health().stuck.iter().any(|stuck| stuck.partition == 1)).await;
    released[0].store(true, Ordering::Relaxed);
    rig.until("the late one has ended", |rig| rig.stats().in_flight == 1).await;
    // The next account, and one more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(rig.health().stuck.iter().map(|stuck| stuck.partition).collect::<Vec<_>>(), [1]);
    released[1].store(true, Ordering::Relaxed);
    rig.until("it is ready", |rig| rig.health().stuck.is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_finishes_the_batch_that_runs_and_begins_no_other() {
    let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::default());
    let rig = Rig::start_batches(options(), Policy::INHERIT, BatchPolicy::new(2, WAIT), gated(&gate, &sizes));
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.shut_down();
    gate.add_permits(2);
    let broker = rig.broker.clone();
    rig.task.await.unwrap().unwrap();
    assert_eq!((broker.committed(TOPIC, 0), &**sizes.lock()), (Some(2), &[2][..]));
}
