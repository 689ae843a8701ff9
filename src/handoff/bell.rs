//! A flag one thread waits for.

use std::time::Duration;

use super::sync::{Condvar, Mutex};

/// Rung by anyone, waited for by one thread. It stays rung until that thread has noticed.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.condition.notify_one();
    }

    /// Wait until it rings, or for `timeout`. Returns at once if it has rung since the last time. May return early.
    pub(crate) fn wait(&self, timeout: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.condition.wait_for(&mut rung, timeout);
        }
        *rung = false;
    }
}
