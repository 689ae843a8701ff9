//! The kit's assertions fail when they should, and say why.

use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::dispatch::OnExhausted;
use tidings::prelude::*;
use tidings::testing::TestKit;

use crate::board::{Board, PlayerRenamed, consumer, renamed};

#[tokio::test]
#[should_panic(expected = "was to be handled once and was handled twice by Board::on_renamed of boards.Board")]
async fn an_event_handled_twice_was_not_handled_once() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
    kit.redeliver(&event).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
#[should_panic(expected = "handled twice")]
async fn a_repeat_on_the_topic_is_a_second_time() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    let event = renamed(1, "Ada");
    kit.publish(&event).await;
    kit.repeat(&event).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
#[should_panic(expected = "was to be handled once, but no handler that was started takes it")]
async fn an_event_that_nobody_takes_was_not_handled_once() {
    let kit = TestKit::in_memory();
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
#[should_panic(expected = "became a dead letter")]
async fn a_dead_letter_was_not_handled_once() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
#[should_panic(expected = "was to become a dead letter and was handled by Board::on_renamed")]
async fn an_event_that_was_handled_is_no_dead_letter() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_dead_lettered(&event).await;
}

#[tokio::test]
#[should_panic(expected = "was not to be handled yet")]
async fn an_event_that_was_handled_is_not_unhandled() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_not_handled(&event).await;
}

#[tokio::test]
#[should_panic(expected = "no such players.PlayerRenamed was published")]
async fn an_event_that_was_never_published_is_not_known() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    kit.publish(&renamed(1, "Ada")).await;
    kit.assert_not_handled(&renamed(2, "Ada")).await;
}

#[tokio::test]
#[should_panic(expected = "was published 2 times, with different ids")]
async fn events_that_are_equal_must_be_told_apart() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    kit.publish(&renamed(1, "Ada")).await;
    kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&renamed(1, "Ada")).await;
}

#[tokio::test]
#[should_panic(expected = "there is no handler `on_renmaed`; those started are: Board::on_renamed")]
async fn a_handler_that_does_not_exist_cannot_fail() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    kit.fail_next("on_renmaed", "away");
}

#[tokio::test]
#[should_panic(expected = "tests/testing/negative.rs")]
async fn a_failure_says_which_line_of_the_test_it_is() {
    let kit = TestKit::in_memory();
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
}

fn stopping() -> tidings::consumer::ConsumerBuilder {
    let options = ConsumerOptions::new("boards").on_exhausted(OnExhausted::Stop);
    Consumer::builder(options).dispatch(Board::default())
}

#[tokio::test]
#[should_panic(expected = "stopped by itself: the consumer group boards.Board stopped")]
async fn a_consumer_that_stops_fails_the_test() {
    let kit = TestKit::in_memory();
    kit.start(stopping()).await;
    let event = kit.publish(&renamed(1, "")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
async fn a_consumer_that_is_to_stop_says_why() {
    let kit = TestKit::in_memory();
    let member = kit.start(stopping()).await;
    kit.publish(&renamed(1, "")).await;
    let stopped = member.stopped().await;
    assert_eq!(stopped.group, "boards.Board");
    assert!(stopped.source.to_string().contains("a nickname is never empty"), "{}", stopped.source);
}

#[tokio::test]
#[should_panic(expected = "waited in vain for member 1 to stop by itself: nothing more is going to happen")]
async fn a_consumer_that_does_not_stop_is_not_waited_for_for_ever() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await.stopped().await;
}

struct Waiting;

#[dispatcher(source = "players")]
impl Waiting {
    #[on("players.PlayerRenamed")]
    async fn on_renamed(&self, _event: PlayerRenamed) -> Result<()> {
        std::future::pending().await
    }
}

#[tokio::test]
#[should_panic(expected = "Waiting::on_renamed of boards.Waiting (member 1), attempt 1 at players[")]
async fn a_handler_that_never_ends_is_named() {
    let options = tidings::testing::TestOptions::new().patience(std::time::Duration::from_millis(100));
    let kit = TestKit::new(options);
    kit.start(Consumer::builder(ConsumerOptions::new("boards")).dispatch(Waiting)).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test]
#[should_panic(expected = "no such players.PlayerRenamed was published")]
async fn an_event_that_never_arrives_is_not_waited_for_for_ever() {
    let options = tidings::testing::TestOptions::new().patience(std::time::Duration::from_millis(50));
    TestKit::new(options).until_published(&renamed(1, "Ada")).await;
}
