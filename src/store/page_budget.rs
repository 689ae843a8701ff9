//! How much readers may hold ready, all together. Whoever finds no more room reads its events one by one: slower, but nobody is refused
//! for what others do not take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A budget of bytes for the pages of all readers.
#[derive(Debug)]
pub(super) struct PageBudget {
    limit: usize,
    held: AtomicUsize,
}

/// What one reader holds of it, given back when dropped.
#[derive(Debug)]
pub(super) struct PageShare {
    budget: Arc<PageBudget>,
    held: usize,
}

impl PageBudget {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0) })
    }

    pub(super) fn share(self: &Arc<Self>) -> PageShare {
        PageShare { budget: Arc::clone(self), held: 0 }
    }
}

impl PageShare {
    /// Whether there is room for more than one event.
    pub(super) fn has_room(&self) -> bool {
        self.budget.held.load(Ordering::Relaxed) < self.budget.limit
    }

    /// `bytes` more are held. Whether there is room for the next ones: at most one event of each reader is beyond the budget.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        self.held += bytes;
        self.budget.held.fetch_add(bytes, Ordering::Relaxed) + bytes < self.budget.limit
    }

    /// All of it was given out.
    pub(super) fn give_back(&mut self) {
        self.budget.held.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
    }
}

impl Drop for PageShare {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_share_a_budget_and_give_back_what_they_hold() {
        let budget = PageBudget::new(100);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.take(60));
        assert!(first.has_room() && second.has_room());
        assert!(!second.take(50), "one event, and no more");
        assert!(!first.has_room() && !second.has_room());
        first.give_back();
        assert!(second.has_room());
        assert!(second.take(10));
        drop((first, second));
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
