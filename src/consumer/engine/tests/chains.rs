//! Events that follow each other in a task, and tasks that wait for a place: what they may do without the poll thread, and what not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::sync::Semaphore;

use super::rig::{Rig, TOPIC, key_of, options};
use crate::Delivery;
use crate::consumer::commands::{Command, Selection};
use crate::dispatch::Policy;
use crate::outcome::{HandlerError, Outcome};

/// What has begun, by key and offset.
type Begun = Arc<Mutex<Vec<(String, i64)>>>;

/// A handler that waits for one of `gate`'s permits, and notes when it begins.
fn gated(gate: &Arc<Semaphore>, begun: &Begun) -> impl Fn(Delivery) -> BoxFuture<'static, Outcome> + use<> {
    let (gate, begun) = (Arc::clone(gate), Arc::clone(begun));
    move |delivery| {
        let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
        Box::pin(async move {
            begun.lock().push((key_of(&delivery), delivery.record().offset));
            gate.acquire().await.unwrap().forget();
            Outcome::Done
        })
    }
}

/// A key whose first event runs, and whose others are handed along with the second: `a` in partition 0, offsets 0 to `count` - 1.
async fn chained(rig: &Rig, gate: &Semaphore, begun: &Begun, count: usize) {
    for _ in 0..count {
        rig.publish(0, "a");
    }
    rig.until("the first runs", |_| begun.lock().len() == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Its task began before the others had come; the next one has them.
    gate.add_permits(1);
    rig.until("the second runs", |_| begun.lock().len() == 2).await;
}

#[test]
fn a_keys_next_event_begins_without_the_poll_thread() {
    let engine = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let handlers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    handlers.block_on(async {
        let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
        let handler = gated(&gate, &begun);
        let (blocked, free) = std::sync::mpsc::channel::<()>();
        let free = Arc::new(Mutex::new(free));
        let held = Arc::clone(&free);
        let rig =
            Rig::start_on(engine.handle(), handlers.handle(), options(), Policy::INHERIT, None, move |delivery| {
                if key_of(&delivery) == "blocks" {
                    // On the poll thread, which is in here until the test ends.
                    let _ = held.lock().recv_timeout(Duration::from_secs(60));
                }
                handler(delivery)
            });
        chained(&rig, &gate, &begun, 20).await;
        rig.publish(1, "blocks");
        rig.until("the poll thread is blocked", |_| free.try_lock().is_none()).await;
        gate.add_permits(18);
        rig.until("the key goes on", |rig| rig.handled_of("a").len() == 19).await;
        assert!(free.try_lock().is_none(), "the poll thread was free before");
        gate.add_permits(2);
        drop(blocked);
        rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(20)).await;
    });
    engine.shutdown_background();
}

#[test]
fn a_place_that_is_left_goes_to_another_key_without_the_poll_thread() {
    let engine = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let handlers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    handlers.block_on(async {
        let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
        let handler = gated(&gate, &begun);
        // A filter runs on the poll thread.
        let (blocked, free) = std::sync::mpsc::channel::<()>();
        let free = Arc::new(Mutex::new(free));
        let held = Arc::clone(&free);
        let filter: crate::consumer::plan::Filter = Arc::new(move |envelope| {
            if envelope.id() == Some("1-blocks") {
                let _ = held.lock().recv_timeout(Duration::from_secs(60));
            }
            true
        });
        let options = options().max_in_flight(4);
        let rig = Rig::start_on(engine.handle(), handlers.handle(), options, Policy::INHERIT, Some(filter), handler);
        for key in 0..8 {
            rig.publish(0, &key.to_string());
        }
        rig.until("as many run as may", |rig| begun.lock().len() == 4 && rig.stats().in_flight == 4).await;
        rig.publish(1, "blocks");
        rig.until("the poll thread is blocked", |_| free.try_lock().is_none()).await;
        gate.add_permits(4);
        rig.until("the others run", |_| begun.lock().len() == 8).await;
        assert!(free.try_lock().is_none(), "the poll thread was free before");
        gate.add_permits(10);
        drop(blocked);
        rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(8)).await;
    });
    engine.shutdown_background();
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_ends_its_chains_behind_the_event_that_runs() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
    let rig = Rig::start(options().commit_interval(Duration::from_hours(1)), gated(&gate, &begun));
    chained(&rig, &gate, &begun, 20).await;
    rig.broker.revoke(TOPIC, &[0]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    gate.add_permits(10);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    // What ran was finished and committed; what was handed along was not begun.
    assert_eq!((rig.broker.committed(TOPIC, 0), begun.lock().len()), (Some(2), 2));
    assert_eq!((rig.stats().buffered_bytes, rig.stats().in_flight, rig.stats().retried), (0, 0, 0));
    rig.broker.assign(TOPIC, &[0]);
    gate.add_permits(20);
    rig.until("the rest is delivered again", |rig| rig.handled.lock().len() == 20).await;
    assert_eq!(rig.handled_of("a"), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_a_place_gives_its_partition_back_at_once() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
    let rig = Rig::start(options().max_in_flight(2), gated(&gate, &begun));
    // Partition 1 has all places, the events of partition 0 wait.
    for key in 0..2 {
        rig.publish(1, &key.to_string());
    }
    rig.until("they run", |_| begun.lock().len() == 2).await;
    rig.publish(0, "a");
    rig.publish(0, "b");
    tokio::time::sleep(Duration::from_millis(200)).await;
    rig.broker.revoke(TOPIC, &[0]);
    let start = tokio::time::Instant::now();
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    gate.add_permits(10);
    rig.until("the other one goes on", |rig| rig.broker.committed(TOPIC, 1) == Some(2)).await;
    assert_eq!(begun.lock().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_ends_its_chains_and_goes_on_in_order() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
    let rig = Rig::start(options(), gated(&gate, &begun));
    chained(&rig, &gate, &begun, 20).await;
    rig.commands.send(Command::Pause(Selection { topic: None, partition: None }));
    rig.until("the command is taken", |rig| rig.commands.is_idle()).await;
    gate.add_permits(30);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!((rig.stats().handled, begun.lock().len()), (2, 2));
    rig.commands.send(Command::Resume(Selection { topic: None, partition: None }));
    rig.until("it goes on", |rig| rig.broker.committed(TOPIC, 0) == Some(20)).await;
    assert_eq!(rig.handled_of("a"), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_cancelled_has_handed_nothing_on_and_its_events_have_not_failed() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
    let options = options().commit_interval(Duration::from_hours(1)).drain_timeout(Duration::from_secs(1));
    let policy = Policy::INHERIT.max_attempts(1);
    let rig = Rig::start_with(options, policy, None, gated(&gate, &begun));
    chained(&rig, &gate, &begun, 20).await;
    rig.broker.revoke(TOPIC, &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    rig.until("its handler is cancelled", |rig| rig.stats().in_flight == 0).await;
    gate.add_permits(40);
    assert_eq!((rig.broker.committed(TOPIC, 0), begun.lock().len()), (Some(1), 2));
    assert_eq!((rig.stats().retried, rig.stats().dead_lettered), (0, 0));
    rig.broker.assign(TOPIC, &[0]);
    rig.until("the rest is delivered again", |rig| rig.handled.lock().len() == 20).await;
    assert_eq!(rig.handled_of("a"), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_chain_begins_nothing_when_the_poll_thread_was_away_for_longer_than_a_session() {
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Begun::default());
    let rig = Rig::start(options(), gated(&gate, &begun));
    chained(&rig, &gate, &begun, 20).await;
    // Its task is the first to look around; somebody else is the owner by now, so commits are refused.
    rig.broker.fail_commits(usize::MAX);
    gate.add_permits(30);
    tokio::time::advance(Duration::from_secs(46)).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(begun.lock().len(), 2);
    rig.broker.fail_commits(0);
    rig.until("it is a member still, and goes on", |rig| rig.handled.lock().len() == 20).await;
    assert_eq!(rig.handled_of("a"), (0..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn behind_failures_that_open_a_breaker_nobody_begins_in_a_place_they_leave() {
    let policy = Policy::INHERIT.max_attempts(50).breaker_keys(2).breaker_pause(Duration::from_mins(1));
    let (begun, ill) = (Begun::default(), Arc::new(AtomicBool::new(false)));
    let (noted, fails) = (Arc::clone(&begun), Arc::clone(&ill));
    let rig = Rig::start_with(options().max_in_flight(2), policy, None, move |delivery| {
        let (noted, fails) = (Arc::clone(&noted), Arc::clone(&fails));
        async move {
            noted.lock().push((key_of(&delivery), delivery.record().offset));
            tokio::time::sleep(Duration::from_millis(10)).await;
            if fails.load(Ordering::Relaxed) { HandlerError::from("out of order").into() } else { Outcome::Done }
        }
    });
    for _ in 0..40 {
        for key in 0..5 {
            rig.publish(0, &key.to_string());
        }
    }
    rig.until("they are at it", |rig| rig.stats().handled >= 20).await;
    ill.store(true, Ordering::Relaxed);
    rig.until("the breaker is open", |rig| rig.stats().breakers_open == 1).await;
    let before = begun.lock().len();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(begun.lock().len() - before, 0);
    ill.store(false, Ordering::Relaxed);
    rig.until("all is handled", |rig| rig.stats().handled == 200).await;
    for key in 0..5 {
        assert_eq!(rig.handled_of(&key.to_string()), (0..40).map(|event| event * 5 + key).collect::<Vec<i64>>());
    }
}

#[tokio::test(start_paused = true)]
async fn what_only_the_poll_thread_can_begin_gets_a_place_in_its_turn() {
    let rig = Rig::start(options().max_in_flight(2), |_| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Outcome::Done
    });
    // Keys that would keep all places among themselves for a long time, and an event that does not say what it is.
    for _ in 0..200 {
        for key in 0..4 {
            rig.publish(0, &key.to_string());
        }
    }
    rig.until("they are at it", |rig| rig.stats().handled >= 8).await;
    rig.broker.append(TOPIC, 1, Some(b"nameless"), Some(b"payload"), crate::transport::Headers::new());
    rig.until("it is given up", |rig| rig.stats().dead_lettered == 1).await;
    assert!(rig.stats().handled < 400, "{} came first", rig.stats().handled);
    rig.until("all is handled", |rig| rig.stats().handled == 800).await;
}

/// What a handler does with an event.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Ready,
    Yield,
    Sleep(u64),
    FailOnce,
    PanicOnce,
    TimeOutOnce,
}

fn deeds() -> impl Strategy<Value = Deed> {
    prop_oneof![
        4 => Just(Deed::Ready),
        6 => Just(Deed::Yield),
        6 => (1_u64..20).prop_map(Deed::Sleep),
        1 => Just(Deed::FailOnce),
        1 => Just(Deed::PanicOnce),
        1 => Just(Deed::TimeOutOnce),
    ]
}

#[expect(clippy::panic, reason = "a handler that panics")]
async fn does(deed: Deed, attempt: u32) -> Outcome {
    match deed {
        Deed::Yield => tokio::task::yield_now().await,
        Deed::Sleep(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
        Deed::FailOnce if attempt == 1 => {
            tokio::task::yield_now().await;
            return HandlerError::from("not yet").into();
        }
        Deed::PanicOnce if attempt == 1 => {
            tokio::task::yield_now().await;
            panic!("told to");
        }
        Deed::TimeOutOnce if attempt == 1 => std::future::pending().await,
        _ => {}
    }
    Outcome::Done
}

/// What became of the events: those handled, by key; the most handlers there were at once; and those that were behind an unfinished
/// one of their key.
fn run_model(
    events: &[(u8, Deed)],
    in_flight: usize,
    revoke_after: Option<usize>,
) -> (BTreeMap<String, Vec<i64>>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let deeds: Vec<Deed> = events.iter().map(|(_, deed)| *deed).collect();
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        let policy = Policy::INHERIT.timeout(Duration::from_secs(1)).max_attempts(5);
        let rig = Rig::start_with(options().max_in_flight(in_flight), policy, None, move |delivery| {
            let deed = deeds[usize::try_from(delivery.record().offset).unwrap()];
            let (running, seen) = (Arc::clone(&running), Arc::clone(&seen));
            async move {
                let count = Counted::begin(running);
                seen.fetch_max(count.0.load(Ordering::Relaxed), Ordering::Relaxed);
                does(deed, delivery.attempt()).await
            }
        });
        for (key, _) in events {
            rig.publish(0, &key.to_string());
        }
        let count = i64::try_from(events.len()).unwrap();
        if let Some(after) = revoke_after {
            rig.until("some are handled", |rig| rig.handled.lock().len() >= after).await;
            rig.broker.revoke(TOPIC, &[0]);
            rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
            rig.broker.assign(TOPIC, &[0]);
        }
        rig.until("all is committed", |rig| rig.broker.committed(TOPIC, 0) == Some(count)).await;
        let mut by_key = BTreeMap::<_, Vec<_>>::new();
        for (key, offset) in rig.handled.lock().iter() {
            by_key.entry(key.clone()).or_default().push(*offset);
        }
        assert_eq!((rig.stats().buffered_bytes, rig.stats().in_flight), (0, 0));
        (by_key, most.load(Ordering::Relaxed))
    })
}

/// A handler that runs, until dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn begin(running: Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Ordering::Relaxed);
        Self(running)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn whatever_handlers_do_each_event_is_done_once_each_key_in_order_and_no_more_run_than_may(
        events in proptest::collection::vec((0_u8..5, deeds()), 1..80),
        in_flight in 1_usize..6,
        revoke_after in proptest::option::of(0_usize..40),
    ) {
        // A drained partition hands over in order, and repeats nothing: all that ran was finished and committed.
        let revoke_after = revoke_after.filter(|after| *after < events.len());
        let (handled, most) = run_model(&events, in_flight, revoke_after);
        let mut expected = BTreeMap::<_, Vec<_>>::new();
        for (offset, (key, _)) in (0_i64..).zip(&events) {
            expected.entry(key.to_string()).or_default().push(offset);
        }
        prop_assert_eq!(handled, expected);
        // The one that is polled on the poll thread, to see whether it is ready, has a place too.
        prop_assert!(most <= in_flight, "{} at once", most);
    }
}
