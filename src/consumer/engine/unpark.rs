//! Taking the events of a parked key out of the store, in their order.

use std::sync::Arc;

use super::Engine;
use super::admit::Admission;
use super::answer::answer;
use super::park_requests::{LOAD_AGAIN, UNPARKED_AT_ONCE};
use super::run::Step;
use crate::consumer::completions::Finished;
use crate::consumer::key::{Failure, KeyId, KeyState, Way, Work, WorkRoute};
use crate::consumer::parked::{ParkError, ParkRequest, ParkedRecord};
use crate::consumer::passed_over::pass_over;
use crate::consumer::stats::Counters;
use crate::error_report;
use crate::transport::ConsumerTransport;

/// Parked events of a key that are fetched at once, at most.
const FETCH: usize = 64;

/// The part of the byte budget that they may take, but for a single one. As many keys as are unparked at once take a quarter of it.
const FETCH_SHARE: usize = 4 * UNPARKED_AT_ONCE;

impl<T: ConsumerTransport> Engine<T> {
    /// Do what was asked of a parked key: fetch its first events, or forget some.
    pub(super) fn fetch_parked(&mut self, slot: usize, key: &KeyId) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        let passed_over = self.parts.passed_over.clone();
        let bytes = self.parts.options.max_buffered_bytes / FETCH_SHARE;
        let remembering = self.plan_of(slot).map(|plan| plan.remembering(WorkRoute::Unrouted)).unwrap_or_default();
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let (request, skip) =
            partition.parked(key).map_or_else(Default::default, |parked| (parked.request, Arc::clone(&parked.skip)));
        partition.keys.entry(key.clone()).or_default().state = KeyState::Unparking;
        partition.running += 1;
        let duty = self.duty(slot, key.clone());
        self.parts.runtime.spawn(async move {
            let pass = |record| pass_over(passed_over, remembering, record);
            let request = request.unwrap_or(ParkRequest::Release);
            let fetched = match answer(&*store, &id, request, &skip, pass).await {
                Ok(true) => store.records_within(id, FETCH, bytes).await.map(Some),
                Ok(false) => Ok(None),
                Err(error) => Err(error),
            };
            if let Some(duty) = duty {
                duty.finish(Finished::Fetched(fetched));
            }
        });
        Step::Held
    }

    /// The end of a task that has no event: of a key that is being unparked.
    pub(super) fn settle_unparking(&mut self, slot: usize, key: KeyId, finished: Finished) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let (error, fetched) = match finished {
            Finished::Fetched(Ok(None)) => return self.stay_parked(slot, key),
            Finished::Fetched(Ok(Some(records))) => (None, Some(records)),
            Finished::Fetched(Err(error)) | Finished::Forgotten(Err(error)) => (Some(error), None),
            Finished::Forgotten(Ok(())) => (None, None),
            _ => (Some(ParkError::new("release", "the task was cancelled")), None),
        };
        if let Some(error) = error {
            tracing::error!(
                group = &*self.parts.plan.group, partition = %partition.name, error = error_report::chain(&error),
                "a parked key could not be released; it is tried again"
            );
            return self.rest_for(slot, key, LOAD_AGAIN);
        }
        let draining = partition.draining;
        match fetched {
            _ if draining => {
                partition.keys.entry(key).or_default().state = KeyState::Ready;
            }
            Some(records) if records.is_empty() => self.forget_parked(slot, &key),
            Some(records) => {
                if let Some(parked) = partition.parked(&key) {
                    parked.request = Some(ParkRequest::Release);
                    parked.skip = Arc::default();
                }
                self.queue_parked(slot, &key, records);
                self.go_on(slot, key);
            }
            None => {
                if let KeyId::Key(key) = &key {
                    partition.parked.remove(&**key);
                }
                partition.keys.entry(key.clone()).or_default().state = KeyState::Ready;
                tracing::info!(group = &*self.parts.plan.group, partition = %partition.name, "a parked key goes on");
                self.end_unparking(slot);
                self.go_on(slot, key);
            }
        }
    }

    /// What was asked of a key is not asked any more: the next look at the requests shows what is.
    fn stay_parked(&mut self, slot: usize, key: KeyId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let group = &*self.parts.plan.group;
        tracing::info!(group, partition = %partition.name, "what was asked of a parked key is not asked for any more");
        if let Some(parked) = partition.parked(&key) {
            parked.request = None;
            parked.skip = Arc::default();
        }
        partition.keys.entry(key.clone()).or_default().state = KeyState::Ready;
        self.end_unparking(slot);
        self.go_on(slot, key);
    }

    /// All of a key's parked events are done: the store forgets it before its new ones run.
    fn forget_parked(&mut self, slot: usize, key: &KeyId) {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else { return };
        let duty = self.duty(slot, key.clone());
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.running += 1;
            partition.keys.entry(key.clone()).or_default().state = KeyState::Unparking;
        }
        self.parts.runtime.spawn(async move {
            // Asked in the task, where a store that panics ends no more than that.
            let forgotten = store.forget(id).await;
            if let Some(duty) = duty {
                duty.finish(Finished::Forgotten(forgotten));
            }
        });
    }

    fn queue_parked(&mut self, slot: usize, key: &KeyId, records: Vec<ParkedRecord>) {
        for record in records.into_iter().rev() {
            let first_failure = record.cause.as_ref().map(|cause| cause.first_failure);
            let record = record.into_record();
            let admission = self.classify(slot, &record);
            let bytes = record.size();
            let (route, failure) = match admission {
                Admission::Work(route, failure) => (route, failure),
                // Nobody handles it any more.
                Admission::Skip => {
                    (crate::consumer::key::WorkRoute::Unrouted, Some(Box::new(Failure::new(Way::Unpark, None))))
                }
            };
            let mut work = Work::new(record, &self.context, route);
            work.failure = failure;
            work.parked = true;
            self.hold_for_tenant(&mut work);
            work.first_failure = first_failure;
            self.buffered_bytes += bytes;
            let Some(partition) = self.partitions[slot].as_mut() else { return };
            partition.buffered_bytes += bytes;
            let queue = partition.keys.entry(key.clone()).or_default();
            queue.state = KeyState::Ready;
            queue.waiting.push_front(work);
        }
    }

    /// Take `work`, which is done, out of the parked store.
    pub(super) fn unpark(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        let offset = work.record().offset;
        self.spawn(slot, key, work, None, async move { Finished::Unparked(store.remove(id, offset).await) })
    }

    pub(super) fn settle_unparked(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        result: Result<(), ParkError>,
    ) -> Step {
        if let Err(error) = result {
            return self.try_store_again(slot, key, work, &error);
        }
        Counters::add(&self.parts.counters.unparked, 1);
        if let Some(parked) = self.partitions[slot].as_mut().and_then(|partition| partition.parked(key)) {
            parked.records = parked.records.saturating_sub(1);
        }
        self.release_bytes(slot, &work);
        Step::Free
    }
}
