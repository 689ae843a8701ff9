//! What anyone asks of a thread that may not run yet, or run anew.

use std::fmt;
use std::mem;

use super::sync::{AtomicBool, Mutex, Ordering, Wake};

/// Asked by anyone, done by the thread that said last how it is woken. Looking costs it one read while nothing is asked.
pub(crate) struct Requests<T> {
    queue: Mutex<Vec<T>>,
    /// Whether the queue holds anything. Changed under its lock, and read without.
    pending: AtomicBool,
    wake: Mutex<Option<Wake>>,
}

impl<T> Requests<T> {
    pub(crate) fn send(&self, request: T) {
        let mut queue = self.queue.lock();
        queue.push(request);
        self.pending.store(true, Ordering::Release);
        drop(queue);
        self.wake();
    }

    /// Wake the thread, if there is one.
    pub(crate) fn wake(&self) {
        let wake = self.wake.lock().clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Call `wake` from now on. To be followed by a look at what was asked before.
    pub(crate) fn wake_by(&self, wake: Wake) {
        *self.wake.lock() = Some(wake);
    }

    /// Whether everything that was asked has been taken note of.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        !self.pending.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) -> Vec<T> {
        if !self.pending.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut queue = self.queue.lock();
        self.pending.store(false, Ordering::Release);
        mem::take(&mut *queue)
    }
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self { queue: Mutex::new(Vec::new()), pending: AtomicBool::new(false), wake: Mutex::new(None) }
    }
}

impl<T> fmt::Debug for Requests<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Requests").finish_non_exhaustive()
    }
}
