//! Handovers: revoked, lost and assigned partitions, commits, shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::rig::{Rig, options};
use crate::consumer::commands::Command;
use crate::consumer::error::StopReason;
use crate::dispatch::{OnExhausted, Policy};
use crate::outcome::Outcome;
use crate::transport::TopicPartition;

fn gated(
    gate: &Arc<Semaphore>,
) -> impl Fn(crate::Delivery) -> futures_util::future::BoxFuture<'static, Outcome> + Send + Sync + use<> {
    let gate = Arc::clone(gate);
    move |_| {
        let gate = Arc::clone(&gate);
        Box::pin(async move {
            gate.acquire().await.unwrap().forget();
            Outcome::Done
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_partition_drains_commits_and_only_then_goes() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start(options().commit_interval(Duration::from_secs(3600)), gated(&gate));
    rig.publish(0, "1");
    rig.publish(0, "1");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.broker.revoke("accounts", &[0]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((rig.stats().assigned, rig.broker.committed("accounts", 0)), (2, None));
    gate.add_permits(1);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    // What ran was finished and committed; what waited was not started.
    assert_eq!(rig.broker.committed("accounts", 0), Some(1));
    assert_eq!(rig.handled_of("1"), [0]);
    assert_eq!(rig.stats().buffered_bytes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_handler_holds_a_rebalance_no_longer_than_the_drain_timeout() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start(options(), gated(&gate));
    rig.publish(0, "1");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.broker.revoke("accounts", &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    rig.until("its handler is cancelled", |rig| rig.stats().in_flight == 0).await;
    assert_eq!(rig.broker.committed("accounts", 0).unwrap_or(0), 0);
    assert!(rig.handled.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_cancelled_by_a_rebalance_has_not_failed() {
    let policy = Policy::INHERIT.max_attempts(1).on_exhausted(OnExhausted::Stop);
    let stuck = |delivery: crate::Delivery| async move {
        if delivery.record().offset == 1 {
            std::future::pending::<()>().await;
        }
        Outcome::Done
    };
    let rig = Rig::start_with(options().commit_interval(Duration::from_secs(3600)), policy, None, stuck);
    // Something to commit, so that the cancelled task reports while the commit is under way.
    rig.publish(0, "done");
    rig.publish(0, "stuck");
    rig.until("one is done and one runs", |rig| rig.stats().handled == 1 && rig.stats().in_flight == 1).await;
    rig.broker.revoke("accounts", &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    rig.until("its handler is cancelled", |rig| rig.stats().in_flight == 0).await;
    assert!(!rig.task.is_finished());
    assert_eq!((rig.stats().retried, rig.stats().dead_lettered), (0, 0));
    assert_eq!(rig.broker.committed("accounts", 0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_topic_created_anew_stops_the_consumer_instead_of_being_skipped() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.publish(0, "2");
    rig.until("both are committed", |rig| rig.broker.committed("accounts", 0) == Some(2)).await;
    rig.broker.truncate("accounts", 0);
    rig.publish(0, "3");
    let reason = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(reason, StopReason::WentBack { from: 2, to: 0, .. }), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_partition_is_never_committed() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start(options(), gated(&gate));
    rig.publish(0, "1");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.broker.lose("accounts", &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    gate.add_permits(1);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(rig.broker.committed("accounts", 0), None);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_comes_back_redelivers_what_was_not_committed() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start(options(), gated(&gate));
    rig.publish(0, "1");
    rig.until("it runs", |rig| rig.stats().in_flight == 1).await;
    rig.broker.lose("accounts", &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign("accounts", &[0]);
    gate.add_permits(1);
    rig.until("it is handled again", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    // Once: the first run was cancelled, and its completion fenced.
    assert_eq!(rig.handled_of("1"), [0]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_finishes_what_runs_and_commits_it() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start(options().commit_interval(Duration::from_secs(3600)), gated(&gate));
    rig.publish(0, "1");
    rig.publish(1, "2");
    rig.until("both run", |rig| rig.stats().in_flight == 2).await;
    rig.shut_down();
    gate.add_permits(2);
    let broker = rig.broker.clone();
    rig.task.await.unwrap().unwrap();
    assert_eq!((broker.committed("accounts", 0), broker.committed("accounts", 1)), (Some(1), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_failed_commit_is_repeated() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.broker.fail_commits(3);
    rig.publish(0, "1");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    assert_eq!(rig.broker.commits(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_repeated_before_a_revoked_partition_goes() {
    let rig = Rig::start(options().commit_interval(Duration::from_hours(1)), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    rig.broker.fail_commits(2);
    rig.broker.revoke("accounts", &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    assert_eq!((rig.broker.committed("accounts", 0), rig.broker.commits()), (Some(1), 3));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_repeated_before_the_consumer_leaves() {
    let rig = Rig::start(options().commit_interval(Duration::from_hours(1)), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    rig.broker.fail_commits(2);
    rig.shut_down();
    let broker = rig.broker.clone();
    rig.task.await.unwrap().unwrap();
    assert_eq!((broker.committed("accounts", 0), broker.commits()), (Some(1), 3));
}

#[tokio::test(start_paused = true)]
async fn commits_that_fail_for_good_hold_neither_a_rebalance_nor_the_broker_up() {
    let rig = Rig::start(options().commit_interval(Duration::from_hours(1)), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    rig.broker.fail_commits(usize::MAX);
    rig.broker.revoke("accounts", &[0]);
    rig.until("it is given back", |rig| rig.stats().assigned == 1).await;
    assert!(rig.broker.commits() < 100, "{}", rig.broker.commits());
}

#[tokio::test(start_paused = true)]
async fn commits_are_batched() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    for number in 0..10_000 {
        rig.publish(number % 2, &number.to_string());
    }
    rig.until("all is committed", |rig| {
        rig.broker.committed("accounts", 0) == Some(5_000) && rig.broker.committed("accounts", 1) == Some(5_000)
    })
    .await;
    assert!(rig.broker.commits() < 10, "{}", rig.broker.commits());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_fails_for_good_stops_the_consumer_and_says_why() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.broker.fail("the broker does not know us");
    let reason = rig.task.await.unwrap().unwrap_err();
    assert!(matches!(&reason, StopReason::Consume(_)) && reason.to_string().contains("does not know us"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_away_for_longer_than_its_session_begins_nothing_before_a_commit_is_taken() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    // Away: no turn for longer than a session. Somebody else is the owner now, so commits are refused.
    rig.broker.fail_commits(usize::MAX);
    tokio::time::advance(Duration::from_secs(46)).await;
    rig.publish(0, "1");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.stats().handled, 1);
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("the loss is told", |rig| rig.stats().assigned == 0).await;
    rig.broker.fail_commits(0);
    rig.broker.assign("accounts", &[0, 1]);
    rig.until("it goes on as a member", |rig| rig.stats().handled == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_away_and_still_is_one_goes_on() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    tokio::time::advance(Duration::from_secs(46)).await;
    rig.publish(0, "1");
    rig.until("a commit is taken, and it goes on", |rig| rig.stats().handled == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_sought_while_the_membership_is_in_doubt_is_in_doubt_too() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is committed", |rig| rig.broker.committed("accounts", 0) == Some(1)).await;
    rig.broker.fail_commits(usize::MAX);
    tokio::time::advance(Duration::from_secs(46)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (done, answer) = oneshot::channel();
    let partition = TopicPartition { topic: "accounts".into(), partition: 0 };
    rig.commands.send(Command::Seek { partition, offset: 0, done });
    assert!(answer.await.unwrap());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(rig.stats().handled, 1, "it may be somebody else's by now");
    rig.broker.fail_commits(0);
    rig.until("a commit is taken, and it goes on", |rig| rig.stats().handled == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_commits_nobody_takes_for_a_session_begins_nothing_until_one_is_taken() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.broker.fail_commits(usize::MAX);
    rig.publish(0, "42");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    tokio::time::sleep(Duration::from_secs(40)).await;
    rig.publish(0, "42");
    rig.until("so is this: the session may hold", |rig| rig.stats().handled == 2).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    rig.publish(0, "42");
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(rig.stats().handled, 2, "its partitions may be somebody else's");
    rig.broker.fail_commits(0);
    rig.until("it goes on", |rig| rig.stats().handled == 3).await;
}

#[tokio::test(start_paused = true)]
async fn commits_that_nobody_took_of_partitions_that_are_gone_hold_up_no_others() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.broker.fail_commits(usize::MAX);
    rig.publish(0, "42");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("they are gone", |rig| rig.stats().assigned == 0).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    rig.broker.assign("accounts", &[0, 1]);
    rig.until("it is handled again", |rig| rig.stats().handled == 2).await;
}

/// Says when it goes.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_leaves_no_handler_at_work_and_begins_no_other() {
    let (gone, begun) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let (gone_too, count) = (Arc::clone(&gone), Arc::clone(&begun));
    let rig = Rig::start(options(), move |_| {
        let gone = Gone(Arc::clone(&gone_too));
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(gone);
            Outcome::Done
        }
    });
    for _ in 0..5 {
        rig.publish(0, "42");
    }
    rig.until("one runs", |_| begun.load(Ordering::Relaxed) == 1).await;
    // As a panic does: the engine is dropped where it stands, and another one is started soon.
    rig.task.abort();
    rig.until("it is cancelled", |_| gone.load(Ordering::Relaxed)).await;
    tokio::time::sleep(Duration::from_mins(5)).await;
    assert_eq!(begun.load(Ordering::Relaxed), 1);
    assert!(rig.handled.lock().is_empty());
}
