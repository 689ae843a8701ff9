//! What is to go wrong, once or until further notice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

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
