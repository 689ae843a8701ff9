//! The way back from handlers' tasks to the poll thread.

use std::sync::Arc;

use super::key::KeyId;
use super::parked::{ParkError, ParkedKey, ParkedRecord};
use super::passed_over::NotRemembered;
use crate::handoff::Reports;
use crate::outcome::{HandlerError, Outcome};
use crate::transport::{ProduceError, Written};

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
    /// Writing to the parked store.
    Parked(Result<(), ParkError>),
    /// Taking an event out of the parked store.
    Unparked(Result<(), ParkError>),
    /// Reading a key's parked events.
    Fetched(Result<Vec<ParkedRecord>, ParkError>),
    /// Forgetting a key that has no parked events any more.
    Forgotten(Result<(), ParkError>),
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
    /// The handler it was an attempt of.
    pub(crate) route: Option<RouteId>,
    pub(crate) finished: Finished,
}

/// Where a route stands: its topic's plan, and its place there.
pub(crate) type RouteId = (usize, usize);

/// What the poll thread is told.
#[derive(Debug)]
pub(crate) enum Report {
    /// A key's task has ended.
    Task(Completion),
    /// The parked keys of a partition that is new here.
    Loaded { slot: usize, epoch: u64, keys: Result<Vec<ParkedKey>, ParkError> },
    /// The parked keys, and what was asked of them.
    Requests(Result<Vec<ParkedKey>, ParkError>),
    /// A batch has ended; without outcomes, nobody knows how.
    Batch { id: u64, outcomes: Option<Vec<Outcome>> },
}

/// Completions, on their way to the poll thread.
pub(crate) type Completions = Reports<Report>;

/// A task's duty to report. Dropped without a report, it reports that the task vanished: no completion ever leaks.
pub(crate) struct Duty {
    completions: Arc<Completions>,
    slot: usize,
    epoch: u64,
    key: Option<KeyId>,
    place: Place,
    route: Option<RouteId>,
}

impl Duty {
    pub(crate) fn new(completions: &Arc<Completions>, slot: usize, epoch: u64, key: KeyId, place: Place) -> Self {
        Self { completions: Arc::clone(completions), slot, epoch, key: Some(key), place, route: None }
    }

    /// For an attempt at a handler.
    pub(crate) fn of_route(mut self, route: Option<RouteId>) -> Self {
        self.route = route;
        self
    }

    pub(crate) fn finish(mut self, finished: Finished) {
        self.send(finished);
    }

    fn send(&mut self, finished: Finished) {
        if let Some(key) = self.key.take() {
            let Self { slot, epoch, place, route, .. } = *self;
            self.completions.push(Report::Task(Completion { slot, epoch, key, place, route, finished }));
        }
    }
}

impl Drop for Duty {
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
        drop(Duty::new(&completions, 1, 2, KeyId::Alone(3), Place::Taken));
        Duty::new(&completions, 1, 2, KeyId::Alone(4), Place::None).finish(Finished::Attempt(Outcome::Done));
        let mut drained = Vec::new();
        completions.drain_into(&mut drained);
        let finished = |report: &Report| match report {
            Report::Task(completion) => format!("{:?}", completion.finished),
            other => format!("{other:?}"),
        };
        assert_eq!((&*finished(&drained[0]), &*finished(&drained[1])), ("Vanished", "Attempt(Done)"));
        assert_eq!((drained.len(), woken.load(Ordering::Relaxed)), (2, 1));
    }
}
