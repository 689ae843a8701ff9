//! Whom the failure of a batch is held against.

use crate::dispatch::{is_rolled_back, is_taken_out_for, shared};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// What is known of the failure of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blame {
    /// More than one event was in it.
    several: bool,
    /// Events that were well were rolled back for others of them.
    rolled_back: bool,
    /// Some of the events were taken out, and the others are to be handled without them.
    taken_out: bool,
}

impl Blame {
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let any = |is: fn(&HandlerError) -> bool| outcomes.iter().filter_map(error_of).any(is);
        Self { several: outcomes.len() > 1, rolled_back: any(is_rolled_back), taken_out: any(is_taken_out_for) }
    }

    /// Whether this outcome says nothing of its event: it is that of all, and any other of them may be the reason.
    pub(super) fn spares(self, outcome: &Outcome) -> bool {
        self.several && failure_of(outcome).is_some_and(|error| shared(error).is_some())
    }

    /// Whether an event with this outcome goes alone from now on: it may fail again, and would take others with it. One that was
    /// taken out may stand behind an event of its key that is not handled yet, and must not come into the same batch with it again.
    pub(super) fn sets_apart(self, outcome: &Outcome) -> bool {
        self.spares(outcome)
            || self.rolled_back && failure_of(outcome).is_some()
            || self.taken_out && !Self::is_put_together_again(outcome)
    }

    /// Whether the event was not tried: others of its batch are not to be handled, and it goes into the next one without them.
    pub(super) fn is_put_together_again(outcome: &Outcome) -> bool {
        error_of(outcome).is_some_and(is_taken_out_for)
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
