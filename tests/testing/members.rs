//! Members that join, leave, die and lose what they have.

use std::sync::Arc;
use std::time::Duration;

use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::testing::{AttemptOutcome, TestKit};
use tokio::sync::Semaphore;

use crate::board::{Board, PlayerRenamed, consumer, renamed};

/// A handler that waits until the test lets it go on.
#[derive(Clone)]
struct Gate(Arc<Semaphore>);

impl Gate {
    fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    fn open(&self) {
        self.0.add_permits(1_000);
    }
}

#[dispatcher(source = "players")]
impl Gate {
    #[on("players.PlayerRenamed")]
    async fn on_renamed(&self, _event: PlayerRenamed) -> Result<()> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}

fn gated(gate: &Gate) -> tidings::consumer::ConsumerBuilder {
    Consumer::builder(ConsumerOptions::new("gates")).dispatch(gate.clone())
}

fn one_partition() -> TestKit {
    crate::kit_of(|options| options.partitions(1))
}

#[tokio::test]
async fn a_partition_is_handed_over_only_after_its_handlers_finished_and_were_committed() {
    let (kit, gate) = (crate::kit_of(|options| options.partitions(2)), Gate::closed());
    let first = kit.start(gated(&gate)).await;
    let mut events = Vec::new();
    for player in 0..8 {
        events.push(kit.publish(&renamed(player, "Ada")).await);
    }
    kit.settle().await;
    let second = first.another();
    kit.settle().await;
    // It drains, and the other waits.
    assert_eq!((first.partitions().len(), second.partitions().len()), (2, 0));
    gate.open();
    kit.rebalanced().await;
    assert_eq!((first.partitions().len(), second.partitions().len()), (1, 1));
    for event in &events {
        kit.assert_handled_once(event).await;
    }
    assert!(kit.attempts().iter().all(|attempt| attempt.member == first.number()));
}

#[tokio::test]
async fn a_handler_that_outruns_the_drain_timeout_is_cancelled_and_its_event_delivered_elsewhere() {
    let (kit, gate) = (one_partition(), Gate::closed());
    let first = kit.start(gated(&gate)).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.settle().await;
    let second = first.another();
    first.leave().await;
    gate.open();
    kit.assert_handled_once(&event).await;
    let attempts = kit.attempts();
    let told: Vec<_> = attempts.iter().map(|attempt| (attempt.member, attempt.outcome.clone())).collect();
    assert_eq!(told, [(first.number(), AttemptOutcome::Cancelled), (second.number(), AttemptOutcome::Done)]);
}

#[tokio::test]
async fn what_runs_when_partitions_are_lost_is_done_again_by_another() {
    let (kit, gate) = (one_partition(), Gate::closed());
    let first = kit.start(gated(&gate)).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.settle().await;
    let second = first.another();
    first.lose_partitions().await;
    gate.open();
    kit.assert_handled_once(&event).await;
    assert_eq!((first.partitions().len(), second.partitions().len()), (0, 1));
    assert_eq!(kit.attempts()[0].outcome, AttemptOutcome::Cancelled);
}

#[tokio::test]
async fn what_was_handled_and_not_committed_when_partitions_were_lost_comes_again() {
    let kit = one_partition();
    let first = kit.start(consumer(Board::default())).await;
    let committed = kit.publish(&renamed(1, "Ada")).await;
    kit.advance(Duration::from_secs(1)).await;
    let uncommitted = kit.publish(&renamed(1, "Grace")).await;
    kit.assert_handled_once(&uncommitted).await;
    // Alone in its group, it joins again.
    first.lose_partitions().await;
    kit.assert_handled(&uncommitted, 2).await;
    kit.assert_handled_once(&committed).await;
    kit.assert_in_order().await;
}

#[tokio::test]
async fn a_dead_members_events_are_taken_over() {
    let kit = crate::kit();
    let first = kit.start(consumer(Board::default())).await;
    let second = kit.member().await;
    kit.rebalanced().await;
    first.crash().await;
    let events = [kit.publish(&renamed(1, "Ada")).await, kit.publish(&renamed(2, "Ada")).await];
    for event in &events {
        kit.assert_handled_once(event).await;
    }
    assert_eq!(second.partitions().len(), 4);
}

#[tokio::test]
async fn two_groups_see_every_event_and_commit_for_themselves() {
    let kit = crate::kit();
    let board = kit.start(consumer(Board::default())).await;
    let other = Consumer::builder(ConsumerOptions::new("other")).dispatch(Board::default());
    kit.start(other).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
    assert_eq!(kit.handled().len(), 2);
    // One of them loses what it did, and the other does not.
    board.crash().await;
    board.another();
    kit.settle().await;
    let of = |group: &str| kit.handled().iter().filter(|attempt| &*attempt.group == group).count();
    assert_eq!((of("boards.Board"), of("other.Board")), (2, 1));
}

#[tokio::test]
async fn ten_rebalances_in_a_row_lose_and_repeat_nothing() {
    let (kit, board) = (crate::kit(), Board::default());
    let mut members = vec![kit.start(consumer(board.clone())).await];
    let mut events = Vec::new();
    for round in 0..10 {
        for player in 0..10 {
            events.push(kit.publish(&renamed(player, &format!("{round}"))).await);
        }
        if round % 3 == 2 {
            // A broker hears that a member leaves only once it has answered its request to join; where that takes longer than
            // the client waits, the group waits for a member that is gone until its session ends.
            kit.rebalanced().await;
            members.remove(0).leave().await;
        } else {
            members.push(kit.member().await);
        }
    }
    kit.rebalanced().await;
    for event in &events {
        kit.assert_handled_once(event).await;
    }
    kit.assert_in_order().await;
    assert_eq!(board.shown.lock().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_on_a_runtime_of_several_threads_too() {
    let (kit, board) = (crate::kit(), Board::default());
    kit.start(consumer(board.clone())).await;
    let task = {
        let kit = kit.clone();
        tokio::spawn(async move { kit.publish(&renamed(1, "Ada")).await })
    };
    let event = task.await.unwrap();
    kit.assert_handled_once(&event).await;
    kit.redeliver(&event).await;
    kit.assert_handled(&event, 2).await;
}
