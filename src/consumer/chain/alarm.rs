//! The timeouts of attempts that follow each other.

use std::task::Context;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::Clock;

/// A task's timer. It goes on from one attempt to the next and is set again only when it rings too early: hardly any attempt comes
/// to its timeout, and setting a timer costs more than many a handler.
#[derive(Default)]
pub(crate) struct Alarm {
    armed: Option<(Duration, BoxFuture<'static, ()>)>,
}

impl Alarm {
    /// One that rings after `limit`.
    pub(crate) fn after(limit: Duration, clock: &dyn Clock) -> Self {
        Self { armed: Some((clock.monotonic().saturating_add(limit), clock.sleep(limit))) }
    }

    /// Whether `due`, by the clock's monotonic time, has come; if not, the task of `context` is woken then, or before.
    pub(crate) fn poll_due(&mut self, due: Duration, clock: &dyn Clock, context: &mut Context<'_>) -> bool {
        loop {
            match &mut self.armed {
                Some((rings, sleep)) if *rings <= due => {
                    if sleep.as_mut().poll(context).is_pending() {
                        return false;
                    }
                    self.armed = None;
                }
                _ => {
                    let left = due.saturating_sub(clock.monotonic());
                    if left.is_zero() {
                        return true;
                    }
                    self.armed = Some((due, clock.sleep(left)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;
    use crate::clock::SystemClock;

    const SECOND: Duration = Duration::from_secs(1);

    async fn due(alarm: &mut Alarm, due: Duration, clock: &SystemClock) {
        poll_fn(|context| if alarm.poll_due(due, clock, context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_has_its_own_timeout_however_the_alarm_was_set_before() {
        let clock = SystemClock::new();
        let mut alarm = Alarm::after(4 * SECOND, &clock);
        // An attempt that was short, and left the alarm as it was.
        assert!(tokio::time::timeout(SECOND, due(&mut alarm, 4 * SECOND, &clock)).await.is_err());
        // One that takes until after it, and one that takes less than is left of it.
        due(&mut alarm, 6 * SECOND, &clock).await;
        assert_eq!(clock.monotonic().as_secs(), 6);
        assert!(tokio::time::timeout(SECOND, due(&mut alarm, 60 * SECOND, &clock)).await.is_err());
        due(&mut alarm, 8 * SECOND, &clock).await;
        assert_eq!(clock.monotonic().as_secs(), 8);
    }
}
