//! Reports of many tasks to one thread.

use std::mem;
use std::sync::Arc;

use super::sync::{Mutex, Wake};

/// Reports on their way to the thread that `wake` wakes. Touched once a task, drained in batches.
pub(crate) struct Reports<T> {
    queue: Mutex<Vec<T>>,
    wake: Wake,
}

impl<T> Reports<T> {
    pub(crate) fn new(wake: Wake) -> Arc<Self> {
        Arc::new(Self { queue: Mutex::new(Vec::new()), wake })
    }

    /// Take everything there is into `reports`, which is empty and lends its memory.
    pub(crate) fn drain_into(&self, reports: &mut Vec<T>) {
        debug_assert!(reports.is_empty(), "what is in the buffer would be reported again");
        mem::swap(&mut *self.queue.lock(), reports);
    }

    pub(crate) fn push(&self, report: T) {
        let mut queue = self.queue.lock();
        queue.push(report);
        let was_empty = queue.len() == 1;
        drop(queue);
        // Whoever made the queue non-empty rings; the rest ride along.
        if was_empty {
            (self.wake)();
        }
    }
}
