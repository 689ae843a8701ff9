//! What is to go wrong, once or until further notice.

use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::TestKit;
use super::panics::fail;
use crate::outcome::HandlerError;

/// What is to go wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) commits: Count,
    pub(super) fetches: Count,
    pub(super) dead_letters: Count,
    /// Whether the brokers answer nobody.
    pub(super) paused: AtomicBool,
    handlers: Mutex<Vec<(String, HandlerError)>>,
}

/// How many of something are still to fail.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count, Ordering::AcqRel);
    }

    /// Whether this one is to fail.
    pub(super) fn take(&self) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1)).is_ok()
    }
}

impl Faults {
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    pub(super) fn fail_handler(&self, handler: &str, error: HandlerError) {
        self.handlers.lock().push((handler.to_owned(), error));
    }

    /// What the next attempt of `handler` fails with.
    pub(super) fn take_handler(&self, handler: &str) -> Option<HandlerError> {
        let mut handlers = self.handlers.lock();
        let index = handlers.iter().position(|(name, _)| names(name, handler))?;
        Some(handlers.remove(index).1)
    }
}

/// Whether `name` means the handler `full`: `Dispatcher::method`, or the method alone.
pub(super) fn names(name: &str, full: &str) -> bool {
    name == full || full.rsplit_once("::").is_some_and(|(_, method)| method == name)
}

impl TestKit {
    /// The next attempt of `handler` fails with `error` before it is run: retried, as the handler's policy says, unless the error
    /// is terminal. `handler` is a method's name, or `Dispatcher::method`. Called n times, the next n attempts fail.
    ///
    /// # Panics
    /// No consumer that was started has such a handler.
    #[track_caller]
    pub fn fail_next(&self, handler: &str, error: impl Into<HandlerError>) {
        let known: Vec<_> = {
            let state = self.inner.journal.lock();
            let mut known: Vec<_> = state.groups.values().flat_map(|group| group.handlers.iter().copied()).collect();
            known.sort_unstable();
            known.dedup();
            known
        };
        if !known.iter().any(|full| names(handler, full)) {
            let known = if known.is_empty() { "none; start a consumer first".to_owned() } else { known.join(", ") };
            fail(Location::caller(), format_args!("there is no handler `{handler}`; those started are: {known}"));
        }
        self.inner.faults.fail_handler(handler, error.into());
    }

    /// The broker refuses the next commit. The engine repeats it.
    pub fn fail_next_commit(&self) {
        self.inner.faults.commits.add(1);
    }

    /// The next read of a partition fails. The engine repeats it.
    pub fn fail_next_fetch(&self) {
        self.inner.faults.fetches.add(1);
    }

    /// The broker refuses the next dead letter. The engine repeats it; until it is written, its event holds its key and its offset.
    pub fn fail_next_dead_letter(&self) {
        self.inner.faults.dead_letters.add(1);
    }

    /// From now on members read nothing and their commits are not answered, until [`resume_broker`](Self::resume_broker).
    /// Publishing goes on.
    pub fn pause_broker(&self) {
        self.inner.faults.paused.store(true, Ordering::Release);
    }

    /// Members read again, and what they committed meanwhile is committed.
    pub fn resume_broker(&self) {
        self.inner.faults.paused.store(false, Ordering::Release);
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_taken_once_and_by_whom_it_names() {
        let faults = Faults::default();
        faults.fail_handler("on_renamed", "away".into());
        assert!(faults.take_handler("Board::on_deleted").is_none());
        assert_eq!(faults.take_handler("Board::on_renamed").unwrap().to_string(), "away");
        assert!(faults.take_handler("Board::on_renamed").is_none());
        assert!(!faults.commits.take());
        faults.commits.add(1);
        assert!(faults.commits.take() && !faults.commits.take());
    }
}
