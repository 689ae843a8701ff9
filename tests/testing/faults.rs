//! Faults of the broker.

use std::time::Duration;

use crate::board::{Board, consumer, renamed};

#[tokio::test]
async fn a_commit_that_fails_is_repeated() {
    let kit = crate::kit();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
    kit.fail_next_commit();
    kit.advance(Duration::from_secs(1)).await;
    kit.advance(Duration::from_secs(1)).await;
    kit.crash_before_commit().await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
async fn a_commit_that_failed_is_no_commit() {
    let kit = crate::kit();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
    kit.fail_next_commit();
    kit.advance(Duration::from_secs(1)).await;
    kit.crash_before_commit().await;
    kit.assert_handled(&event, 2).await;
}

#[tokio::test]
async fn a_commit_that_fails_while_a_partition_is_given_back_is_repeated_before_it_is() {
    let kit = crate::kit_of(|options| options.partitions(1));
    let first = kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
    first.another();
    kit.fail_next_commit();
    first.leave().await;
    kit.rebalanced().await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
async fn a_dead_letter_that_is_refused_holds_its_key_and_is_written_later() {
    let kit = crate::kit();
    kit.start(consumer(Board::default())).await;
    kit.fail_next_dead_letter();
    let poison = kit.publish(&renamed(1, "")).await;
    let behind = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_not_handled(&behind).await;
    assert!(kit.dead_letters().is_empty());
    kit.assert_dead_lettered(&poison).await;
    kit.assert_handled_once(&behind).await;
    assert_eq!(kit.dead_letters().len(), 1);
}

#[tokio::test]
async fn a_read_that_fails_is_repeated() {
    let kit = crate::kit();
    kit.start(consumer(Board::default())).await;
    kit.fail_next_fetch();
    kit.fail_next_fetch();
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
async fn while_the_broker_is_away_nothing_is_read_and_nothing_is_lost() {
    let kit = crate::kit();
    kit.start(consumer(Board::default())).await;
    let before = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&before).await;
    kit.pause_broker();
    let meanwhile = kit.publish(&renamed(1, "Grace")).await;
    kit.advance(Duration::from_mins(1)).await;
    kit.assert_not_handled(&meanwhile).await;
    kit.resume_broker();
    kit.assert_handled_once(&meanwhile).await;
    kit.assert_handled_once(&before).await;
}
