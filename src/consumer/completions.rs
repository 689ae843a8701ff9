//! The way back from handlers' tasks to the poll thread.

use std::sync::Arc;

use super::key::KeyId;
use super::parked::{ParkError, ParkedKey, ParkedRecord};
use super::passed_over::NotRemembered;
use super::places::Place;
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
    /// Reading a key's parked events; `None` where they are to stay parked after all.
    Fetched(Result<Option<Vec<ParkedRecord>>, ParkError>),
    /// Forgetting a key that has no parked events any more.
    Forgotten(Result<(), ParkError>),
    /// The attempt was taken back before it began.
    NotBegun {
        /// Whether its gate has let it through, and counts it as running.
        passed_gate: bool,
    },
    /// The task ended without saying how; it was cancelled, or the runtime shut down.
    Vanished,
}

/// A task has ended. The epoch fences it: after a rebalance its partition may be somebody else's.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) slot: usize,
    pub(crate) epoch: u64,
    pub(crate) key: KeyId,
    /// The handler it was an attempt of.
    pub(crate) route: Option<RouteId>,
    pub(crate) finished: Finished,
    /// Whether the task has gone on to the key's next event.
    pub(crate) goes_on: bool,
    /// The place of an attempt that was not done: nobody begins in its place before it is settled.
    pub(crate) place: Option<Place>,
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
    /// A place that the poll thread has waited for.
    Place(Place),
}

/// Completions, on their way to the poll thread.
pub(crate) type Completions = Reports<Report>;

/// A task's duty to report. Dropped without a report, it reports that the task vanished: no completion ever leaks.
pub(crate) struct Duty {
    completions: Arc<Completions>,
    slot: usize,
    epoch: u64,
    key: Option<KeyId>,
    route: Option<RouteId>,
}

impl Duty {
    pub(crate) fn new(completions: &Arc<Completions>, slot: usize, epoch: u64, key: KeyId) -> Self {
        Self { completions: Arc::clone(completions), slot, epoch, key: Some(key), route: None }
    }

    /// An attempt at this handler begins.
    pub(crate) fn set_route(&mut self, route: RouteId) {
        self.route = Some(route);
    }

    pub(crate) fn finish(self, finished: Finished) {
        self.finish_with(finished, None);
    }

    /// The same, with the place of the attempt.
    pub(crate) fn finish_with(mut self, finished: Finished, place: Option<Place>) {
        if let Some(report) = self.take_report(finished, place) {
            self.completions.push(report);
        }
    }

    /// The same; the poll thread need not hear of it at once while `others_report` soon.
    pub(crate) fn finish_unless(mut self, others_report: impl Fn() -> bool, finished: Finished) {
        if let Some(report) = self.take_report(finished, None) {
            self.completions.push_unless(others_report, report);
        }
    }

    /// This event is finished, and the task goes on to its key's next one.
    pub(crate) fn go_on(&self, finished: Finished) {
        if let Some(key) = self.key.clone() {
            let Self { slot, epoch, route, .. } = *self;
            let completion = Completion { slot, epoch, key, route, finished, goes_on: true, place: None };
            self.completions.push_quietly(Report::Task(completion));
        }
    }

    fn take_report(&mut self, finished: Finished, place: Option<Place>) -> Option<Report> {
        let key = self.key.take()?;
        let Self { slot, epoch, route, .. } = *self;
        Some(Report::Task(Completion { slot, epoch, key, route, finished, goes_on: false, place }))
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        if let Some(report) = self.take_report(Finished::Vanished, None) {
            self.completions.push(report);
        }
    }
}

/// A look at which keys are parked, and whose they are. Dropped without an answer, it reports that there is none: nobody waits for it
/// for ever.
pub(crate) struct ParkedLook {
    completions: Arc<Completions>,
    of: Option<LookAt>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LookAt {
    /// A partition that is new here.
    Partition { slot: usize, epoch: u64 },
    /// What is asked of the keys that are known.
    Requests,
}

#[derive(Debug, thiserror::Error)]
#[error("the task that asked for them ended without an answer: the store panicked, or the runtime shuts down")]
struct NoAnswer;

impl ParkedLook {
    pub(crate) fn new(completions: &Arc<Completions>, of: LookAt) -> Self {
        Self { completions: Arc::clone(completions), of: Some(of) }
    }

    pub(crate) fn finish(mut self, keys: Result<Vec<ParkedKey>, ParkError>) {
        self.report(keys);
    }

    fn report(&mut self, keys: Result<Vec<ParkedKey>, ParkError>) {
        match self.of.take() {
            Some(LookAt::Partition { slot, epoch }) => self.completions.push(Report::Loaded { slot, epoch, keys }),
            Some(LookAt::Requests) => self.completions.push(Report::Requests(keys)),
            None => {}
        }
    }
}

impl Drop for ParkedLook {
    fn drop(&mut self) {
        self.report(Err(ParkError::new("list", NoAnswer)));
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
        drop(Duty::new(&completions, 1, 2, KeyId::Alone(3)));
        Duty::new(&completions, 1, 2, KeyId::Alone(4)).finish(Finished::Attempt(Outcome::Done));
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
