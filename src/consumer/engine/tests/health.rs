//! Health: live means that the thread turns, ready that it gets on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{self, Handle, Runtime};
use tokio::sync::Notify;

use super::rig::{EVENT, Rig, TOPIC, key_of, options};
use crate::consumer::health::{HealthOptions, StreamCount};
use crate::consumer::options::ConsumerOptions;
use crate::dispatch::{DeliveryOrder, Policy};
use crate::envelope::header;
use crate::outcome::{HandlerError, Outcome};
use crate::transport::Headers;

fn limits() -> HealthOptions {
    HealthOptions::default()
        .poll_timeout(Duration::from_secs(30))
        .progress_timeout(Duration::from_mins(2))
        .handler_grace(Duration::from_secs(5))
        .show_keys(true)
}

fn watched() -> ConsumerOptions {
    options().health(limits())
}

/// What a handler waits for, and a policy that does not cancel it meanwhile.
fn hanging() -> (Arc<Notify>, Policy) {
    (Arc::new(Notify::new()), Policy::INHERIT.timeout(Duration::from_hours(1_000)))
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_gets_on_is_live_and_ready() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    for key in ["1", "2", "2"] {
        rig.publish(0, key);
    }
    rig.until("all is handled and told", |rig| rig.health().consumed.iter().any(|(_, taken)| *taken == 3)).await;
    let health = rig.health();
    assert!(health.live && health.ready && health.reasons.is_empty(), "{health:?}");
    let partition = &health.partitions[0];
    assert_eq!((partition.watermark, partition.next, partition.end), (Some(3), Some(3), Some(3)));
    assert_eq!((partition.lag_messages, partition.lag), (Some(0), Some(Duration::ZERO)));
    assert_eq!((health.partitions.len(), health.partitions[1].lag_messages), (2, Some(0)));
    assert_eq!((health.hottest_keys[0].key.as_str(), health.hottest_keys[0].events), ("2", 2));
}

#[tokio::test(start_paused = true)]
async fn the_streams_with_gaps_and_those_with_repeats_are_told() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    let publish = |stream: &str, sequence: u32, id: &str| {
        let mut headers = Headers::new();
        headers.push_str(header::TYPE, EVENT);
        headers.push_str(header::SCHEMA_VERSION, "1.0.0");
        headers.push_str(header::SUBJECT, stream);
        headers.push_str(header::SEQUENCE, &sequence.to_string());
        headers.push_str(header::ID, id);
        rig.broker.append(TOPIC, 0, Some(stream.as_bytes()), Some(b"payload"), headers);
    };
    for (stream, sequence, id) in [
        ("Account/1", 1, "a"),
        ("Account/1", 2, "b"),
        ("Account/2", 1, "c"),
        ("Account/2", 4, "d"),
        ("Account/2", 4, "d"),
        ("Account/2", 3, "e"),
        ("Account/3", 7, "f"),
        ("Account/3", 9, "g"),
        ("Account/3", 9, "another"),
    ] {
        publish(stream, sequence, id);
    }
    rig.until("all is taken and told", |rig| rig.health().consumed.iter().any(|(_, taken)| *taken == 9)).await;
    let health = rig.health();
    let of =
        |counts: &[StreamCount]| counts.iter().map(|count| (count.stream.clone(), count.events)).collect::<Vec<_>>();
    let streams = &health.irregular_streams;
    assert_eq!(of(&streams.gaps), [("Account/2".to_owned(), 2), ("Account/3".to_owned(), 1)]);
    assert_eq!(of(&streams.repeats), [("Account/2".to_owned(), 1)]);
    assert_eq!(of(&streams.out_of_order), [("Account/2".to_owned(), 1)]);
    assert_eq!(of(&streams.forks), [("Account/3".to_owned(), 1)]);
    assert_eq!(health.irregular, [(TOPIC.to_owned(), [3, 1, 1, 1])]);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_is_not_ready_before_the_group_lets_it_in_nor_after_losing_its_partitions() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    let health = rig.health();
    assert!(health.live && !health.ready, "{health:?}");
    assert!(health.reasons[0].contains("not begun"), "{health:?}");
    rig.until("it is ready", |rig| rig.health().ready).await;
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("it is not", |rig| !rig.health().ready).await;
    assert!(rig.health().reasons[0].contains("were lost"), "{:?}", rig.health().reasons);
    // Nothing to be assigned is a place in the group too.
    rig.broker.assign("accounts", &[]);
    rig.until("it is ready again", |rig| rig.health().ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_holds_its_partition_for_long_is_named_with_its_key_and_makes_the_group_unready_but_live() {
    let (release, policy) = hanging();
    let held = Arc::clone(&release);
    let rig = Rig::start_with(watched(), policy, None, move |delivery| {
        let held = Arc::clone(&held);
        async move {
            if key_of(&delivery) == "42" {
                held.notified().await;
            }
            Outcome::Done
        }
    });
    rig.publish(1, "7");
    rig.publish(1, "42");
    rig.publish(1, "8");
    rig.until("the others are done", |rig| rig.handled.lock().len() == 2).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let health = rig.health();
    assert!(health.live && health.ready, "{health:?}");
    let oldest = health.partitions[1].oldest_unfinished.clone().unwrap();
    assert_eq!((oldest.offset, health.partitions[1].lag_messages, health.in_flight), (1, Some(2), 1));
    assert!(oldest.unmoved >= Duration::from_secs(29), "{oldest:?}");
    let waits_for = oldest.waits_for.unwrap();
    assert!(waits_for.contains("Tests::handler") && waits_for.contains("key 42"), "{waits_for}");

    tokio::time::sleep(Duration::from_mins(2)).await;
    let health = rig.health();
    assert!(health.live && !health.ready, "{health:?}");
    let reason = &health.reasons[0];
    assert!(reason.contains("accounts[1] has not moved for 1") && reason.contains("offset 1 "), "{reason}");
    assert!(reason.contains("Tests::handler") && reason.contains("key 42"), "{reason}");

    release.notify_one();
    rig.until("it is ready again", |rig| rig.health().ready).await;
    assert_eq!(rig.health().partitions[1].lag_messages, Some(0));
}

#[tokio::test(start_paused = true)]
async fn an_event_behind_others_of_its_partition_is_named_with_its_own_key() {
    let (_, policy) = hanging();
    let options = watched().order(DeliveryOrder::Partition);
    let rig = Rig::start_with(options, policy, None, |delivery| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if key_of(&delivery) == "8" {
            std::future::pending::<()>().await;
        }
        Outcome::Done
    });
    for key in ["7", "7", "8"] {
        rig.publish(0, key);
    }
    rig.until("two are done", |rig| rig.handled.lock().len() == 2).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let oldest = rig.health().partitions[0].oldest_unfinished.clone().unwrap();
    let waits_for = oldest.waits_for.unwrap();
    assert!(oldest.offset == 2 && waits_for.contains("key 8"), "{waits_for}");
}

/// One thread beside the test's: what blocks it blocks nothing else. In real time.
pub(super) struct OtherThread(Option<Runtime>);

impl OtherThread {
    fn new() -> Self {
        Self::of(1)
    }

    /// Several, each to be blocked by itself.
    pub(super) fn of(threads: usize) -> Self {
        Self(Some(runtime::Builder::new_multi_thread().worker_threads(threads).enable_time().build().unwrap()))
    }

    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().unwrap().handle().clone()
    }
}

impl Drop for OtherThread {
    fn drop(&mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

/// Block the thread until `released`.
pub(super) fn block(released: &AtomicBool) {
    while !released.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[tokio::test]
async fn a_handler_that_blocks_its_thread_is_stuck_once_its_timeout_and_grace_have_passed() {
    let released = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&released);
    let limits = limits().handler_grace(Duration::from_millis(50));
    let policy = Policy::INHERIT.timeout(Duration::from_millis(50));
    let (other, here) = (OtherThread::new(), Handle::current());
    let rig = Rig::start_on(&here, &other.handle(), options().health(limits), policy, None, move |_| {
        let held = Arc::clone(&held);
        async move {
            tokio::task::yield_now().await;
            block(&held);
            Outcome::Done
        }
    });
    rig.publish(0, "42");
    rig.until("it is stuck", |rig| !rig.health().stuck.is_empty()).await;
    let health = rig.health();
    assert!(health.live && !health.ready, "{health:?}");
    let stuck = &health.stuck[0];
    assert_eq!((stuck.running, stuck.offset, stuck.key.as_deref()), ("Tests::handler", 0, Some("42")));
    assert!(health.reasons[0].starts_with("Tests::handler runs for"), "{:?}", health.reasons);
    released.store(true, Ordering::Relaxed);
    rig.until("it is ready again", |rig| rig.health().ready).await;
}

#[tokio::test]
async fn a_handler_that_keeps_the_polling_thread_makes_it_not_live_and_is_named() {
    let released = Arc::new(AtomicBool::new(false));
    let held = Arc::clone(&released);
    let limits = limits().poll_timeout(Duration::from_millis(500));
    let other = OtherThread::new();
    let rig =
        Rig::start_on(&other.handle(), &other.handle(), options().health(limits), Policy::INHERIT, None, move |_| {
            block(&held);
            std::future::ready(Outcome::Done)
        });
    rig.until("it is ready", |rig| rig.health().ready).await;
    rig.publish(1, "42");
    rig.until("it is not live", |rig| !rig.health().live).await;
    let reason = rig.health().reasons.remove(0);
    assert!(reason.contains("Tests::handler keeps it, with offset 0 of accounts[1]"), "{reason}");
    released.store(true, Ordering::Relaxed);
    rig.until("it is live and ready again", |rig| rig.health().live && rig.health().ready).await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_never_answered_is_stuck_too() {
    let rig = Rig::start(watched().timeout(Duration::from_secs(20)), |_| async { Outcome::dead_letter("no use") });
    rig.letters.silent.store(true, Ordering::Relaxed);
    rig.publish(0, "42");
    rig.until("it is stuck", |rig| !rig.health().stuck.is_empty()).await;
    let health = rig.health();
    assert_eq!((health.stuck[0].running, health.live, health.ready), ("the dead letter", true, false));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_retried_too_long_makes_the_group_unready_and_says_so() {
    let policy = Policy::INHERIT.max_attempts(1_000_000).max_age(Duration::from_hours(10));
    let rig = Rig::start_with(watched(), policy, None, |delivery| async move {
        if delivery.record().offset == 0 { HandlerError::from("away").into() } else { Outcome::Done }
    });
    rig.publish(0, "bad");
    rig.publish(0, "good");
    rig.until("it is unready", |rig| rig.health().live && !rig.health().ready && rig.handled_of("good") == [1]).await;
    rig.until("it says why", |rig| rig.health().reasons.iter().any(|why| why.contains("failed"))).await;
    let reasons = rig.health().reasons;
    assert!(reasons[0].contains("in Tests::handler and waits for its next attempt, key bad"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_does_not_turn_is_not_live() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    rig.until("it is ready", |rig| rig.health().ready).await;
    rig.task.abort();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let health = rig.health();
    // Somebody may start another one.
    assert!(health.live && !health.ready && health.reasons[0].contains("has failed"), "{health:?}");
    tokio::time::sleep(Duration::from_secs(31)).await;
    let health = rig.health();
    assert!(!health.live && !health.ready, "{health:?}");
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_is_told_as_one() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    rig.until("it is ready", |rig| rig.health().ready).await;
    rig.shut_down();
    rig.until("it has ended", |rig| !rig.health().live).await;
    assert_eq!(rig.health().reasons[0], "the consumer has ended: it was stopped");
}

#[tokio::test(start_paused = true)]
async fn lag_in_seconds_is_that_of_the_oldest_record_which_is_not_done() {
    use crate::clock::Clock as _;
    let (release, policy) = hanging();
    let held = Arc::clone(&release);
    let rig = Rig::start_with(watched(), policy, None, move |delivery| {
        let held = Arc::clone(&held);
        async move {
            if key_of(&delivery) == "42" {
                held.notified().await;
            }
            Outcome::Done
        }
    });
    let now = crate::clock::SystemClock::new().now().timestamp_millis();
    for (key, age_s) in [("1", 500), ("42", 400), ("2", 300)] {
        rig.publish(0, key);
        rig.broker.stamp("accounts", 0, now - age_s * 1_000);
    }
    rig.until("what holds the partition is known", |rig| {
        rig.health().partitions.first().is_some_and(|partition| {
            partition.oldest_unfinished.as_ref().is_some_and(|oldest| oldest.waits_for.is_some())
        })
    })
    .await;
    let lag = rig.health().partitions[0].lag.unwrap();
    assert!((400..460).contains(&lag.as_secs()), "{lag:?}");
    release.notify_one();
    rig.until("nothing waits", |rig| rig.health().partitions[0].lag == Some(Duration::ZERO)).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_given_back_is_told_no_more() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    rig.until("it has both", |rig| rig.health().partitions.len() == 2).await;
    rig.broker.revoke("accounts", &[1]);
    rig.until("it has one", |rig| rig.health().partitions.len() == 1).await;
    assert_eq!(rig.health().partitions[0].partition, 0);
}

#[tokio::test(start_paused = true)]
async fn keys_that_wait_for_another_attempt_are_counted_in_partitions_that_are_here() {
    let hour = Duration::from_hours(1);
    let policy = Policy::INHERIT.max_attempts(1_000).initial(hour).max(hour).max_age(hour * 1_000);
    let rig = Rig::start_with(watched(), policy, None, |_| async { HandlerError::from("away").into() });
    rig.publish(0, "1");
    rig.publish(1, "2");
    rig.publish(1, "3");
    rig.until("three keys wait", |rig| rig.health().retrying_keys == 3).await;
    rig.broker.revoke("accounts", &[1]);
    rig.until("one does", |rig| rig.health().retrying_keys == 1).await;
}

#[tokio::test(start_paused = true)]
async fn commits_that_fail_for_longer_than_the_progress_timeout_make_the_group_unready_and_are_counted() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    rig.publish(0, "42");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    assert_eq!((rig.stats().failed_commits, rig.health().commits_failing), (0, None));
    rig.broker.fail_commits(usize::MAX);
    rig.publish(0, "42");
    // A rebalance alone makes some fail.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let health = rig.health();
    assert!(health.ready && health.commits_failing > Some(Duration::from_secs(50)), "{health:?}");
    assert!(rig.stats().failed_commits >= 30, "{:?}", rig.stats());
    tokio::time::sleep(Duration::from_mins(2)).await;
    let health = rig.health();
    assert!(health.live && !health.ready, "{health:?}");
    let reason = &health.reasons[0];
    assert!(reason.contains("have failed for 1") && reason.contains("the broker refused it"), "{reason}");
    rig.broker.fail_commits(0);
    rig.until("it is ready again", |rig| rig.health().ready).await;
    assert_eq!((rig.health().commits_failing, rig.broker.committed("accounts", 0)), (None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn commits_that_failed_for_partitions_that_are_gone_are_held_against_nobody() {
    let rig = Rig::start(watched(), |_| async { Outcome::Done });
    rig.broker.fail_commits(usize::MAX);
    rig.publish(0, "42");
    rig.until("commits fail", |rig| rig.health().commits_failing.is_some()).await;
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("they are gone", |rig| rig.stats().assigned == 0).await;
    rig.broker.assign("accounts", &[]);
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert!(rig.health().ready && rig.health().commits_failing.is_none(), "{:?}", rig.health());
}
