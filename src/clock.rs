//! The seam through which the framework reads the time, so that tests can set it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

/// A source of time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Time since an arbitrary fixed moment; never goes back.
    fn monotonic(&self) -> Duration;
    /// The calendar time.
    fn now(&self) -> DateTime<Utc>;

    /// Resolves when `duration` has passed. Default: by Tokio's timer.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}

/// The machine's clock. Its monotonic time is Tokio's, so that `tokio::time::pause` holds it.
#[derive(Debug)]
pub struct SystemClock {
    start: tokio::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Duration, DateTime<Utc>)>,
    moved: watch::Sender<Duration>,
    sleepers: Arc<Mutex<Vec<Duration>>>,
}

/// Takes a sleeper's due time off the list, also when it is dropped before.
struct Sleeper {
    due: Duration,
    sleepers: Arc<Mutex<Vec<Duration>>>,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let mut sleepers = self.sleepers.lock();
        if let Some(index) = sleepers.iter().position(|due| *due == self.due) {
            sleepers.swap_remove(index);
        }
    }
}

impl ManualClock {
    /// A clock that shows `now` until advanced.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now: Mutex::new((Duration::ZERO, now)), moved: watch::Sender::default(), sleepers: Arc::default() }
    }

    /// Move both times forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        now.0 += by;
        now.1 += by;
        self.moved.send_replace(now.0);
    }

    /// When the first of those who [`sleep`](Clock::sleep) wakes, by the monotonic time.
    pub fn next_due(&self) -> Option<Duration> {
        self.sleepers.lock().iter().copied().min()
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.now.lock().0
    }

    fn now(&self) -> DateTime<Utc> {
        self.now.lock().1
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let due = self.monotonic().saturating_add(duration);
        self.sleepers.lock().push(due);
        let sleeper = Sleeper { due, sleepers: Arc::clone(&self.sleepers) };
        let mut moved = self.moved.subscribe();
        async move {
            let sleeper = sleeper;
            // A clock that is gone stands still for ever.
            if moved.wait_for(|now| *now >= sleeper.due).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_advanced() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        assert_eq!(clock.monotonic(), Duration::ZERO);
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.monotonic(), Duration::from_secs(90));
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + Duration::from_secs(90));
    }

    #[tokio::test]
    async fn whoever_sleeps_by_a_manual_clock_wakes_when_it_has_advanced_that_far() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let mut sleep = clock.sleep(Duration::from_secs(10));
        assert_eq!(clock.next_due(), Some(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(9));
        assert!((&mut sleep).now_or_never().is_none());
        clock.advance(Duration::from_secs(1));
        sleep.await;
        assert_eq!(clock.next_due(), None);
        drop(clock.sleep(Duration::from_secs(1)));
        assert_eq!(clock.next_due(), None);
    }
}
