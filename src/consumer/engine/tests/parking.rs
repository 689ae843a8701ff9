//! Parked keys: what waits, what goes on, and what operators ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::rig::{EVENT, Rig, TOPIC, key_of, options};
use crate::consumer::commands::Command;
use crate::consumer::dead_letter_header as header;
use crate::consumer::error::StopReason;
use crate::consumer::options::ConsumerOptions;
use crate::consumer::parked::{ParkRequest, ParkedKeyId, ParkedStore as _};
use crate::consumer::plan::Filter;
use crate::dispatch::{OnExhausted, Policy};
use crate::envelope::header as envelope;
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::{Headers, TopicPartition};

pub(super) const PARK: Policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::ParkKey);

/// Offsets that fail, until they are mended.
#[derive(Debug, Clone, Default)]
pub(super) struct Broken(Arc<Mutex<Vec<i64>>>);

impl Broken {
    pub(super) fn at(offsets: &[i64]) -> Self {
        Self(Arc::new(Mutex::new(offsets.to_vec())))
    }

    pub(super) fn mend(&self, offset: i64) {
        self.0.lock().retain(|broken| *broken != offset);
    }

    fn fails(&self, offset: i64) -> bool {
        self.0.lock().contains(&offset)
    }
}

/// Parks a key whose events are broken.
pub(super) fn start(options: ConsumerOptions, broken: &Broken) -> Rig {
    let broken = broken.clone();
    Rig::start_with(options, PARK, None, move |delivery| {
        let fails = broken.fails(delivery.record().offset);
        async move { if fails { HandlerError::from("no such player").into() } else { Outcome::Done } }
    })
}

pub(super) fn id(partition: i32, key: &str) -> ParkedKeyId {
    let partition = TopicPartition { topic: TOPIC.into(), partition };
    ParkedKeyId { group: "tests.Tests".into(), partition, key: Bytes::copy_from_slice(key.as_bytes()) }
}

/// The offsets that are parked of a key.
pub(super) async fn parked(rig: &Rig, key: &str) -> Vec<i64> {
    let records = rig.parked.records(id(0, key), 1_000).await.unwrap();
    records.iter().map(|record| record.offset).collect()
}

pub(super) async fn ask(rig: &Rig, key: &str, request: ParkRequest) {
    assert!(rig.parked.request(id(0, key), Some(request)).await.unwrap());
    rig.commands.send(Command::LookAtParked);
}

pub(super) async fn asked(rig: &Rig, key: &str) -> Option<ParkRequest> {
    let keys = rig.parked.keys("tests.Tests".into(), Vec::new()).await.unwrap();
    keys.into_iter().find(|parked| *parked.key == *key.as_bytes()).and_then(|parked| parked.request)
}

pub(super) async fn until_committed(rig: &Rig, offset: i64) {
    rig.until("it is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(offset)).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_key_is_parked_with_its_successors_and_no_other_key_waits() {
    let rig = start(options(), &Broken::at(&[0]));
    for key in ["bad", "good", "bad", "good", "bad"] {
        rig.publish(0, key);
    }
    // The offset moves past what is parked.
    until_committed(&rig, 5).await;
    assert_eq!((rig.handled_of("good"), rig.handled_of("bad")), (vec![1, 3], vec![]));
    assert_eq!(parked(&rig, "bad").await, [0, 2, 4]);
    let stats = rig.stats();
    assert_eq!((stats.parked, stats.parked_keys, stats.dead_lettered, stats.buffered_bytes), (3, 1, 0, 0));

    let records = rig.parked.records(id(0, "bad"), 3).await.unwrap();
    let cause = records[0].cause.clone().unwrap();
    assert_eq!(
        (cause.handler.as_deref(), &*cause.class, &*cause.error),
        (Some("Tests::handler"), "retryable", "no such player")
    );
    assert_eq!(cause.attempts, 1);
    assert_eq!(records[0].headers.get_str(envelope::TYPE), Some(EVENT));
    assert!(records[1].cause.is_none() && records[2].cause.is_none(), "they only wait");
}

#[tokio::test(start_paused = true)]
async fn a_released_keys_events_are_handled_in_order_and_its_new_ones_behind_them() {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    // More than are fetched at once.
    for _ in 0..200 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 200).await;
    broken.mend(0);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("it has begun", |rig| rig.handled_of("bad").len() >= 10).await;
    for _ in 0..50 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 250).await;
    assert_eq!(rig.handled_of("bad"), (0..250).collect::<Vec<_>>());
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert!(rig.parked.keys("tests.Tests".into(), Vec::new()).await.unwrap().is_empty());
    assert_eq!((rig.stats().unparked, rig.stats().buffered_bytes), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_parks_the_event_again_and_keeps_the_rest_behind_it() {
    let broken = Broken::at(&[0, 2]);
    let rig = start(options(), &broken);
    for _ in 0..4 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 4).await;
    broken.mend(0);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("the first two are handled", |rig| rig.handled_of("bad") == [0, 1]).await;
    rig.publish(0, "bad");
    until_committed(&rig, 5).await;
    assert_eq!((parked(&rig, "bad").await, asked(&rig, "bad").await), (vec![2, 3, 4], None));
    assert_eq!((rig.stats().buffered_bytes, rig.stats().parked_keys), (0, 1));

    broken.mend(2);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_skip_forgets_one_event_and_handles_the_rest() {
    let rig = start(options(), &Broken::at(&[0]));
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 3).await;
    ask(&rig, "bad", ParkRequest::Skip).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_skip_that_is_interrupted_skips_no_second_event() {
    let rig = start(options(), &Broken::at(&[0, 1]));
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 3).await;
    // Each of the calls that a skip makes fails once.
    rig.parked.fail_each(&["read", "ask about", "remove", "read"]);
    ask_quietly(&rig, "bad", ParkRequest::Skip).await;
    rig.until("the second one has failed", |rig| rig.stats().parked == 3 && rig.parked.pending_failures() == 0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((parked(&rig, "bad").await, rig.handled_of("bad")), (vec![1, 2], vec![]));
}

/// As [`ask`], while the store is told to fail.
async fn ask_quietly(rig: &Rig, key: &str, request: ParkRequest) {
    while rig.parked.request(id(0, key), Some(request)).await.is_err() {}
    rig.commands.send(Command::LookAtParked);
}

#[tokio::test(start_paused = true)]
async fn a_discard_forgets_all_and_the_key_goes_on() {
    let rig = start(options(), &Broken::at(&[0]));
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 3).await;
    ask(&rig, "bad", ParkRequest::Discard).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    rig.publish(0, "bad");
    until_committed(&rig, 4).await;
    assert_eq!(rig.handled_of("bad"), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_holds_the_offset_and_is_tried_again() {
    let rig = start(options(), &Broken::at(&[0]));
    rig.until("the partitions are here", |rig| rig.stats().assigned == 2).await;
    rig.parked.fail_next(5);
    rig.publish(0, "bad");
    rig.publish(0, "bad");
    rig.publish(0, "good");
    rig.until("the failures are used up", |rig| {
        let held = rig.broker.committed(TOPIC, 0).is_none_or(|offset| offset == 0);
        assert!(held || rig.parked.pending_failures() == 0, "an event is in the store before its offset moves");
        rig.parked.pending_failures() == 0
    })
    .await;
    until_committed(&rig, 3).await;
    assert_eq!((parked(&rig, "bad").await, rig.handled_of("good")), (vec![0, 1], vec![2]));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_partition_begins_before_its_parked_keys_are_known() {
    let rig = start(options(), &Broken::at(&[0]));
    rig.publish(0, "bad");
    until_committed(&rig, 1).await;
    rig.broker.revoke(TOPIC, &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    rig.parked.fail_next(3);
    rig.broker.assign(TOPIC, &[0]);
    rig.publish(0, "bad");
    rig.publish(0, "good");
    rig.until("it is back", |rig| rig.stats().assigned == 2).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(rig.parked.pending_failures() > 0 && rig.handled.lock().is_empty());
    until_committed(&rig, 3).await;
    assert_eq!((parked(&rig, "bad").await, rig.handled_of("good")), (vec![0, 1], vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_while_a_key_is_released_delays_it_and_loses_nothing() {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 3).await;
    broken.mend(0);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.parked.fail_each(&["read", "remove", "remove", "read", "remove"]);
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), [0, 1, 2]);
    assert!(rig.parked.keys("tests.Tests".into(), Vec::new()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_keeps_what_is_parked_and_its_order() {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    for _ in 0..100 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 100).await;
    rig.broker.revoke(TOPIC, &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    assert_eq!(rig.stats().parked_keys, 0);
    rig.publish(0, "bad");
    broken.mend(0);
    // Asked while nobody has the partition.
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.broker.assign(TOPIC, &[0]);
    until_committed(&rig, 101).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0 && rig.stats().assigned == 2).await;
    assert_eq!(rig.handled_of("bad"), (0..101).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_partition_revoked_in_the_middle_of_a_release_goes_on_where_it_was() {
    let (broken, slow) = (Broken::at(&[0]), Arc::new(AtomicBool::new(false)));
    let (fails, slowly) = (broken.clone(), Arc::clone(&slow));
    let rig = Rig::start_with(options(), PARK, None, move |delivery| {
        let (fails, slow) = (fails.fails(delivery.record().offset), slowly.load(Ordering::Relaxed));
        async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if fails { HandlerError::from("away").into() } else { Outcome::Done }
        }
    });
    for _ in 0..100 {
        rig.publish(0, "bad");
    }
    until_committed(&rig, 100).await;
    broken.mend(0);
    slow.store(true, Ordering::Relaxed);
    ask(&rig, "bad", ParkRequest::Release).await;
    for round in 1..=3 {
        rig.until("some are handled", |rig| rig.handled_of("bad").len() >= round * 20).await;
        rig.broker.revoke(TOPIC, &[0]);
        rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
        assert_eq!(rig.stats().buffered_bytes, 0);
        rig.broker.assign(TOPIC, &[0]);
    }
    rig.until("the key is free", |rig| rig.handled_of("bad").len() >= 100 && rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_event_delivered_again_after_it_was_parked_replaces_itself() {
    let rig = start(options().commit_interval(Duration::from_hours(1)), &Broken::at(&[0]));
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    rig.until("all are parked", |rig| rig.stats().parked == 3).await;
    // Nothing was committed: all of them come again.
    rig.broker.lose(TOPIC, &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign(TOPIC, &[0]);
    rig.until("all are parked again", |rig| rig.stats().parked == 6).await;
    assert_eq!((parked(&rig, "bad").await, rig.handled_of("bad")), (vec![0, 1, 2], vec![]));
}

#[tokio::test(start_paused = true)]
async fn an_event_delivered_again_after_it_was_parked_keeps_why_it_was() {
    let rig = start(options().commit_interval(Duration::from_hours(1)), &Broken::at(&[0]));
    for _ in 0..2 {
        rig.publish(0, "bad");
    }
    rig.until("all are parked", |rig| rig.stats().parked == 2).await;
    let causes = async || {
        let records = rig.parked.records(id(0, "bad"), 9).await.unwrap();
        records.into_iter().map(|record| record.cause).collect::<Vec<_>>()
    };
    let before = causes().await;
    assert!(before[0].is_some() && before[1].is_none(), "{before:?}");
    // Its key is parked by now: it comes behind the others, and no handler is asked again.
    rig.broker.lose(TOPIC, &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign(TOPIC, &[0]);
    rig.until("all are parked again", |rig| rig.stats().parked == 4).await;
    assert_eq!(causes().await, before);
}

#[tokio::test(start_paused = true)]
async fn events_delivered_again_do_not_count_towards_the_bound_of_a_key() {
    let rig = start(options().max_parked_per_key(4).commit_interval(Duration::from_hours(1)), &Broken::at(&[0]));
    for _ in 0..3 {
        rig.publish(0, "bad");
    }
    rig.until("all are parked", |rig| rig.stats().parked == 3).await;
    rig.broker.lose(TOPIC, &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign(TOPIC, &[0]);
    rig.until("all are parked again", |rig| rig.stats().parked == 6 || rig.task.is_finished()).await;
    assert!(!rig.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn too_many_parked_events_of_a_key_stop_the_consumer_and_lose_nothing() {
    let rig = start(options().max_parked_per_key(2), &Broken::at(&[0]));
    for key in ["bad", "bad", "good", "bad"] {
        rig.publish(0, key);
    }
    let (broker, store) = (rig.broker.clone(), rig.parked.clone());
    let reason = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(reason, StopReason::TooManyParked { parked: 2, .. }), "{reason}");
    assert_eq!(broker.committed(TOPIC, 0), Some(3), "the one that found no room is not behind it");
    assert_eq!(store.records(id(0, "bad"), 9).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_released_event_that_is_dead_lettered_leaves_the_store() {
    let decided = Arc::new(AtomicBool::new(false));
    let give_up = Arc::clone(&decided);
    let rig = Rig::start_with(options(), PARK, None, move |delivery| {
        let (first, give_up) = (delivery.record().offset == 0, give_up.load(Ordering::Relaxed));
        async move {
            match (first, give_up) {
                (true, true) => Outcome::dead_letter("no use"),
                (true, false) => HandlerError::from("away").into(),
                _ => Outcome::Done,
            }
        }
    });
    rig.publish(0, "bad");
    rig.publish(0, "bad");
    until_committed(&rig, 2).await;
    decided.store(true, Ordering::Relaxed);
    // The letter is written before the store forgets the event.
    rig.letters.refusals.lock().extend([(); 3]);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    let letters = rig.letters.written.lock();
    assert_eq!((letters.len(), letters[0].headers.get_str(header::OFFSET)), (1, Some("0")));
    assert_eq!((rig.handled_of("bad"), rig.stats().unparked), (vec![1], 2));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_reaches_no_handler_waits_behind_its_parked_predecessors() {
    let broken = Broken::at(&[0]);
    let fails = broken.clone();
    let filter: Filter = Arc::new(|envelope| {
        assert!(envelope.id() != Some("broken"), "a bug");
        true
    });
    let rig = Rig::start_with(options(), PARK, Some(filter), move |delivery| {
        let fails = fails.fails(delivery.record().offset);
        async move { if fails { HandlerError::from("away").into() } else { Outcome::Done } }
    });
    rig.publish(0, "bad");
    let mut headers = Headers::new();
    headers.push_str(envelope::TYPE, EVENT);
    headers.push_str(envelope::ID, "broken");
    rig.broker.append(TOPIC, 0, Some(b"bad"), Some(b"payload"), headers);
    until_committed(&rig, 2).await;
    assert!(rig.letters.written.lock().is_empty());
    assert_eq!(parked(&rig, "bad").await, [0, 1]);
    broken.mend(0);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("the first is handled", |rig| rig.handled_of("bad") == [0]).await;
    // The other fails as before, and is parked as the policy says, until somebody decides.
    rig.until("the first has left the store", |rig| rig.stats().unparked == 1).await;
    ask(&rig, "bad", ParkRequest::Skip).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!((rig.handled_of("bad"), rig.letters.written.lock().len()), (vec![0], 0));
}

#[tokio::test(start_paused = true)]
async fn a_record_without_a_key_is_dead_lettered_where_keys_are_parked() {
    let rig = start(options(), &Broken::at(&[0]));
    rig.publish(0, "");
    rig.publish(0, "");
    until_committed(&rig, 2).await;
    assert_eq!((rig.letters.written.lock().len(), rig.stats().parked), (1, 0));
    assert_eq!(rig.handled_of(""), [1]);
}

#[tokio::test(start_paused = true)]
async fn thousands_of_keys_released_at_once_are_released_a_few_at_a_time() {
    const KEYS: i64 = 1_000;
    let mended = Arc::new(AtomicBool::new(false));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (is_mended, now, peak) = (Arc::clone(&mended), Arc::clone(&running), Arc::clone(&most));
    let rig = Rig::start_with(options(), PARK, None, move |_| {
        let (mended, running, most) = (Arc::clone(&is_mended), Arc::clone(&now), Arc::clone(&peak));
        async move {
            if !mended.load(Ordering::Relaxed) {
                return Outcome::park("away");
            }
            most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            running.fetch_sub(1, Ordering::Relaxed);
            Outcome::Done
        }
    });
    for round in 0..2 {
        for key in 0..KEYS {
            assert_eq!(rig.publish(0, &format!("key {key}")), round * KEYS + key);
        }
    }
    until_committed(&rig, 2 * KEYS).await;
    assert_eq!(rig.stats().parked_keys, KEYS.unsigned_abs());
    mended.store(true, Ordering::Relaxed);
    for key in 0..KEYS {
        assert!(rig.parked.request(id(0, &format!("key {key}")), Some(ParkRequest::Release)).await.unwrap());
    }
    rig.until("all keys are free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(most.load(Ordering::Relaxed), 16);
    for key in 0..KEYS {
        assert_eq!(rig.handled_of(&format!("key {key}")), [key, KEYS + key]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_with_its_failing_event_and_no_longer_than_it_is_tried() {
    let policy = Policy::INHERIT.max_attempts(3).on_exhausted(OnExhausted::ParkKey);
    let rig = Rig::start_with(options(), policy, None, |delivery| async move {
        if key_of(&delivery) == "bad" { HandlerError::from("away").into() } else { Outcome::Done }
    });
    rig.publish(0, "bad");
    until_committed(&rig, 1).await;
    let records = rig.parked.records(id(0, "bad"), 1).await.unwrap();
    assert_eq!(records[0].cause.as_ref().unwrap().attempts, 3);
    assert_eq!(rig.stats().retried, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_released_event_says_of_itself_is_what_it_said_at_first() {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    let mut headers = Headers::new();
    headers.push_str(envelope::TYPE, EVENT);
    headers.push_str(envelope::SCHEMA_VERSION, "1.0.0");
    headers.push([0xff, 0x00], Some(&[0xfe]));
    headers.push("null", None);
    rig.broker.append(TOPIC, 0, Some(b"bad"), Some(b"\xffpayload"), headers);
    until_committed(&rig, 1).await;
    let record = rig.parked.records(id(0, "bad"), 1).await.unwrap().remove(0).into_record();
    assert_eq!(
        (record.offset, record.key.as_deref(), record.payload.as_deref()),
        (0, Some(&b"bad"[..]), Some(&b"\xffpayload"[..]))
    );
    let headers: Vec<_> =
        record.headers.iter().map(|header| (header.name.to_vec(), header.value.map(<[u8]>::to_vec))).collect();
    assert_eq!(headers[2..], [(vec![0xff, 0], Some(vec![0xfe])), (b"null".to_vec(), None)]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_asked_again_which_keys_are_parked_and_what_is_asked_of_them() {
    let broken = Broken::at(&[0]);
    let rig = start(options(), &broken);
    rig.publish(0, "bad");
    until_committed(&rig, 1).await;
    rig.broker.revoke(TOPIC, &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    rig.parked.panic_next(3);
    rig.broker.assign(TOPIC, &[0]);
    rig.publish(0, "bad");
    rig.publish(0, "good");
    until_committed(&rig, 3).await;
    assert_eq!((parked(&rig, "bad").await, rig.handled_of("good")), (vec![0, 1], vec![2]));
    rig.parked.panic_next(3);
    rig.until("it was looked at what is asked", |rig| rig.parked.pending_panics() == 0).await;
    broken.mend(0);
    ask(&rig, "bad", ParkRequest::Release).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("bad"), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_of_a_released_key_is_bounded_in_bytes() {
    const BUDGET: usize = 64 * 1_024;
    for budget in [BUDGET, 2_000] {
        let broken = Broken::at(&[0]);
        let fails = broken.clone();
        let options = options().max_buffered_bytes(budget).commit_interval(Duration::from_millis(10));
        let rig = Rig::start_with(options, PARK, None, move |delivery| {
            let fails = fails.fails(delivery.record().offset);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                if fails { HandlerError::from("away").into() } else { Outcome::Done }
            }
        });
        for _ in 0..200 {
            rig.publish(0, "bad");
        }
        until_committed(&rig, 200).await;
        broken.mend(0);
        ask(&rig, "bad", ParkRequest::Release).await;
        let most = AtomicUsize::new(0);
        rig.until("the key is free", |rig| {
            most.fetch_max(usize::try_from(rig.stats().buffered_bytes).unwrap(), Ordering::Relaxed);
            rig.stats().parked_keys == 0
        })
        .await;
        assert_eq!(rig.handled_of("bad"), (0..200).collect::<Vec<_>>());
        // A 64th of the budget, or one event.
        let most = most.load(Ordering::Relaxed);
        assert!(most > 0 && most <= BUDGET / 64, "{most} of {budget}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fork_is_parked_whatever_becomes_of_other_events_and_handled_when_it_is_released() {
    let noted = Arc::<Mutex<Option<Arc<super::rig::Passed>>>>::default();
    let inbox = Arc::clone(&noted);
    // As the inbox: the second event has the place of the first, unless it is noted as passed over.
    let rig = Rig::start(options(), move |delivery| {
        let passed = inbox.lock().clone();
        let offset = delivery.record().offset;
        let is_noted = passed.is_some_and(|passed| passed.noted.lock().iter().any(|(_, noted, _)| *noted == offset));
        async move {
            if offset == 1 && !is_noted {
                return HandlerError::new(ErrorClass::Forked, "another event has its place").into();
            }
            Outcome::Done
        }
    });
    *noted.lock() = Some(Arc::clone(&rig.passed));
    for key in ["42", "42", "42", "7"] {
        rig.publish(0, key);
    }
    until_committed(&rig, 4).await;
    assert_eq!((parked(&rig, "42").await, rig.handled_of("42"), rig.handled_of("7")), (vec![1, 2], vec![0], vec![3]));
    let cause = rig.parked.records(id(0, "42"), 1).await.unwrap()[0].cause.clone().unwrap();
    assert_eq!((&*cause.class, rig.stats().dead_lettered, rig.passed.noted.lock().len()), ("forked", 0, 1));
    ask(&rig, "42", ParkRequest::Release).await;
    rig.until("the key is free", |rig| rig.stats().parked_keys == 0).await;
    assert_eq!(rig.handled_of("42"), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_fork_that_cannot_be_parked_yet_is_not_noted_either() {
    let rig = Rig::start(options(), |_| async { HandlerError::new(ErrorClass::Forked, "its place is taken").into() });
    rig.parked.fail_next(usize::MAX);
    rig.publish(0, "42");
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.stats().parked, 0);
    assert!(rig.passed.noted.lock().is_empty(), "another delivery would be handled though nobody has looked");
    rig.parked.fail_next(0);
    until_committed(&rig, 1).await;
    assert_eq!((parked(&rig, "42").await, rig.passed.noted.lock().len()), (vec![0], 1));
}

#[tokio::test(start_paused = true)]
async fn a_fork_without_a_key_is_dead_lettered() {
    let forked = || Outcome::from(HandlerError::new(ErrorClass::Forked, "another event has its place"));
    let rig = Rig::start(options(), move |_| async move { forked() });
    rig.publish(0, "");
    until_committed(&rig, 1).await;
    assert_eq!(rig.letters.written.lock()[0].headers.get_str(header::CLASS), Some("forked"));
}
