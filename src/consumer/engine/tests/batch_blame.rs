//! Batches that fail as a whole: whom that is held against.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;

use super::batches::{WAIT, all_done, failed};
use super::rig::{Rig, TOPIC, options};
use crate::consumer::dead_letter_header as header;
use crate::dispatch::{BatchPolicy, Delivery, Policy, RolledBack, TakenOut, failed as all_failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// What the handler was given: offsets, and which attempt it was at the first of them.
type Given = Arc<Mutex<Vec<(Vec<i64>, u32)>>>;

fn note(given: &Given, deliveries: &[Delivery]) -> Vec<i64> {
    let offsets: Vec<_> = deliveries.iter().map(|delivery| delivery.record().offset).collect();
    given.lock().push((offsets.clone(), deliveries[0].attempt()));
    offsets
}

/// A handler of batches that returns one error for all of them where the event at offset 2 is among them.
fn start(policy: Policy, error: fn() -> HandlerError) -> (Rig, Given) {
    let given = Given::default();
    let noted = Arc::clone(&given);
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(5, WAIT), move |deliveries| {
        let offsets = note(&noted, &deliveries);
        let poisoned = offsets.contains(&2);
        std::future::ready(if poisoned { all_failed(error(), offsets.len()) } else { all_done(&deliveries) })
    });
    (rig, given)
}

/// How often each event was given to the handler, and in how large a batch the last time.
fn tries(given: &Given) -> BTreeMap<i64, (usize, usize)> {
    let mut tries = BTreeMap::new();
    for (offsets, _) in &*given.lock() {
        for offset in offsets {
            let (times, size) = tries.entry(*offset).or_insert((0, 0));
            *times += 1;
            *size = offsets.len();
        }
    }
    tries
}

#[tokio::test(start_paused = true)]
async fn one_poisoned_event_is_found_and_given_up_alone_however_final_the_batchs_error_is() {
    let errors: [fn() -> HandlerError; 3] = [
        || HandlerError::from("a duplicate key"),
        || HandlerError::from("a duplicate key").terminal(),
        || HandlerError::new(ErrorClass::Timeout, "a duplicate key"),
    ];
    for error in errors {
        // The first failure of its own is the last: a batch that counted as an attempt would give all of them up.
        let (rig, given) = start(Policy::INHERIT.max_attempts(1), error);
        for key in ["a", "b", "c", "d", "e"] {
            rig.publish(0, key);
        }
        rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(5)).await;
        assert_eq!((rig.stats().handled, rig.stats().dead_lettered, rig.stats().in_flight), (4, 1, 0));
        assert_eq!(tries(&given), (0..5).map(|offset| (offset, (2, 1))).collect());
        let letters = rig.letters.written.lock();
        let letter = &letters[0].headers;
        assert_eq!((letters.len(), letter.get_str(header::OFFSET)), (1, Some("2")));
        assert_eq!(
            (letter.get_str(header::ATTEMPTS), letter.get_str(header::MESSAGE)),
            (Some("1"), Some("a duplicate key"))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_tried_alone_uses_up_its_own_attempts_and_keeps_its_keys_order() {
    let (rig, given) = start(Policy::INHERIT.max_attempts(3), || HandlerError::from("away"));
    for key in ["a", "a", "a", "a", "b"] {
        rig.publish(0, key);
    }
    rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(5)).await;
    assert_eq!((rig.handled_of("a"), rig.handled_of("b")), (vec![0, 1, 3], vec![4]));
    assert_eq!(rig.stats().dead_lettered, 1);
    let attempts: Vec<_> =
        given.lock().iter().filter(|(offsets, _)| offsets[0] == 2 && offsets.len() == 1).map(|(_, nth)| *nth).collect();
    assert_eq!(attempts, [1, 2, 3], "{:?}", given.lock());
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_all_share_takes_no_batch_apart() {
    let calls = Arc::new(AtomicUsize::new(0));
    let given = Given::default();
    let (counted, noted) = (Arc::clone(&calls), Arc::clone(&given));
    let policy = Policy::INHERIT.max_attempts(1);
    // Longer than any pause before the second time: whoever comes back first waits for the others.
    let batch = BatchPolicy::new(3, Duration::from_mins(5));
    let rig = Rig::start_batches(options(), policy, batch, move |deliveries| {
        note(&noted, &deliveries);
        let away = || HandlerError::new(ErrorClass::Unavailable, "the database is away");
        let first = counted.fetch_add(1, Ordering::Relaxed) == 0;
        std::future::ready(if first { all_failed(away(), deliveries.len()) } else { all_done(&deliveries) })
    });
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert_eq!((rig.stats().handled, rig.stats().dead_lettered), (3, 0));
    assert_eq!(given.lock()[1].0.len(), 3, "{:?}", given.lock());
}

#[tokio::test(start_paused = true)]
async fn a_panic_and_a_timeout_are_held_against_nobody_but_who_fails_alone() {
    for panics in [true, false] {
        let policy = Policy::INHERIT.timeout(Duration::from_secs(2)).max_attempts(1);
        let rig = Rig::start_batches(options(), policy, BatchPolicy::new(3, WAIT), move |deliveries| {
            async move {
                if deliveries.iter().any(|delivery| delivery.record().offset == 1) {
                    assert!(!panics, "no use");
                    std::future::pending::<()>().await;
                }
                all_done(&deliveries)
            }
            .boxed()
        });
        for key in ["a", "b", "c"] {
            rig.publish(0, key);
        }
        rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
        assert_eq!((rig.stats().handled, rig.stats().dead_lettered, rig.stats().in_flight), (2, 1, 0));
        let letters = rig.letters.written.lock();
        assert_eq!(letters[0].headers.get_str(header::CLASS), Some(if panics { "panic" } else { "timeout" }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_the_handlers_future_is_there_is_one_of_the_batch() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let rig = Rig::start_batches(options(), Policy::INHERIT, BatchPolicy::new(3, WAIT), move |deliveries| {
        assert!(counted.fetch_add(1, Ordering::Relaxed) != 0, "at once");
        std::future::ready(all_done(&deliveries))
    });
    for key in ["a", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(3)).await;
    assert_eq!((rig.stats().handled, rig.stats().retried, rig.stats().in_flight), (3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn events_that_go_alone_wait_for_their_gate_and_are_never_rejected() {
    let policy = Policy::INHERIT.max_attempts(1).concurrency(1).max_waiting(1);
    let given = Given::default();
    let noted = Arc::clone(&given);
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(20, WAIT), move |deliveries| {
        let together = note(&noted, &deliveries).len() > 1;
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if together { all_failed(HandlerError::from("too many"), deliveries.len()) } else { all_done(&deliveries) }
        }
    });
    for key in 0..20 {
        rig.publish(key % 2, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 20).await;
    assert_eq!((rig.stats().dead_lettered, rig.stats().in_flight, rig.stats().buffered_bytes), (0, 0, 0));
    assert_eq!(given.lock().len(), 21);
}

#[tokio::test(start_paused = true)]
async fn behind_what_was_rolled_back_only_the_events_at_fault_go_alone() {
    let given = Given::default();
    let noted = Arc::clone(&given);
    let policy = Policy::INHERIT.max_attempts(2);
    // As with a transaction: an event that fails has the others rolled back.
    let rig = Rig::start_batches(options(), policy, BatchPolicy::new(4, WAIT), move |deliveries| {
        let offsets = note(&noted, &deliveries);
        let at_fault = offsets.contains(&2);
        let outcome = |offset: &i64| match offset {
            2 => failed(),
            _ if at_fault => HandlerError::new(ErrorClass::Unavailable, RolledBack).into(),
            _ => Outcome::Done,
        };
        std::future::ready(offsets.iter().map(outcome).collect())
    });
    for key in ["a", "b", "b", "c"] {
        rig.publish(0, key);
    }
    rig.until("all is settled", |rig| rig.broker.committed(TOPIC, 0) == Some(4)).await;
    assert_eq!((rig.stats().handled, rig.stats().dead_lettered), (3, 1));
    let with_the_one_at_fault = given.lock().iter().filter(|(offsets, _)| offsets.contains(&2)).count();
    // It had its attempts by itself: rolled back with its predecessor, which is handled first, it had none.
    assert_eq!(with_the_one_at_fault, 3, "{:?}", given.lock());
}

#[tokio::test(start_paused = true)]
async fn what_was_handled_before_leaves_its_batch_though_it_stands_behind_what_was_not() {
    let given = Given::default();
    let noted = Arc::clone(&given);
    // As with a transaction: the second `a` again, behind it in one batch, and `b` before anything new of its key.
    let repeats = [2, 3];
    let rig =
        Rig::start_batches(options(), Policy::INHERIT.max_attempts(1), BatchPolicy::new(5, WAIT), move |deliveries| {
            let offsets = note(&noted, &deliveries);
            if !offsets.iter().any(|offset| repeats.contains(offset)) {
                return std::future::ready(all_done(&deliveries));
            }
            let again = all_failed(HandlerError::new(ErrorClass::Unavailable, TakenOut), offsets.len());
            let outcomes = offsets.iter().zip(again);
            let done = |(offset, again)| if repeats.contains(offset) { Outcome::Done } else { again };
            std::future::ready(outcomes.map(done).collect())
        });
    for key in ["a", "a", "a", "b", "b"] {
        rig.publish(0, key);
    }
    rig.until("all is done", |rig| rig.broker.committed(TOPIC, 0) == Some(5)).await;
    let stats = rig.stats();
    assert_eq!((stats.handled, stats.retried, stats.dead_lettered, stats.in_flight), (5, 0, 0, 0), "{stats:?}");
    let batches: Vec<_> = given.lock().iter().map(|(offsets, _)| offsets.clone()).collect();
    assert_eq!(batches, [vec![0, 1, 2, 3, 4], vec![0, 1, 4], vec![2]]);
}
