//! Parked events in memory: for tests, and for what may be lost with the process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;

use super::{ParkError, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore};
use crate::transport::TopicPartition;

/// Keeps parked events in memory. They are gone with the process: for tests. A cheap handle.
#[derive(Debug, Clone, Default)]
pub struct MemoryParkedStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<(Arc<str>, TopicPartition, Bytes), Parked>,
    failures: usize,
    #[cfg(test)]
    panics: usize,
    /// The operations whose next calls fail, in this order.
    failing: VecDeque<&'static str>,
    /// The operation whose next call is done and fails all the same.
    #[cfg(test)]
    unanswered: Option<&'static str>,
}

#[derive(Debug, Default)]
struct Parked {
    records: BTreeMap<i64, ParkedRecord>,
    request: Option<ParkRequest>,
}

#[derive(Debug, thiserror::Error)]
#[error("the store was told to fail")]
struct ToldToFail;

impl MemoryParkedStore {
    /// Nothing parked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Let the next `calls` calls fail.
    pub fn fail_next(&self, calls: usize) {
        self.state.lock().failures = calls;
    }

    /// Let the next call of each of these operations fail, in this order: `list`, `keep`, `read`, `remove`, `ask about`.
    pub fn fail_each(&self, operations: &[&'static str]) {
        self.state.lock().failing = operations.iter().copied().collect();
    }

    /// Let the next call of `operation` be done and fail all the same, as where a connection breaks before the answer.
    #[cfg(test)]
    pub(crate) fn lose_answer(&self, operation: &'static str) {
        self.state.lock().unanswered = Some(operation);
    }

    /// Whether an answer is still to be lost.
    #[cfg(test)]
    pub(crate) fn answers_all(&self) -> bool {
        self.state.lock().unanswered.is_none()
    }

    /// Let the next `calls` calls panic.
    #[cfg(test)]
    pub(crate) fn panic_next(&self, calls: usize) {
        self.state.lock().panics = calls;
    }

    /// How many calls are still to panic.
    #[cfg(test)]
    pub(crate) fn pending_panics(&self) -> usize {
        self.state.lock().panics
    }

    /// How many calls are still to fail.
    pub fn pending_failures(&self) -> usize {
        let state = self.state.lock();
        state.failures + state.failing.len()
    }

    fn call<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut State) -> T,
    ) -> BoxFuture<'static, Result<T, ParkError>> {
        let mut state = self.state.lock();
        #[cfg(test)]
        if state.panics > 0 {
            state.panics -= 1;
            drop(state);
            panic!("the store was told to panic");
        }
        #[cfg(test)]
        if state.unanswered.take_if(|unanswered| *unanswered == operation).is_some() {
            let _ = change(&mut state);
            return future::ready(Err(ParkError::new(operation, ToldToFail))).boxed();
        }
        let result =
            if state.fails(operation) { Err(ParkError::new(operation, ToldToFail)) } else { Ok(change(&mut state)) };
        future::ready(result).boxed()
    }
}

impl State {
    fn fails(&mut self, operation: &str) -> bool {
        if self.failures > 0 {
            self.failures -= 1;
            return true;
        }
        self.failing.pop_front_if(|failing| *failing == operation).is_some()
    }
}

fn place(ParkedKeyId { group, partition, key }: ParkedKeyId) -> (Arc<str>, TopicPartition, Bytes) {
    (group, partition, key)
}

impl ParkedStore for MemoryParkedStore {
    fn keys(
        &self,
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'static, Result<Vec<ParkedKey>, ParkError>> {
        self.call("list", |state| {
            let wanted = |partition: &TopicPartition| partitions.is_empty() || partitions.contains(partition);
            let keys = state.keys.iter().filter(|((of, partition, _), _)| *of == group && wanted(partition));
            keys.map(|((_, partition, key), parked)| {
                ParkedKey::new(partition.clone(), key.clone(), parked.records.len() as u64, parked.request)
            })
            .collect()
        })
    }

    fn park(&self, group: Arc<str>, record: ParkedRecord) -> BoxFuture<'static, Result<(), ParkError>> {
        // In memory of its own: it may be kept for long, and what was read with it.
        let mut record = record.detached();
        self.call("keep", |state| {
            let key = (group, record.partition.clone(), record.key.clone());
            let records = &mut state.keys.entry(key).or_default().records;
            if record.cause.is_none() {
                record.cause = records.get(&record.offset).and_then(|replaced| replaced.cause.clone());
            }
            records.insert(record.offset, record);
        })
    }

    fn records(&self, key: ParkedKeyId, limit: usize) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        self.call("read", |state| {
            let records = state.keys.get(&place(key)).into_iter().flat_map(|parked| parked.records.values());
            records.take(limit).cloned().collect()
        })
    }

    fn remove(&self, key: ParkedKeyId, offset: i64) -> BoxFuture<'static, Result<(), ParkError>> {
        self.call("remove", |state| {
            if let Some(parked) = state.keys.get_mut(&place(key)) {
                parked.records.remove(&offset);
            }
        })
    }

    fn forget(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        self.call("remove", |state| {
            let place = place(key);
            if state.keys.get(&place).is_some_and(|parked| parked.records.is_empty()) {
                state.keys.remove(&place);
            }
        })
    }

    fn discard(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        self.call("remove", |state| {
            let place = place(key);
            if state.keys.get(&place).is_some_and(|parked| parked.request == Some(ParkRequest::Discard)) {
                state.keys.remove(&place);
            }
        })
    }

    fn answer(
        &self,
        key: ParkedKeyId,
        asked: ParkRequest,
        then: Option<ParkRequest>,
    ) -> BoxFuture<'static, Result<bool, ParkError>> {
        self.call("ask about", move |state| {
            let parked = state.keys.get_mut(&place(key)).filter(|parked| parked.request == Some(asked));
            parked.map(|parked| parked.request = then).is_some()
        })
    }

    fn request(&self, key: ParkedKeyId, request: Option<ParkRequest>) -> BoxFuture<'static, Result<bool, ParkError>> {
        self.call("ask about", |state| {
            let parked = state.keys.get_mut(&place(key));
            parked.map(|parked| parked.request = request).is_some()
        })
    }
}
