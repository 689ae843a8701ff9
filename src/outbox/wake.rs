//! Tells the relays of this process that rows were committed.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::bucket::BUCKETS;

/// A set of buckets.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BucketSet([u64; BUCKETS / 64]);

impl BucketSet {
    pub(crate) const EMPTY: Self = Self([0; BUCKETS / 64]);

    pub(crate) fn insert(&mut self, bucket: u8) {
        self.0[usize::from(bucket / 64)] |= 1 << (bucket % 64);
    }

    pub(crate) fn contains(self, bucket: u8) -> bool {
        self.0[usize::from(bucket / 64)] & (1 << (bucket % 64)) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    pub(crate) fn len(self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |bucket| self.contains(*bucket))
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub(crate) fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }
}

impl FromIterator<u8> for BucketSet {
    fn from_iter<I: IntoIterator<Item = u8>>(buckets: I) -> Self {
        let mut set = Self::EMPTY;
        buckets.into_iter().for_each(|bucket| set.insert(bucket));
        set
    }
}

impl fmt::Debug for BucketSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter()).finish()
    }
}

/// Where transactions say that they have committed.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    listeners: Mutex<Vec<Weak<Listener>>>,
}

/// Where a relay hears of it.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    buckets: Mutex<BucketSet>,
    notify: Notify,
}

impl Wake {
    pub(crate) fn listen(&self) -> Arc<Listener> {
        let listener = Arc::new(Listener::default());
        let mut listeners = self.listeners.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        listener
    }

    /// Rows of `buckets` were committed.
    pub(crate) fn committed(&self, buckets: impl Iterator<Item = u8>) {
        let committed: BucketSet = buckets.collect();
        if committed.is_empty() {
            return;
        }
        for listener in self.listeners.lock().iter().filter_map(Weak::upgrade) {
            let mut buckets = listener.buckets.lock();
            *buckets = buckets.or(committed);
            drop(buckets);
            listener.notify.notify_one();
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
        std::mem::take(&mut *self.buckets.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_listener_hears_of_a_commit() {
        let wake = Wake::default();
        let (first, second) = (wake.listen(), wake.listen());
        wake.committed([3, 200].into_iter());
        for listener in [first, second] {
            listener.woken().await;
            assert_eq!(listener.take().iter().collect::<Vec<_>>(), [3, 200]);
            assert!(listener.take().is_empty());
        }
    }

    #[test]
    fn a_set_of_buckets_adds_and_takes_away() {
        let all: BucketSet = (0..=u8::MAX).collect();
        let some: BucketSet = [0, 63, 64, 255].into_iter().collect();
        assert_eq!((all.len(), all.without(some).len(), all.and(some)), (256, 252, some));
    }
}
