//! What holds a handler's events back: concurrency, rate, breakers, and orders other than by key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::rig::{Rig, key_of, options};
use crate::consumer::commands::{Command, Selection};
use crate::dispatch::{DeliveryOrder, OnExhausted, Policy};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// Takes 10 ms; the most that ran at once.
fn counting(
    most: &Arc<AtomicUsize>,
) -> impl Fn(crate::Delivery) -> futures_util::future::BoxFuture<'static, Outcome> + Send + Sync + use<> {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::clone(most));
    move |_| {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        Box::pin(async move {
            most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(10)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            Outcome::Done
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_runs_no_more_attempts_at_once_than_its_concurrency() {
    let most = Arc::default();
    let rig = Rig::start_with(options(), Policy::INHERIT.concurrency(3), None, counting(&most));
    for key in 0..60 {
        rig.publish(key % 2, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 60).await;
    assert_eq!(most.load(Ordering::Relaxed), 3);
    assert_eq!(rig.stats().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_begins_no_more_attempts_in_a_second_than_its_rate() {
    let begun = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&begun);
    let rig = Rig::start_with(options(), Policy::INHERIT.rate(50), None, move |_| {
        log.lock().push(Instant::now());
        async { Outcome::Done }
    });
    for key in 0..200 {
        rig.publish(key % 2, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled == 200).await;
    let begun = begun.lock();
    for (index, start) in begun.iter().enumerate() {
        let within = begun[index..].iter().take_while(|time| **time < *start + Duration::from_secs(1)).count();
        assert!(within <= 56, "{within} in a second");
    }
    let all = *begun.last().unwrap() - begun[0];
    assert!((Duration::from_millis(3_700)..Duration::from_millis(4_200)).contains(&all), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn events_keep_their_keys_order_while_they_wait_for_their_handler() {
    let most = Arc::default();
    let rig = Rig::start_with(options(), Policy::INHERIT.concurrency(2).rate(200), None, counting(&most));
    let mut expected = std::collections::BTreeMap::<String, Vec<i64>>::new();
    for number in 0..300 {
        let key = (number % 7).to_string();
        let offset = rig.publish(0, &key);
        expected.entry(key).or_default().push(offset);
    }
    rig.until("all is done", |rig| rig.stats().handled == 300).await;
    for (key, offsets) in expected {
        assert_eq!(rig.handled_of(&key), offsets);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_beyond_the_bound_is_rejected_where_that_is_asked_for() {
    let most = Arc::default();
    let policy = Policy::INHERIT.concurrency(1).max_waiting(5);
    let rig = Rig::start_with(options(), policy, None, counting(&most));
    for key in 0..50 {
        rig.publish(0, &key.to_string());
    }
    rig.until("all is done", |rig| rig.stats().handled + rig.stats().dead_lettered == 50).await;
    let letters = rig.letters.written.lock();
    assert!(letters.len() >= 40, "{}", letters.len());
    let class = |letter: &crate::transport::OutgoingRecord| {
        letter.headers.get_str(crate::consumer::dead_letter_header::CLASS) == Some("rejected")
    };
    assert!(letters.iter().all(class));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_whatever_it_is_given_is_paused_and_loses_nothing() {
    let ill = Arc::new(AtomicBool::new(true));
    let attempts = Arc::new(AtomicU64::new(0));
    let (state, count) = (Arc::clone(&ill), Arc::clone(&attempts));
    let policy = Policy::INHERIT
        .max_attempts(2)
        .breaker_keys(10)
        .breaker_pause(Duration::from_secs(5))
        .breaker_max_pause(Duration::from_secs(20));
    let rig = Rig::start_with(options(), policy, None, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let ill = state.load(Ordering::Relaxed);
        async move { if ill { Outcome::from(crate::HandlerError::from("the database is away")) } else { Outcome::Done } }
    });
    for key in 0..500 {
        rig.publish(key % 2, &key.to_string());
    }
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    let opened = Instant::now();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!((rig.stats().dead_lettered, rig.stats().handled), (0, 0));
    // One probe after 5, 10, 20, 20… seconds, where a retry of each event would have been thousands.
    assert!(attempts.load(Ordering::Relaxed) < 60, "{attempts:?}");
    ill.store(false, Ordering::Relaxed);
    rig.until("all is done", |rig| rig.stats().handled == 500).await;
    assert!(opened.elapsed() < Duration::from_secs(600 + 60), "{:?}", opened.elapsed());
    assert_eq!((rig.stats().dead_lettered, rig.stats().breakers_open), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_key_does_not_pause_the_handler_for_the_others() {
    let policy = Policy::INHERIT.max_attempts(5).breaker_keys(3);
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        if key_of(&delivery) == "poison" { Outcome::from(crate::HandlerError::from("never")) } else { Outcome::Done }
    });
    for number in 0..100 {
        rig.publish(0, "poison");
        rig.publish(0, &number.to_string());
    }
    rig.until("the poison is gone", |rig| rig.stats().dead_lettered == 100).await;
    assert_eq!((rig.stats().handled, rig.stats().breakers_open), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn many_poisoned_keys_do_not_pause_the_handler_for_the_others() {
    let policy = Policy::INHERIT.max_attempts(1).breaker_keys(5).breaker_pause(Duration::from_mins(1));
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        let poisoned = key_of(&delivery).ends_with('0');
        if poisoned { Outcome::from(crate::HandlerError::from("never")) } else { Outcome::Done }
    });
    // Their dead letters are written together, and so their next events come together, with none of the others in between.
    for _ in 0..20 {
        for key in 0..200 {
            rig.publish(key % 2, &key.to_string());
        }
    }
    rig.until("all is settled", |rig| rig.stats().handled + rig.stats().dead_lettered == 4_000).await;
    assert_eq!((rig.stats().dead_lettered, rig.stats().retried), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_well_again_is_found_so_behind_poisoned_keys() {
    let ill = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let policy = Policy::INHERIT
        .max_attempts(1)
        .breaker_keys(5)
        .breaker_pause(Duration::from_secs(5))
        .breaker_max_pause(Duration::from_secs(5));
    let rig = Rig::start_with(options(), policy, None, move |delivery| {
        let fails = state.load(Ordering::Relaxed) || key_of(&delivery).starts_with("poison");
        async move { if fails { Outcome::from(crate::HandlerError::from("away")) } else { Outcome::Done } }
    });
    // They are first in the line, as they are where each has failed before.
    for key in 0..50 {
        rig.publish(0, &format!("poison {key}"));
    }
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    for key in 0..50 {
        rig.publish(0, &key.to_string());
    }
    tokio::time::sleep(Duration::from_mins(5)).await;
    ill.store(false, Ordering::Relaxed);
    let well = Instant::now();
    rig.until("the others are handled", |rig| rig.stats().handled == 50).await;
    assert!(well.elapsed() < Duration::from_secs(15), "{:?}", well.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_open_at_the_stop_policy_waits_too() {
    let ill = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let policy = Policy::INHERIT.max_attempts(3).on_exhausted(OnExhausted::Stop).breaker_keys(5);
    let rig = Rig::start_with(options(), policy, None, move |_| {
        let ill = state.load(Ordering::Relaxed);
        async move { if ill { Outcome::from(crate::HandlerError::from("away")) } else { Outcome::Done } }
    });
    for key in 0..20 {
        rig.publish(0, &key.to_string());
    }
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    ill.store(false, Ordering::Relaxed);
    rig.until("all is done", |rig| rig.stats().handled == 20).await;
}

#[tokio::test(start_paused = true)]
async fn by_partition_one_event_at_a_time_in_the_order_of_offsets() {
    let most = Arc::default();
    let rig = Rig::start_with(options(), Policy::INHERIT.order(DeliveryOrder::Partition), None, counting(&most));
    for number in 0..50 {
        rig.publish(0, &(number % 9).to_string());
        rig.publish(1, "other");
    }
    rig.until("all is done", |rig| rig.stats().handled == 100).await;
    // One for each partition.
    assert_eq!(most.load(Ordering::Relaxed), 2);
    let first: Vec<_> =
        rig.handled.lock().iter().filter(|(key, _)| key != "other").map(|(_, offset)| *offset).collect();
    assert_eq!(first, (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn without_order_events_of_one_key_run_side_by_side() {
    let most = Arc::default();
    let rig = Rig::start_with(options(), Policy::INHERIT.order(DeliveryOrder::Unordered), None, counting(&most));
    for _ in 0..50 {
        rig.publish(0, "same");
    }
    rig.until("all is done", |rig| rig.stats().handled == 50).await;
    assert_eq!(most.load(Ordering::Relaxed), 50);
}

#[tokio::test(start_paused = true)]
async fn newcomers_do_not_overtake_keys_that_wait_for_the_handler() {
    let rig = Rig::start_with(options(), Policy::INHERIT.rate(100), None, |_| async { Outcome::Done });
    for key in 0..100 {
        rig.publish(0, &format!("early-{key}"));
    }
    // A steady stream behind them, as fast as the handler may go.
    for key in 0..300 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        rig.publish(1, &format!("late-{key}"));
    }
    rig.until("all is done", |rig| rig.stats().handled == 400).await;
    let handled = rig.handled.lock();
    let last_early = handled.iter().rposition(|(key, _)| key.starts_with("early")).unwrap();
    assert!(last_early < 220, "{last_early}");
}

/// A hundred keys of partition 0 wait at the gate of a handler that takes ten a second and lets a hundred wait, until `go` makes
/// them stop waiting. Then fifty of partition 1 must be handled at once: none is rejected, and no rate is used up for those that went.
async fn keys_that_stop_waiting(go: impl AsyncFnOnce(&Rig)) -> Rig {
    let policy = Policy::INHERIT.rate(10).max_waiting(100);
    let rig = Rig::start_with(options(), policy, None, |_| async { Outcome::Done });
    for key in 0..100 {
        rig.publish(0, &format!("gone-{key}"));
    }
    rig.until("some are handled, and the others wait", |rig| rig.stats().handled > 0).await;
    go(&rig).await;
    let (before, began) = (rig.stats().handled, Instant::now());
    for key in 0..50 {
        rig.publish(1, &format!("here-{key}"));
    }
    let of_here = |rig: &Rig| rig.handled.lock().iter().filter(|(key, _)| key.starts_with("here")).count();
    rig.until("the others are handled", |rig| of_here(rig) + rig.letters.written.lock().len() == 50).await;
    assert_eq!((rig.stats().dead_lettered, rig.stats().handled - before), (0, 50));
    assert!(began.elapsed() < Duration::from_millis(5_500), "{:?}", began.elapsed());
    rig
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_revoked_partition_use_up_neither_the_handlers_rate_nor_its_room_to_wait() {
    keys_that_stop_waiting(async |rig| rig.revoke_first().await).await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_lost_partition_use_up_neither_the_handlers_rate_nor_its_room_to_wait() {
    keys_that_stop_waiting(async |rig| rig.lose_first().await).await;
}

#[tokio::test(start_paused = true)]
async fn keys_from_before_a_seek_use_up_neither_the_handlers_rate_nor_its_room_to_wait() {
    keys_that_stop_waiting(async |rig| rig.seek_first(100).await).await;
}

#[tokio::test(start_paused = true)]
async fn keys_of_a_paused_partition_use_up_neither_the_handlers_rate_nor_its_room_to_wait_and_go_on_when_it_does() {
    let selection = || Selection { topic: Some("accounts".into()), partition: Some(0) };
    let rig = keys_that_stop_waiting(async |rig| {
        rig.commands.send(Command::Pause(selection()));
        rig.until("the command is taken", |rig| rig.commands.is_idle()).await;
    })
    .await;
    rig.commands.send(Command::Resume(selection()));
    rig.until("all are handled", |rig| rig.stats().handled == 150).await;
}

#[tokio::test(start_paused = true)]
async fn events_that_no_attempt_can_save_never_pause_their_handler() {
    for class in [ErrorClass::Terminal, ErrorClass::Undecodable] {
        let policy = Policy::INHERIT.breaker_keys(3).breaker_pause(Duration::from_mins(1));
        let rig = Rig::start_with(options(), policy, None, move |delivery| async move {
            let poisoned = key_of(&delivery).starts_with("poison");
            if poisoned { HandlerError::new(class, "never").into() } else { Outcome::Done }
        });
        for key in 0..50 {
            rig.publish(0, &format!("poison {key}"));
        }
        rig.publish(0, "well");
        let began = Instant::now();
        rig.until("all are settled", |rig| rig.stats().dead_lettered + rig.stats().handled == 51).await;
        assert_eq!((rig.stats().dead_lettered, rig.stats().retried, rig.stats().breakers_open), (50, 0, 0));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_is_open_is_not_kept_open_by_events_that_no_attempt_can_save() {
    let ill = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let policy = Policy::INHERIT
        .breaker_keys(5)
        .breaker_pause(Duration::from_secs(5))
        .breaker_max_pause(Duration::from_secs(20));
    let rig = Rig::start_with(options(), policy, None, move |delivery| {
        let ill = state.load(Ordering::Relaxed);
        async move {
            match key_of(&delivery) {
                key if key.starts_with("poison") => HandlerError::from("never").terminal().into(),
                _ if ill => HandlerError::from("away").into(),
                _ => Outcome::Done,
            }
        }
    });
    for key in 0..5 {
        rig.publish(0, &key.to_string());
    }
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    for key in 0..50 {
        rig.publish(0, &format!("poison {key}"));
    }
    ill.store(false, Ordering::Relaxed);
    let well = Instant::now();
    rig.until("all are settled", |rig| (rig.stats().handled, rig.stats().dead_lettered) == (5, 50)).await;
    assert!(well.elapsed() < Duration::from_secs(30), "{:?}", well.elapsed());
}
