//! A semaphore as tokio's promises to be: whoever waits longest is next, and nobody who does not wait comes before them.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::sync::Mutex;

pub(crate) struct Semaphore(Mutex<State>);

struct State {
    permits: usize,
    next: u64,
    waiting: VecDeque<(u64, Waker)>,
    granted: BTreeSet<u64>,
}

#[derive(Debug)]
pub(crate) struct OwnedSemaphorePermit(Arc<Semaphore>);

struct Acquire {
    semaphore: Arc<Semaphore>,
    turn: Option<u64>,
}

impl Semaphore {
    pub(crate) const MAX_PERMITS: usize = usize::MAX >> 3;

    pub(crate) fn new(permits: usize) -> Self {
        Self(Mutex::new(State { permits, next: 0, waiting: VecDeque::new(), granted: BTreeSet::new() }))
    }

    pub(crate) fn available_permits(&self) -> usize {
        self.0.lock().permits
    }

    pub(crate) fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, ()> {
        let mut state = self.0.lock();
        state.permits = state.permits.checked_sub(1).ok_or(())?;
        drop(state);
        Ok(OwnedSemaphorePermit(self))
    }

    pub(crate) fn acquire_owned(self: Arc<Self>) -> impl Future<Output = Result<OwnedSemaphorePermit, ()>> {
        Acquire { semaphore: self, turn: None }
    }

    fn release(&self) {
        let mut state = self.0.lock();
        let Some((turn, waker)) = state.waiting.pop_front() else {
            state.permits += 1;
            return;
        };
        state.granted.insert(turn);
        drop(state);
        waker.wake();
    }
}

impl Future for Acquire {
    type Output = Result<OwnedSemaphorePermit, ()>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let semaphore = Arc::clone(&self.semaphore);
        let mut state = semaphore.0.lock();
        let waker = context.waker().clone();
        let is_granted = match self.turn {
            Some(turn) if state.granted.remove(&turn) => true,
            Some(turn) => {
                state.waiting.iter_mut().filter(|(other, _)| *other == turn).for_each(|(_, of)| of.clone_from(&waker));
                false
            }
            None if state.permits > 0 => {
                state.permits -= 1;
                true
            }
            None => {
                let turn = state.next;
                state.next += 1;
                state.waiting.push_back((turn, waker));
                self.turn = Some(turn);
                return Poll::Pending;
            }
        };
        drop(state);
        if !is_granted {
            return Poll::Pending;
        }
        self.turn = None;
        Poll::Ready(Ok(OwnedSemaphorePermit(semaphore)))
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(turn) = self.turn else { return };
        let mut state = self.semaphore.0.lock();
        state.waiting.retain(|(other, _)| *other != turn);
        let was_granted = state.granted.remove(&turn);
        drop(state);
        if was_granted {
            self.semaphore.release();
        }
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl std::fmt::Debug for Semaphore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Semaphore").finish_non_exhaustive()
    }
}
