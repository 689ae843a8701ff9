//! What the poll thread takes back from a task is not begun, and a task that waits hears of it.

use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use loom::thread;

use crate::bell::Bell;
use crate::handoffs::{LONG, in_every_order};
use crate::last_turn::LastTurn;
use crate::recall::Recall;
use crate::sync::{AtomicBool, AtomicWaker, Ordering};

pub(crate) struct Rings(pub(crate) Bell);

impl Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.ring();
    }
}

/// Poll until it is ready, as a runtime does: again only once it was woken.
fn run(mut poll: impl FnMut(&Context<'_>) -> bool) {
    let rings = Arc::new(Rings(Bell::default()));
    let waker = Waker::from(Arc::clone(&rings));
    while !poll(&Context::from_waker(&waker)) {
        rings.0.wait(LONG);
    }
}

#[test]
fn a_task_that_waits_hears_that_nothing_is_to_begin() {
    in_every_order(|| {
        let recall = Arc::<Recall>::default();
        let telling = Arc::clone(&recall);
        thread::spawn(move || telling.stop());
        run(|context| recall.poll_stopped(context) && !recall.poll_cancelled(context));
    });
}

#[test]
fn a_task_in_a_handler_hears_that_it_is_cancelled_whatever_else_it_is_told() {
    in_every_order(|| {
        let recall = Arc::<Recall>::default();
        let (stopping, cancelling) = (Arc::clone(&recall), Arc::clone(&recall));
        thread::spawn(move || stopping.stop());
        thread::spawn(move || cancelling.cancel());
        run(|context| recall.poll_cancelled(context));
        assert!(recall.is_stopped());
    });
}

#[test]
fn a_task_that_waits_and_then_runs_hears_of_both() {
    in_every_order(|| {
        let recall = Arc::<Recall>::default();
        let telling = Arc::clone(&recall);
        thread::spawn(move || {
            telling.stop();
            telling.cancel();
        });
        run(|context| recall.poll_stopped(context));
        run(|context| recall.poll_cancelled(context));
    });
}

const SESSION: Duration = Duration::from_secs(45);
const LATER: Duration = Duration::from_secs(100);

#[test]
fn whoever_finds_the_turn_fresh_has_found_what_it_was_told_too() {
    in_every_order(|| {
        let shared = Arc::new((Recall::default(), LastTurn::new(Duration::ZERO, SESSION)));
        let turning = Arc::clone(&shared);
        // The poll thread was away, finds its partition in doubt, and tells the task before it notes its turn.
        thread::spawn(move || {
            let (recall, last_turn) = &*turning;
            recall.stop();
            last_turn.note(LATER);
        });
        let (recall, last_turn) = &*shared;
        let begins = !last_turn.is_too_long_ago(LATER) && !recall.is_stopped();
        assert!(!begins, "it began though it was told not to");
    });
}

#[test]
#[should_panic(expected = "it began")]
fn a_turn_that_is_noted_before_the_task_is_told_is_found() {
    loom::model(|| {
        let shared = Arc::new((Recall::default(), LastTurn::new(Duration::ZERO, SESSION)));
        let turning = Arc::clone(&shared);
        thread::spawn(move || {
            let (recall, last_turn) = &*turning;
            last_turn.note(LATER);
            recall.stop();
        });
        let (recall, last_turn) = &*shared;
        let begins = !last_turn.is_too_long_ago(LATER) && !recall.is_stopped();
        assert!(!begins, "it began though it was told not to");
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_task_that_looks_before_it_says_how_it_is_woken_is_found() {
    loom::model(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicWaker::default()));
        let telling = Arc::clone(&shared);
        thread::spawn(move || {
            telling.0.store(true, Ordering::Release);
            telling.1.wake();
        });
        run(|context| {
            let is_stopped = shared.0.load(Ordering::Acquire);
            shared.1.register(context.waker());
            is_stopped
        });
    });
}
