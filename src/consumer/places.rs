//! The places that bound how many handlers run at once.

use std::sync::Arc;

use super::sync::{AtomicUsize, Ordering, OwnedSemaphorePermit, Semaphore};

/// A handler's place while it runs.
pub(crate) type Place = OwnedSemaphorePermit;

/// The places of a group. The poll thread takes those that are free; tasks that wait for one get it in the order they came, from
/// whoever leaves it, without the poll thread.
#[derive(Debug)]
pub(crate) struct Places {
    shared: Arc<SharedPlaces>,
    /// Those the poll thread holds: one for the next handler, as most are done before they need one, and what came back to it.
    spare: Vec<Place>,
}

/// What the tasks know of the places.
#[derive(Debug)]
pub(crate) struct SharedPlaces {
    places: Arc<Semaphore>,
    most: usize,
    waiting: AtomicUsize,
}

/// A task that waits for a place, until dropped.
#[derive(Debug)]
pub(crate) struct Waiter(Arc<SharedPlaces>);

impl Places {
    /// Room for `most` handlers.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        Self { shared: Arc::new(SharedPlaces { places, most, waiting: AtomicUsize::new(0) }), spare: Vec::new() }
    }

    pub(crate) fn shared(&self) -> &Arc<SharedPlaces> {
        &self.shared
    }

    /// Whether one is free. It stays the poll thread's until it is taken or [given back](Self::give_back).
    pub(crate) fn has_one(&mut self) -> bool {
        if self.spare.is_empty() {
            self.spare.extend(Arc::clone(&self.shared.places).try_acquire_owned());
        }
        !self.spare.is_empty()
    }

    /// Take one, if one is free.
    pub(crate) fn take(&mut self) -> Option<Place> {
        self.has_one();
        self.spare.pop()
    }

    /// Keep `place` for what needs it next.
    pub(crate) fn keep(&mut self, place: Place) {
        self.spare.push(place);
    }

    /// Let others have what was held ready.
    pub(crate) fn give_back(&mut self) {
        self.spare.clear();
    }

    /// How many handlers run.
    pub(crate) fn in_use(&self) -> usize {
        let free = self.shared.places.available_permits() + self.spare.len();
        self.shared.most.saturating_sub(free)
    }

    /// Whether nobody can begin before somebody ends.
    pub(crate) fn are_taken(&self) -> bool {
        self.in_use() >= self.shared.most
    }

    /// Whether as many tasks wait as could take all places at once.
    pub(crate) fn are_waited_for(&self) -> bool {
        self.shared.waiting() >= self.shared.most
    }
}

impl SharedPlaces {
    fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Whether soon nobody waits any more.
    pub(crate) fn are_hardly_waited_for(&self) -> bool {
        self.waiting() <= self.most / 2
    }

    /// Begin to wait.
    pub(crate) fn wait(self: &Arc<Self>) -> Waiter {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiter(Arc::clone(self))
    }
}

impl Waiter {
    /// Resolves to a place when it is this one's turn; never, when nobody gives places any more.
    pub(crate) async fn place(self) -> Place {
        match Arc::clone(&self.0.places).acquire_owned().await {
            Ok(place) => place,
            Err(_closed) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
