//! Handlers of batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::rig::{EVENT, Rig, TOPIC, key_of, options};
use crate::consumer::commands::{Command, Selection};
use crate::consumer::dead_letter_header as header;
use crate::consumer::parked::{ParkRequest, ParkedKeyId, ParkedStore as _};
use crate::dispatch::{BatchPolicy, Delivery, DeliveryOrder, OnExhausted, Policy};
use crate::outcome::{HandlerError, Outcome};
use crate::transport::TopicPartition;

pub(super) const WAIT: Duration = Duration::from_millis(50);

/// The batches a handler was given, as offsets, and when.
pub(super) type Batches = Arc<Mutex<Vec<(Duration, Vec<i64>)>>>;

fn offsets(deliveries: &[Delivery]) -> Vec<i64> {
    deliveries.iter().map(|delivery| delivery.record().offset).collect()
}

pub(super) fn all_done(deliveries: &[Delivery]) -> Vec<Outcome> {
    deliveries.iter().map(|_| Outcome::Done).collect()
}

fn given(batches: &Batches) -> Vec<Vec<i64>> {
    batches.lock().iter().map(|(_, offsets)| offsets.clone()).collect()
}

pub(super) fn failed() -> Outcome {
    HandlerError::from("away").into()
}

/// A handler whose outcomes are those of `of` for each event, and what it is given.
pub(super) fn start(
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
