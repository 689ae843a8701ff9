//! Whether handlers run on the poll thread.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use crate::outcome::Outcome;

/// A handler that keeps the poll thread longer than this is run as a task for a while.
const SLOW_POLL: Duration = Duration::from_micros(200);
/// One in this many polls on the poll thread is timed.
const TIMED_POLLS: u32 = 16;
/// How many attempts run as tasks after a slow one.
const TASKS_AFTER_SLOW: u32 = 256;
/// A handler that was not ready this many times on end is not expected to be.
const WAITS: u32 = 8;
/// How many attempts run as tasks before such a handler is polled on the poll thread again, to see.
const TASKS_AFTER_WAITS: u32 = 64;

/// Whether a route's attempts are polled on the poll thread first. A handler that computes for long would hold up every key; of one
/// that always waits the poll thread would only do a part of the work, and the task the rest.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    polls: u32,
    waits: u32,
    tasks_left: u32,
}

impl Pace {
    /// Whether the next attempt is to be polled on the poll thread first.
    pub(crate) fn is_here(&mut self) -> bool {
        let here = self.tasks_left == 0;
        self.tasks_left = self.tasks_left.saturating_sub(1);
        here
    }

    /// Poll `attempt` once, here. `None` when it is to be run as a task.
    pub(crate) fn poll_here(&mut self, attempt: &mut Attempt) -> Option<Outcome> {
        self.polls = self.polls.wrapping_add(1);
        let timed = (self.polls % TIMED_POLLS == 1).then(Instant::now);
        // No one needs to be woken: if it is not ready, a task polls it again at once.
        let poll = Pin::new(attempt).poll(&mut Context::from_waker(Waker::noop()));
        if timed.is_some_and(|start| start.elapsed() > SLOW_POLL) {
            self.tasks_left = TASKS_AFTER_SLOW;
        }
        match poll {
            Poll::Ready(outcome) => {
                self.waits = 0;
                Some(outcome)
            }
            Poll::Pending => {
                self.waits = (self.waits + 1).min(WAITS);
                if self.waits == WAITS {
                    self.tasks_left = self.tasks_left.max(TASKS_AFTER_WAITS);
                }
                None
            }
        }
    }
}
