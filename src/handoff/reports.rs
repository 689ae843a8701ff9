//! Reports of many tasks to one thread.

use std::mem;
use std::sync::Arc;

use super::sync::{Mutex, MutexGuard, Wake};

/// Reports that wait quietly before the thread is woken after all: what is known late is done late.
const QUIET: usize = 64;

/// Reports on their way to the thread that `wake` wakes. Touched once a task, drained in batches.
pub(crate) struct Reports<T> {
    queue: Mutex<Queue<T>>,
    wake: Wake,
}

struct Queue<T> {
    reports: Vec<T>,
    /// Whether somebody rings, or has rung, for what is in it.
    rung: bool,
}

impl<T> Reports<T> {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::new(Queue { reports: Vec::new(), rung: false }), wake })
    }

    /// Take everything there is into `reports`, which is empty and lends its memory.
    pub(crate) fn drain_into(&self, reports: &mut Vec<T>) {
        debug_assert!(reports.is_empty(), "what is in the buffer would be reported again");
        let mut queue = self.queue.lock();
        queue.rung = false;
        mem::swap(&mut queue.reports, reports);
    }

    /// Report, and wake the thread.
    pub(crate) fn push(&self, report: T) {
        self.push_and_ring(report, 0);
    }

    /// Report what the thread has no need to know at once. It is found at the next turn, or when enough others have come.
    pub(crate) fn push_quietly(&self, report: T) {
        self.push_and_ring(report, QUIET);
    }

    /// Report quietly while `others_report` says that more is reported soon, and aloud by the last of them.
    pub(crate) fn push_unless(&self, others_report: impl Fn() -> bool, report: T) {
        if !others_report() {
            return self.push(report);
        }
        self.push_quietly(report);
        // The last of them may have rung before this one was there.
        if !others_report() {
            self.ring(self.queue.lock(), 1);
        }
    }

    fn push_and_ring(&self, report: T, from: usize) {
        let mut queue = self.queue.lock();
        queue.reports.push(report);
        self.ring(queue, from);
    }

    /// Wake the thread for what is in the queue, if it is so many.
    fn ring(&self, mut queue: MutexGuard<'_, Queue<T>>, from: usize) {
        let rings = queue.reports.len() >= from && !queue.rung;
        queue.rung |= rings;
        drop(queue);
        // Whoever comes first rings; the rest ride along.
        if rings {
            (self.wake)();
        }
    }
}
