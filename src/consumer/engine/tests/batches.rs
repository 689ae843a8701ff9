//! Handlers of batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::rig::{EVENT, Rig, TOPIC, key_of, options};
use crate::consumer::ConsumerOptions;
use crate::consumer::commands::{Command, Selection};
use crate::consumer::dead_letter_header as header;
use crate::consumer::parked::{ParkRequest, ParkedKeyId, ParkedStore as _};
use crate::dispatch::{BatchPolicy, Delivery, DeliveryOrder, OnExhausted, Policy};
use crate::outcome::{HandlerError, Outcome};
use crate::transport::TopicPartition;

const WAIT: Duration = Duration::from_millis(50);

/// The batches a handler was given, as offsets, and when.
type Batches = Arc<Mutex<Vec<(Duration, Vec<i64>)>>>;

fn offsets(deliveries: &[Delivery]) -> Vec<i64> {
    deliveries.iter().map(|delivery| delivery.record().offset).collect()
}

fn all_done(deliveries: &[Delivery]) -> Vec<Outcome> {
    deliveries.iter().map(|_| Outcome::Done).collect()
}

fn given(batches: &Batches) -> Vec<Vec<i64>> {
    batches.lock().iter().map(|(_, offsets)| offsets.clone()).collect()
}

fn failed() -> Outcome {
    HandlerError::from("away").into()
}

/// A handler whose outcomes are those of `of` for each event, and what it is given.
fn start(
    batch: BatchPolicy,
    policy: Policy,
    of: impl Fn(&Delivery) -> Outcome + Send + Sync + 'static,
) -> (Rig, Batches) {
    let batches = Batches::default();
    let (noted, start) = (Arc::clone(&batches), Instant::now());
    let rig = Rig::start_batches(options(), policy, batch, move |deliveries| {
        noted.lock().push((start.elapsed(), offsets(&deliveries)));
        std::future::ready(deliveries.iter().map(&of).collect())
    });
    (rig, batches)
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_it_is_full_and_what_is_left_when_it_has_waited() {
    let (rig, batches) = start(BatchPolicy::new(4, WAIT), Policy::INHERIT, |_| Outcome::Done);
    for key in 0..10 {
        rig.publish(0, &(key % 7).to_string());
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(10)).await;
    assert_eq!(given(&batches), [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    let times: Vec<_> = batches.lock().iter().map(|(time, _)| *time).collect();
    assert!(times[1] < WAIT && times[2] >= WAIT && times[2] < WAIT * 2, "{times:?}");
    assert_eq!((rig.stats().handled, rig.stats().buffered_bytes), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn events_of_one_key_share_a_batch_in_their_order() {
    let (rig, batches) = start(BatchPolicy::new(100, WAIT), Policy::INHERIT, |_| Outcome::Done);
    for number in 0..30 {
        rig.publish(0, if number % 2 == 0 { "even" } else { "odd" });
    }
    rig.until("all is done", |rig| rig.stats().handled == 30).await;
    assert_eq!(given(&batches).len(), 1);
    assert_eq!(rig.handled_of("even"), (0..30).step_by(2).collect::<Vec<_>>());
    assert_eq!(rig.handled_of("odd"), (1..30).step_by(2).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_failing_event_takes_the_later_ones_of_its_key_with_it_and_no_others() {
    let (rig, batches) = start(BatchPolicy::new(6, WAIT), Policy::INHERIT, |delivery| {
        if delivery.record().offset == 2 && delivery.attempt() < 3 { failed() } else { Outcome::Done }
    });
    for key in ["bad", "good", "bad", "good", "bad", "good"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(6)).await;
    assert_eq!(given(&batches), [vec![0, 1, 2, 3, 4, 5], vec![2, 4], vec![2, 4]]);
    assert_eq!(rig.handled_of("good"), [1, 3, 5]);
    // The last one was done each time, and again behind the one before it.
    assert_eq!(rig.handled_of("bad"), [0, 4, 4, 2, 4]);
    assert_eq!((rig.stats().retried, rig.stats().handled), (2, 6));
}

#[tokio::test(start_paused = true)]
async fn one_event_of_a_batch_is_dead_lettered_and_what_is_done_behind_it_stays_done() {
    let policy = Policy::INHERIT.max_attempts(1);
    let (rig, batches) = start(BatchPolicy::new(4, WAIT), policy, |delivery| match delivery.record().offset {
        1 => failed(),
        2 => Outcome::dead_letter("no use"),
        _ => Outcome::Done,
    });
    for key in ["a", "a", "b", "a"] {
        rig.publish(0, key);
    }
    rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(4)).await;
    assert_eq!(given(&batches), [vec![0, 1, 2, 3]]);
    let letters = rig.letters.written.lock();
    let messages: Vec<_> = letters.iter().map(|letter| letter.headers.get_str(header::MESSAGE)).collect();
    assert_eq!(messages, [Some("away"), Some("no use")]);
    assert_eq!(letters[0].headers.get_str(header::ATTEMPTS), Some("1"));
    assert_eq!((rig.stats().handled, rig.stats().dead_lettered, rig.stats().buffered_bytes), (2, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_fails_behind_a_dead_letter_is_tried_again() {
    let policy = Policy::INHERIT.max_attempts(2);
    let (rig, batches) = start(BatchPolicy::new(4, WAIT), policy, |delivery| match delivery.record().offset {
        0 => Outcome::dead_letter("no use"),
        2 if delivery.attempt() == 1 && delivery.record().offset == 2 => failed(),
        _ => Outcome::Done,
    });
    for _ in 0..4 {
        rig.publish(0, "a");
    }
    rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(4)).await;
    // The second attempt did not know of the first one's failure: it was not its turn.
    let given = given(&batches);
    assert_eq!(given[..2], [vec![0, 1, 2, 3], vec![2, 3]]);
    assert_eq!((rig.stats().handled, rig.stats().dead_lettered), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_every_event_of_the_batch() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rig = Rig::start_batches(options(), Policy::INHERIT, BatchPolicy::new(3, WAIT), move |deliveries| {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        // Before the handler's future is there, and in it.
        assert!(call != 0, "at once");
        async move {
            tokio::task::yield_now().await;
            assert!(call != 1, "later");
            all_done(&deliveries)
        }
    });
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert!(rig.stats().retried >= 4, "{:?}", rig.stats());
    assert_eq!((rig.stats().handled, rig.stats().in_flight), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_takes_too_long_is_cancelled_and_tried_again() {
    let policy = Policy::INHERIT.timeout(Duration::from_secs(2));
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(2, WAIT), |deliveries| async move {
        if deliveries.iter().any(|delivery| delivery.attempt() == 1) {
            std::future::pending::<()>().await;
        }
        all_done(&deliveries)
    });
    rig.publish(0, "a");
    rig.publish(0, "b");
    rig.until("both are done", |rig| rig.broker.committed(TOPIC, 0) == Some(2)).await;
    assert_eq!((rig.stats().retried, rig.stats().handled), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_forgets_an_outcome_has_not_handled_that_event() {
    let rig = Rig::start_batches(options(), Policy::INHERIT, BatchPolicy::new(2, WAIT), |deliveries| async move {
        all_done(&deliveries[..1])
    });
    rig.publish(0, "a");
    rig.publish(0, "b");
    rig.until("both are done", |rig| rig.broker.committed(TOPIC, 0) == Some(2)).await;
    assert_eq!((rig.stats().handled, rig.stats().retried), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_delivery_asks_for_on_completion_runs_for_each_and_a_panic_of_it_fails_that_one() {
    let rig = Rig::start_batches(options(), Policy::INHERIT, BatchPolicy::new(3, WAIT), |deliveries| async move {
        for delivery in &deliveries {
            let (offset, attempt) = (delivery.record().offset, delivery.attempt());
            delivery.on_completion(Box::new(move |outcome| {
                Box::pin(async move {
                    assert!(offset != 1 || attempt > 1, "the commit failed");
                    if offset == 2 && attempt == 1 { failed() } else { outcome }
                })
            }));
        }
        all_done(&deliveries)
    });
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert_eq!((rig.stats().handled, rig.stats().retried), (3, 2));
}

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
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(490)), "{times:?}");
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

#[tokio::test(start_paused = true)]
async fn a_paused_partition_begins_no_batch_and_keeps_its_place() {
    let (rig, batches) = start(BatchPolicy::new(10, Duration::from_secs(1)), Policy::INHERIT, |_| Outcome::Done);
    for key in ["a", "b", "a"] {
        rig.publish(0, key);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let zero = Selection { topic: Some(TOPIC.into()), partition: Some(0) };
    rig.commands.send(Command::Pause(zero.clone()));
    rig.publish(1, "c");
    rig.until("the other partition is done", |rig| rig.handled_of("c") == [0]).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(given(&batches), [[0]]);
    rig.commands.send(Command::Resume(zero));
    rig.until("it goes on", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert_eq!((rig.handled_of("a"), given(&batches).len()), (vec![0, 2], 2));
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_partition_and_no_order_hold_in_batches_too() {
    for (order, again) in [(DeliveryOrder::Partition, vec![1, 2, 3]), (DeliveryOrder::Unordered, vec![1])] {
        let (rig, batches) = start(BatchPolicy::new(4, WAIT), Policy::INHERIT.order(order), |delivery| {
            if delivery.record().offset == 1 && delivery.attempt() == 1 { failed() } else { Outcome::Done }
        });
        for key in ["a", "b", "c", "b"] {
            rig.publish(0, key);
        }
        rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(4)).await;
        assert_eq!(given(&batches), [vec![0, 1, 2, 3], again]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parked_key_waits_with_what_follows_and_is_released_in_order() {
    let policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::ParkKey);
    let ill = Arc::new(AtomicUsize::new(1));
    let is_ill = Arc::clone(&ill);
    let (rig, batches) = start(BatchPolicy::new(10, WAIT), policy, move |delivery| {
        if key_of(delivery) == "ill" && is_ill.load(Ordering::Relaxed) == 1 { failed() } else { Outcome::Done }
    });
    for key in ["ill", "well", "ill", "ill"] {
        rig.publish(0, key);
    }
    rig.until("the key is parked", |rig| rig.stats().parked == 3).await;
    assert_eq!(given(&batches), [[0, 1, 2, 3]]);
    ill.store(0, Ordering::Relaxed);
    rig.publish(0, "ill");
    rig.until("that one is parked, too", |rig| rig.stats().parked == 4).await;
    let partition = TopicPartition { topic: TOPIC.into(), partition: 0 };
    let id = ParkedKeyId { group: "tests.Tests".into(), partition, key: Bytes::from_static(b"ill") };
    assert!(rig.parked.request(id, Some(ParkRequest::Release)).await.unwrap());
    rig.commands.send(Command::LookAtParked);
    rig.publish(0, "ill");
    rig.until("all is done", |rig| rig.handled_of("ill") == [0, 2, 3, 4, 5]).await;
    rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(6)).await;
    assert_eq!((rig.stats().parked_keys, rig.stats().buffered_bytes), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn events_that_name_no_event_take_part_once_they_are_known() {
    let (rig, batches) = start(BatchPolicy::new(2, WAIT), Policy::INHERIT, |_| Outcome::Done);
    rig.publish_event(0, "a", "accounts.SomethingElse");
    rig.publish_event(0, "a", EVENT);
    rig.publish_event(0, "b", EVENT);
    rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert_eq!((given(&batches), rig.stats().skipped), (vec![vec![1, 2]], 1));
}

/// Of one event: its key, how long its batch takes in milliseconds, and how often it fails.
type Behaviour = (u8, u64, u32);

/// What a batch handler was given and said, in order: batch, key, offset, and whether it was done.
type Said = Vec<(usize, String, i64, bool)>;

fn run_model(events: &[Behaviour], max: u32, in_flight: usize, concurrency: u32) -> (Said, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let behaviours = events.to_vec();
        let said = Arc::new(Mutex::new(Said::new()));
        let (log, limit) = (Arc::clone(&said), max as usize);
        let policy = Policy::INHERIT.max_attempts(20).breaker_keys(0).concurrency(concurrency);
        let batch = BatchPolicy::new(max, Duration::from_millis(5));
        let rig = Rig::start_batches(options().max_in_flight(in_flight), policy, batch, move |deliveries| {
            let of = |delivery: &Delivery| behaviours[usize::try_from(delivery.record().offset).unwrap()];
            let millis = deliveries.iter().map(|delivery| of(delivery).1).max().unwrap();
            let done: Vec<_> = deliveries.iter().map(|delivery| delivery.attempt() > of(delivery).2).collect();
            let log = Arc::clone(&log);
            async move {
                assert!(!deliveries.is_empty() && deliveries.len() <= limit, "{}", deliveries.len());
                tokio::time::sleep(Duration::from_millis(millis)).await;
                let mut log = log.lock();
                let batch = log.last().map_or(0, |(batch, ..)| batch + 1);
                let one =
                    |(delivery, done): (&Delivery, &bool)| (batch, key_of(delivery), delivery.record().offset, *done);
                log.extend(deliveries.iter().zip(&done).map(one));
                drop(log);
                done.into_iter().map(|done| if done { Outcome::Done } else { failed() }).collect()
            }
        });
        for (key, ..) in events {
            rig.publish(0, &key.to_string());
        }
        let count = i64::try_from(events.len()).unwrap();
        rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(count)).await;
        assert_eq!(rig.stats().handled, events.len() as u64);
        (std::mem::take(&mut *said.lock()), rig.stats().buffered_bytes)
    })
}

/// Whether each key's events came in order: they go on behind the last one, and after a batch in which one was not done they
/// begin again with the first such one; in the end all are done.
fn in_order(said: &Said) -> Result<(), String> {
    let mut keys: BTreeMap<&str, Vec<(usize, i64, bool)>> = BTreeMap::new();
    for (batch, key, offset, done) in said {
        keys.entry(key).or_default().push((*batch, *offset, *done));
    }
    for (key, said) in keys {
        let mut offsets: Vec<_> = said.iter().map(|(_, offset, _)| *offset).collect();
        offsets.sort_unstable();
        offsets.dedup();
        let (mut next, mut failure, mut current) = (0, None, 0);
        for (batch, offset, done) in said {
            if batch != current {
                (next, current) = (failure.take().unwrap_or(next), batch);
            }
            if offsets[next..].first() != Some(&offset) {
                return Err(format!("key {key}: offset {offset} came out of turn in batch {batch}"));
            }
            if !done && failure.is_none() {
                failure = Some(next);
            }
            next += 1;
        }
        if next != offsets.len() || failure.is_some() {
            return Err(format!("key {key}: not all is done"));
        }
    }
    Ok(())
}

#[test]
fn the_check_of_the_order_notices_a_swap_a_gap_and_a_failure_that_is_passed() {
    let said = |events: &[(usize, i64, bool)]| {
        events.iter().map(|(batch, offset, done)| (*batch, "a".to_owned(), *offset, *done)).collect()
    };
    in_order(&said(&[(0, 0, true), (0, 1, false), (0, 2, true), (1, 1, true), (2, 2, true)])).unwrap();
    for wrong in [
        vec![(0, 1, true), (0, 0, true)],
        vec![(0, 0, true), (1, 2, true), (2, 1, true)],
        vec![(0, 0, false), (1, 1, true)],
        vec![(0, 0, false), (0, 1, true)],
        vec![(0, 0, false), (0, 1, true), (1, 1, true), (2, 0, true)],
    ] {
        in_order(&said(&wrong)).unwrap_err();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn batches_keep_each_keys_order_whatever_fails(
        events in proptest::collection::vec((0_u8..6, 0_u64..20, prop_oneof![3 => Just(0_u32), 1 => 1_u32..4]), 1..80),
        max in 1_u32..12,
        in_flight in 1_usize..4,
        concurrency in 1_u32..4,
    ) {
        let (said, buffered) = run_model(&events, max, in_flight, concurrency);
        prop_assert_eq!(in_order(&said), Ok(()));
        prop_assert_eq!(buffered, 0);
    }
}
