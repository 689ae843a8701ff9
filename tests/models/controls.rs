//! What loom would find: the same hand-overs with a mistake planted in each.

use std::sync::Arc;

use loom::thread;

use crate::bell::Bell;
use crate::handoffs::{LONG, rings};
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};

#[test]
#[should_panic(expected = "deadlock")]
fn a_sender_that_rings_before_it_leaves_its_report_is_found() {
    loom::model(|| {
        let bell = Arc::<Bell>::default();
        let queue = Arc::new(Mutex::new(Vec::new()));
        let (wake, sending) = (rings(&bell), Arc::clone(&queue));
        thread::spawn(move || {
            wake();
            sending.lock().push(1);
        });
        while queue.lock().is_empty() {
            bell.wait(LONG);
        }
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_report_that_rings_only_where_nothing_waits_is_not_heard_behind_a_quiet_one() {
    loom::model(|| {
        let bell = Arc::<Bell>::default();
        let queue = Arc::new(Mutex::new(Vec::new()));
        let (wake, sending) = (rings(&bell), Arc::clone(&queue));
        thread::spawn(move || {
            for (report, is_quiet) in [(1, true), (2, false)] {
                let mut queue = sending.lock();
                queue.push(report);
                let was_empty = queue.len() == 1;
                drop(queue);
                if was_empty && !is_quiet {
                    wake();
                }
            }
        });
        let mut seen = 0;
        while seen < 2 {
            let taken = std::mem::take(&mut *queue.lock());
            if taken.is_empty() {
                bell.wait(LONG);
            }
            seen += taken.len();
        }
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_bell_whose_flag_is_not_under_its_lock_is_found() {
    loom::model(|| {
        let shared = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::default()));
        let ringing = Arc::clone(&shared);
        thread::spawn(move || {
            let (rung, _, condition) = &*ringing;
            rung.store(true, Ordering::Release);
            condition.notify_one();
        });
        let (rung, lock, condition) = &*shared;
        let mut guard = lock.lock();
        if !rung.load(Ordering::Acquire) {
            condition.wait_for(&mut guard, LONG);
        }
    });
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_look_that_forgets_what_came_behind_it_is_found() {
    loom::model(|| {
        let bell = Arc::<Bell>::default();
        let (queue, pending) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (wake, sending, flag) = (rings(&bell), Arc::clone(&queue), Arc::clone(&pending));
        thread::spawn(move || {
            sending.lock().push(1);
            flag.store(true, Ordering::Release);
            wake();
        });
        let mut seen = 0;
        while seen < 1 {
            if pending.load(Ordering::Acquire) {
                seen += std::mem::take(&mut *queue.lock()).len();
            } else {
                bell.wait(LONG);
                // Too late: it may have been set since.
                pending.store(false, Ordering::Release);
            }
        }
    });
}
