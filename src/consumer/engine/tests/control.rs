//! Pause, resume and seek while the engine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::health::{OtherThread, block};
use super::rig::{Rig, options};
use crate::consumer::commands::{Command, Selection};
use crate::dispatch::Policy;
use crate::outcome::Outcome;
use crate::transport::TopicPartition;

fn selection(partition: Option<i32>) -> Selection {
    Selection { topic: Some("accounts".into()), partition }
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition { topic: "accounts".into(), partition: number }
}

#[tokio::test(start_paused = true)]
async fn a_paused_partition_begins_nothing_until_it_is_resumed() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.publish(0, "1");
    rig.until("it is handled", |rig| rig.stats().handled == 1).await;
    rig.commands.send(Command::Pause(selection(Some(0))));
    rig.until("the command is taken", |rig| rig.commands.is_idle()).await;
    rig.publish(0, "1");
    rig.publish(1, "2");
    rig.until("the other partition goes on", |rig| rig.stats().handled == 2).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.stats().handled, 2);
    // Also under another assignment.
    rig.broker.lose("accounts", &[0]);
    rig.until("it is gone", |rig| rig.stats().assigned == 1).await;
    rig.broker.assign("accounts", &[0]);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.stats().handled, 2);
    rig.commands.send(Command::Resume(selection(None)));
    rig.until("it goes on", |rig| rig.stats().handled == 3).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_paused_stays_so_when_the_engine_is_started_again() {
    let mut rig = Rig::start(options(), |_| async { Outcome::Done });
    rig.commands.send(Command::Pause(selection(Some(0))));
    rig.until("the command is taken", |rig| rig.commands.is_idle()).await;
    rig.start_again();
    rig.publish(0, "1");
    rig.publish(1, "2");
    rig.until("the other partition goes on", |rig| rig.stats().handled == 1).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(rig.handled.lock().as_slice(), [("2".to_owned(), 0)]);
    rig.commands.send(Command::Resume(selection(None)));
    rig.until("it goes on", |rig| rig.stats().handled == 2).await;
}

#[tokio::test(start_paused = true)]
async fn seeking_back_handles_again_what_is_behind_and_commits_the_place() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    for number in 0..10 {
        rig.publish(0, &number.to_string());
    }
    rig.until("all is committed", |rig| rig.broker.committed("accounts", 0) == Some(10)).await;
    let (done, answer) = oneshot::channel();
    rig.commands.send(Command::Seek { partition: partition(0), offset: 4, done });
    assert!(answer.await.unwrap());
    rig.until("they are handled again", |rig| rig.stats().handled == 16).await;
    rig.until("and committed", |rig| rig.broker.committed("accounts", 0) == Some(10)).await;
    assert_eq!(rig.handled_of("3"), [3]);
    assert_eq!(rig.handled_of("4"), [4, 4]);
}

#[tokio::test]
async fn after_a_seek_nothing_begins_beside_a_handler_that_takes_no_notice() {
    let (released, begun) = (Arc::new(AtomicBool::new(false)), Arc::<AtomicUsize>::default());
    let (held, count) = (Arc::clone(&released), Arc::clone(&begun));
    let (other, here) = (OtherThread::of(2), Handle::current());
    let rig = Rig::start_on(&here, &other.handle(), options(), Policy::INHERIT, None, move |delivery| {
        let (held, count) = (Arc::clone(&held), Arc::clone(&count));
        async move {
            tokio::task::yield_now().await;
            if delivery.record().partition == 0 && count.fetch_add(1, Ordering::Relaxed) == 0 {
                block(&held);
            }
            Outcome::Done
        }
    });
    rig.publish(0, "42");
    rig.until("it runs", |_| begun.load(Ordering::Relaxed) == 1).await;
    let (done, sought) = oneshot::channel();
    rig.commands.send(Command::Seek { partition: partition(0), offset: 0, done });
    assert!(sought.await.unwrap());
    rig.publish(1, "7");
    rig.until("the other partition goes on", |rig| rig.stats().handled == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(begun.load(Ordering::Relaxed), 1, "the one of before is still at it");
    released.store(true, Ordering::Relaxed);
    rig.until("it is handled again", |rig| rig.stats().handled == 2).await;
    assert_eq!(begun.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn seeking_forward_leaves_out_what_is_in_between() {
    let rig = Rig::start(options(), |_| async {
        std::future::pending::<()>().await;
        Outcome::Done
    });
    for number in 0..10 {
        rig.publish(0, &number.to_string());
    }
    rig.until("they run", |rig| rig.stats().in_flight == 10).await;
    let (done, answer) = oneshot::channel();
    rig.commands.send(Command::Seek { partition: partition(0), offset: 8, done });
    assert!(answer.await.unwrap());
    rig.until("the place is committed", |rig| rig.broker.committed("accounts", 0) == Some(8)).await;
    rig.until("what ran is cancelled and the rest runs", |rig| rig.stats().in_flight == 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_not_assigned_cannot_be_sought() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    let (done, answer) = oneshot::channel();
    rig.commands.send(Command::Seek { partition: partition(7), offset: 0, done });
    assert!(!answer.await.unwrap());
}

const ALL: Selection = Selection { topic: None, partition: None };

/// Which of the two partitions go on after `commands`.
async fn go_on(rig: &Rig, commands: impl IntoIterator<Item = Command>) -> [bool; 2] {
    commands.into_iter().for_each(|command| rig.commands.send(command));
    rig.until("they are taken", |rig| rig.commands.is_idle()).await;
    let newest = [0, 1].map(|partition| (partition.to_string(), rig.publish(partition, &partition.to_string())));
    tokio::time::sleep(Duration::from_secs(10)).await;
    newest.map(|(key, offset)| rig.handled_of(&key).contains(&offset))
}

#[tokio::test(start_paused = true)]
async fn what_is_resumed_goes_on_whatever_was_paused_around_it() {
    let rig = Rig::start(options(), |_| async { Outcome::Done });
    assert_eq!(go_on(&rig, [Command::Pause(ALL)]).await, [false, false]);
    assert_eq!(go_on(&rig, [Command::Resume(selection(Some(1)))]).await, [false, true]);
    // Also under another assignment.
    rig.broker.lose("accounts", &[0, 1]);
    rig.until("they are gone", |rig| rig.stats().assigned == 0).await;
    rig.broker.assign("accounts", &[0, 1]);
    rig.until("they are back", |rig| rig.stats().assigned == 2).await;
    assert_eq!(go_on(&rig, []).await, [false, true]);
    assert_eq!(go_on(&rig, [Command::Resume(selection(None))]).await, [true, true]);
    assert_eq!(go_on(&rig, [Command::Pause(selection(None))]).await, [false, false]);
    assert_eq!(go_on(&rig, [Command::Resume(selection(Some(0)))]).await, [true, false]);
    assert_eq!(go_on(&rig, [Command::Pause(selection(Some(0)))]).await, [false, false]);
    assert_eq!(go_on(&rig, [Command::Resume(ALL)]).await, [true, true]);
}
