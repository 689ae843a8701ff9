//! Tells relays that rows were committed: those of this process directly, those of others by a datagram to the address in the
//! lease.
//!
//! A wake-up is a hint to look, never a fact: one that is lost costs the time until the relay looks by itself, one that is made up
//! costs a query.

mod bucket_set;
mod datagram;
mod ear;
mod owners;

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) use self::bucket_set::BucketSet;
pub(super) use self::datagram::WakeAddress;
pub(super) use self::ear::Ear;
use self::owners::Owners;
use crate::database::pool::Pool;

/// Where transactions say that they have committed.
#[derive(Debug)]
pub(crate) struct Wake {
    listeners: Mutex<Vec<Weak<Listener>>>,
    owners: Arc<Owners>,
}

/// Where a relay of this process hears of it.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What was committed and not yet asked for.
    committed: BucketSet,
    /// What the relay owns: nobody else need be told of these.
    owned: BucketSet,
}

impl Wake {
    /// For the transactions on `pool`.
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { listeners: Mutex::default(), owners: Arc::new(Owners::new(pool.clone())) }
    }

    pub(crate) fn listen(&self) -> Arc<Listener> {
        let listener = Arc::new(Listener::default());
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        listener
    }

    /// Rows of `buckets` were committed. Does not block, and cannot fail.
    pub(crate) fn committed(&self, buckets: impl Iterator<Item = u8>) {
        let committed: BucketSet = buckets.collect();
        if committed.is_empty() {
            return;
        }
        let mut elsewhere = committed;
        for listener in self.listeners.lock().iter().filter_map(Weak::upgrade) {
            elsewhere = elsewhere.without(listener.tell(committed));
        }
        if !elsewhere.is_empty() {
            self.owners.tell(elsewhere);
        }
    }
}

impl Listener {
    /// Resolves when something was committed since this last resolved.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// The buckets of what was committed since this was last asked.
    pub(crate) fn take(&self) -> BucketSet {
        std::mem::take(&mut self.state.lock().committed)
    }

    /// Say what the relay owns.
    pub(super) fn owns(&self, buckets: BucketSet) {
        self.state.lock().owned = buckets;
    }

    /// Take note of a commit; what the relay owns.
    fn tell(&self, committed: BucketSet) -> BucketSet {
        let owned = {
            let mut state = self.state.lock();
            // Also what it does not own: it may own it by the time it looks.
            state.committed = state.committed.or(committed);
            state.owned
        };
        self.notify.notify_one();
        owned
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use crate::database::{Database, DatabaseOptions};

    #[tokio::test]
    async fn every_listener_hears_of_a_commit() {
        let database = Database::connect(DatabaseOptions::new("sqlite::memory:").migrate(true)).await.unwrap();
        let wake = &database.wake;
        let (first, second) = (wake.listen(), wake.listen());
        wake.committed([3, 200].into_iter());
        for listener in [first, second] {
            listener.woken().await;
            assert_eq!(listener.take().iter().collect::<Vec<_>>(), [3, 200]);
            assert!(listener.take().is_empty());
        }
    }
}
