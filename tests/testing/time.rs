//! Time stands still, until it is moved.

use std::time::Duration;

use tidings::consumer::{Consumer, ConsumerOptions};
use tidings::prelude::*;
use tidings::testing::{AttemptOutcome, TestKit};

use crate::board::{Board, PlayerRenamed, consumer, renamed};

struct Slow(Duration);

#[dispatcher(source = "players", retry(max_attempts = 2, initial = "1s"))]
impl Slow {
    #[on("players.PlayerRenamed", timeout = "30s")]
    async fn on_renamed(&self, _event: PlayerRenamed) -> Result<()> {
        tokio::time::sleep(self.0).await;
        Ok(())
    }
}

fn slow(duration: Duration) -> tidings::consumer::ConsumerBuilder {
    Consumer::builder(ConsumerOptions::new("slow")).dispatch(Slow(duration))
}

#[tokio::test]
async fn a_handler_that_hangs_times_out_when_the_time_has_passed() {
    let kit = TestKit::in_memory();
    kit.start(slow(Duration::from_hours(24))).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.advance(Duration::from_secs(29)).await;
    assert_eq!(kit.attempts()[0].outcome, AttemptOutcome::Running);
    // The timeout, the pause, and the timeout of the second attempt.
    kit.advance(Duration::from_secs(1 + 1 + 30)).await;
    kit.assert_dead_lettered(&event).await;
    assert_eq!((kit.dead_letters()[0].class(), kit.dead_letters()[0].attempts()), ("timeout", 2));
}

#[tokio::test(start_paused = true)]
async fn with_tokios_clock_paused_what_handlers_sleep_passes_at_once() {
    let kit = TestKit::in_memory();
    kit.start(slow(Duration::from_secs(20))).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    kit.assert_handled_once(&event).await;
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_test_moves_with_that_of_the_services() {
    let kit = TestKit::in_memory();
    let (before, started) = (kit.now(), tokio::time::Instant::now());
    kit.start(consumer(Board::default())).await;
    kit.advance(Duration::from_secs(90)).await;
    assert_eq!(kit.now(), before + Duration::from_secs(90));
    assert!(started.elapsed() >= Duration::from_secs(90));
}

#[tokio::test]
async fn retries_on_the_way_happen_at_their_time() {
    let kit = TestKit::in_memory();
    kit.start(consumer(Board::default())).await;
    kit.publish(&renamed(1, "never")).await;
    let first_retry = Duration::from_secs(1);
    kit.advance(first_retry.saturating_sub(Duration::from_millis(1))).await;
    assert_eq!(kit.attempts().len(), 1);
    kit.advance(Duration::from_secs(10)).await;
    assert_eq!((kit.attempts().len(), kit.dead_letters().len()), (3, 1));
}

#[tokio::test]
async fn events_are_dated_by_the_kits_clock() {
    let kit = TestKit::in_memory();
    kit.advance(Duration::from_hours(1)).await;
    let event = kit.publish(&renamed(1, "Ada")).await;
    let (seconds, nanoseconds) = event.id().get_timestamp().unwrap().to_unix();
    let published = chrono::DateTime::from_timestamp(i64::try_from(seconds).unwrap(), nanoseconds).unwrap();
    assert_eq!(published.timestamp_millis(), kit.now().timestamp_millis());
}
