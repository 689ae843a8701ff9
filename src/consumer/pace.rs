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

/// Whether a route's attempts are polled on the poll thread first. A handler that computes for long would hold up every key.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    polls: std::cell::Cell<u32>,
    tasks_left: std::cell::Cell<u32>,
}

impl Pace {
    /// Poll `attempt` once, here. `None` when it is to be run as a task.
    pub(crate) fn poll_here(&self, attempt: &mut Attempt) -> Option<Outcome> {
        let tasks_left = self.tasks_left.get();
        if tasks_left > 0 {
            self.tasks_left.set(tasks_left - 1);
            return None;
        }
        let polls = self.polls.get().wrapping_add(1);
        self.polls.set(polls);
        let timed = (polls % TIMED_POLLS == 1).then(Instant::now);
        // No one needs to be woken: if it is not ready, a task polls it again at once.
        let poll = Pin::new(attempt).poll(&mut Context::from_waker(Waker::noop()));
        if timed.is_some_and(|start| start.elapsed() > SLOW_POLL) {
            self.tasks_left.set(TASKS_AFTER_SLOW);
        }
        match poll {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}
