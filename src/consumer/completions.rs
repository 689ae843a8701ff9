//! The way back from handlers' tasks to the poll thread.

use std::mem;
use std::sync::Arc;

use parking_lot::Mutex;

use super::key::KeyId;
use super::passed_over::NotRemembered;
use crate::outcome::{HandlerError, Outcome};
use crate::transport::{ProduceError, Wake, Written};

/// What a task was doing.
#[derive(Debug)]
pub(crate) enum Finished {
    /// A handler's attempt.
    Attempt(Outcome),
    /// Finding out what event a record without a name is.
    Named(Result<Arc<str>, HandlerError>),
    /// Writing a dead letter.
    DeadLetter(Result<Written, ProduceError>),
    /// Remembering that an event is passed over, which failed.
    NotPassedOver(NotRemembered),
    /// The task ended without saying how; it was cancelled, or the runtime shut down.
    Vanished,
}

/// Whether a task takes one of the places that bound how many handlers run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Taken,
    /// Writing a dead letter takes none: however many there are, handlers go on.
    None,
}

/// A task has ended. The epoch fences it: after a rebalance its partition may be somebody else's.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) slot: usize,
    pub(crate) epoch: u64,
    pub(crate) key: KeyId,
    pub(crate) place: Place,
    pub(crate) finished: Finished,
}

/// Completions on their way to the poll thread. Touched once a task, drained in batches.
pub(crate) struct Completions {
    queue: Mutex<Vec<Completion>>,
    wake: Wake,
}

impl Completions {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::default(), wake })
    }

    pub(crate) fn drain_into(&self, completions: &mut Vec<Completion>) {
        mem::swap(&mut *self.queue.lock(), completions);
    }

    fn push(&self, completion: Completion) {
        let mut queue = self.queue.lock();
        queue.push(completion);
        let was_empty = queue.len() == 1;
        drop(queue);
        // Whoever made the queue non-empty rings; the rest ride along.
        if was_empty {
            (self.wake)();
        }
    }
}

/// A task's duty to report. Dropped without a report, it reports that the task vanished: no completion ever leaks.
pub(crate) struct Report {
    completions: Arc<Completions>,
    slot: usize,
    epoch: u64,
    key: Option<KeyId>,
    place: Place,
}

impl Report {
    pub(crate) fn new(completions: &Arc<Completions>, slot: usize, epoch: u64, key: KeyId, place: Place) -> Self {
        Self { completions: Arc::clone(completions), slot, epoch, key: Some(key), place }
    }

    pub(crate) fn finish(mut self, finished: Finished) {
        self.send(finished);
    }

    fn send(&mut self, finished: Finished) {
        if let Some(key) = self.key.take() {
            self.completions.push(Completion { slot: self.slot, epoch: self.epoch, key, place: self.place, finished });
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.send(Finished::Vanished);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_dropped_report_says_that_its_task_vanished_and_wakes_once() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let completions = Completions::new(Arc::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        }));
        drop(Report::new(&completions, 1, 2, KeyId::Alone(3), Place::Taken));
        Report::new(&completions, 1, 2, KeyId::Alone(4), Place::None).finish(Finished::Attempt(Outcome::Done));
        let mut drained = Vec::new();
        completions.drain_into(&mut drained);
        assert!(matches!(drained[0].finished, Finished::Vanished));
        assert!(matches!(drained[1].finished, Finished::Attempt(Outcome::Done)));
        assert_eq!((drained.len(), woken.load(Ordering::Relaxed)), (2, 1));
    }
}
