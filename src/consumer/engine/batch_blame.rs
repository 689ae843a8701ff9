//! Whom the failure of a batch is held against.

use crate::dispatch::{is_rolled_back, shared};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// What is known of the failure of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blame {
    /// More than one event was in it.
    several: bool,
    /// Events that were well were rolled back for others of them.
    rolled_back: bool,
}

impl Blame {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let rolled_back = |outcome: &Outcome| error_of(outcome).is_some_and(is_rolled_back);
        Self { several: outcomes.len() > 1, rolled_back: outcomes.iter().any(rolled_back) }
    }

    /// Whether this outcome says nothing of its event: it is that of all, and any other of them may be the reason.
    pub(super) fn spares(self, outcome: &Outcome) -> bool {
        self.several && failure_of(outcome).is_some_and(|error| shared(error).is_some())
    }

    /// Whether an event with this outcome goes alone from now on: it may fail again, and would take others with it.
    pub(super) fn sets_apart(self, outcome: &Outcome) -> bool {
        self.spares(outcome) || self.rolled_back && failure_of(outcome).is_some()
    }
}

fn error_of(outcome: &Outcome) -> Option<&HandlerError> {
    match outcome {
        Outcome::Done => None,
        Outcome::Retry { error, .. } | Outcome::DeadLetter { error } | Outcome::Park { error } => Some(error),
    }
}

/// The error, unless the event is not to be blamed for it.
fn failure_of(outcome: &Outcome) -> Option<&HandlerError> {
    error_of(outcome).filter(|error| error.class() != ErrorClass::Unavailable)
}
