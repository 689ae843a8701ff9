//! Parking keys, and what operators ask of parked ones.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use super::Engine;
use super::admit::Admission;
use super::run::Step;
use crate::consumer::completions::{Finished, Report};
use crate::consumer::dead_letter::bounded;
use crate::consumer::error::StopReason;
use crate::consumer::error_text::ErrorText;
use crate::consumer::key::{Failure, KeyId, KeyState, Way, Work, WorkRoute};
use crate::consumer::parked::{ParkCause, ParkError, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore};
use crate::consumer::partition::ParkedState;
use crate::consumer::passed_over::{NotRemembered, pass_over};
use crate::consumer::stats::Counters;
use crate::dispatch::RetryPolicy;
use crate::transport::{ConsumerTransport, Record};

/// How often it is looked whether an operator has asked for something.
const LOOK_AT_REQUESTS: Duration = Duration::from_secs(1);

/// The pause before the parked keys of a partition are asked for again.
const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// How long an event waits for the store to tell whether there is still room for it.
const COUNT_AGAIN: Duration = Duration::from_millis(100);

/// Parked events of a key that are fetched at once.
const FETCH: usize = 64;

/// Keys that are being unparked at once: when thousands are released, neither memory nor the store is to feel it.
const UNPARKED_AT_ONCE: usize = 16;

/// What is known of the parked store's business.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// Partitions whose parked keys have to be asked for again, and when.
    pub(super) loads: Vec<(Duration, usize, u64)>,
    /// How often it was looked at what operators ask for, and whether the last time is still under way.
    looks: u64,
    pub(super) looking: bool,
    look_again: bool,
    next_look: Duration,
    /// What operators have asked for and has not begun.
    asked: VecDeque<ParkedKey>,
}

impl<T: ConsumerTransport> Engine<T> {
    /// Ask which keys of a partition are parked; nothing of it starts before that is known.
    pub(super) fn load_parked(&mut self, slot: usize) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let Some(store) = self.parts.parked.clone() else { return };
        partition.loading = true;
        let epoch = partition.epoch;
        let keys = store.keys(Arc::clone(&self.parts.plan.group), vec![partition.name.clone()]);
        let completions = Arc::clone(&self.completions);
        self.parts.runtime.spawn(async move {
            let keys = keys.await;
            completions.push(Report::Loaded { slot, epoch, keys });
        });
    }

    pub(super) fn settle_loaded(&mut self, slot: usize, epoch: u64, keys: Result<Vec<ParkedKey>, ParkError>) {
        let group = Arc::clone(&self.parts.plan.group);
        let now = self.now;
        let Some(partition) = self.partition(slot, epoch) else { return };
        match keys {
            Ok(keys) => {
                partition.loading = false;
                let state = |key: &ParkedKey| (key.key.clone(), ParkedState::of(key.records));
                partition.parked.extend(keys.iter().map(state));
                self.parking.asked.extend(keys.into_iter().filter(|key| key.request.is_some()));
                self.answer_requests();
            }
            Err(error) => {
                tracing::error!(
                    group = &*group, partition = %partition.name, error = error_text(&error),
                    "which keys are parked is not known; the partition waits and it is tried again"
                );
                self.parking.loads.push((now + LOAD_AGAIN, slot, epoch));
            }
        }
    }

    /// Load again what could not be loaded, and look at what operators ask for.
    pub(super) fn look_after_parked(&mut self) {
        if !self.parking.loads.is_empty() {
            let now = self.now;
            let due: Vec<_> = self.parking.loads.extract_if(.., |(due, ..)| *due <= now).collect();
            for (_, slot, epoch) in due {
                if self.partition(slot, epoch).is_some() {
                    self.load_parked(slot);
                }
            }
        }
        let Some(store) = &self.parts.parked else { return };
        let parked = || self.partitions.iter().flatten().filter(|partition| !partition.parked.is_empty());
        if self.parking.looking || self.now < self.parking.next_look || parked().next().is_none() {
            return;
        }
        let names = parked().map(|partition| partition.name.clone()).collect();
        let keys = store.keys(Arc::clone(&self.parts.plan.group), names);
        let completions = Arc::clone(&self.completions);
        self.parking.looking = true;
        self.parking.looks += 1;
        self.parts.runtime.spawn(async move { completions.push(Report::Requests(keys.await)) });
    }

    /// Somebody has just asked for something: look now, and again if this look may be too early.
    pub(super) fn look_at_parked_now(&mut self) {
        self.parking.look_again = self.parking.looking;
        self.parking.next_look = self.now;
    }

    pub(super) fn settle_requests(&mut self, keys: Result<Vec<ParkedKey>, ParkError>) {
        self.parking.looking = false;
        let again = mem::take(&mut self.parking.look_again);
        self.parking.next_look = if again { self.now } else { self.now + LOOK_AT_REQUESTS };
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                let group = &*self.parts.plan.group;
                tracing::warn!(
                    group,
                    error = error_text(&error),
                    "what is asked of parked keys is not known; it is tried again"
                );
                return;
            }
        };
        // What was asked is in the store: what is not done yet is found again.
        self.parking.asked.clear();
        for key in keys {
            self.count_again(&key);
            if key.request.is_some() && !self.was_answered(&key) {
                self.parking.asked.push_back(key);
            }
        }
        self.answer_requests();
    }

    /// Whether a request has been done since this look began: it may show what is no longer asked for.
    fn was_answered(&self, key: &ParkedKey) -> bool {
        let partition = self.slots.get(&key.partition).and_then(|slot| self.partitions[*slot].as_ref());
        let parked = partition.and_then(|partition| partition.parked.get(&key.key));
        parked.is_none_or(|parked| parked.answered_in == self.parking.looks)
    }

    /// A redelivered event replaces its own record: only the store knows how many there are.
    fn count_again(&mut self, key: &ParkedKey) {
        let Some(partition) = self.slots.get(&key.partition).and_then(|slot| self.partitions[*slot].as_mut()) else {
            return;
        };
        let id = KeyId::Key(key.key.clone());
        let state = partition.keys.get(&id).map(|queue| &queue.state);
        if matches!(state, None | Some(KeyState::Pausing { .. }))
            && let Some(parked) = partition.parked(&id)
        {
            (parked.records, parked.counted) = (key.records, true);
        }
    }

    /// Begin with what operators have asked for, as far as there is room.
    fn answer_requests(&mut self) {
        while !self.parking.asked.is_empty() && self.has_room_to_unpark() {
            let Some(ParkedKey { partition, key, request, .. }) = self.parking.asked.pop_front() else { return };
            if let (Some(request), Some(slot)) = (request, self.slots.get(&partition).copied()) {
                self.answer_request(slot, key, request);
            }
        }
    }

    fn has_room_to_unpark(&self) -> bool {
        let unparking: usize = self.partitions.iter().flatten().map(|partition| partition.unparking).sum();
        unparking < UNPARKED_AT_ONCE
    }

    fn answer_request(&mut self, slot: usize, key: Bytes, request: ParkRequest) {
        let Some(partition) = self.partitions[slot].as_mut().filter(|partition| !partition.draining) else { return };
        let Some(parked) = partition.parked.get_mut(&key).filter(|parked| parked.request.is_none()) else { return };
        tracing::info!(
            group = &*self.parts.plan.group, partition = %partition.name, parked = parked.records, request = request.as_str(),
            "an operator asks for a parked key"
        );
        parked.request = Some(request);
        partition.unparking += 1;
        let key = KeyId::Key(key);
        // What is under way is finished first.
        if !partition.keys.contains_key(&key) {
            self.fetch_parked(slot, &key);
        }
    }

    /// A key is done with, whichever way: the next one may begin.
    fn end_unparking(&mut self, slot: usize) {
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.unparking = partition.unparking.saturating_sub(1);
        }
        self.answer_requests();
    }

    fn parked_key(&self, slot: usize, key: &KeyId) -> Option<ParkedKeyId> {
        let (Some(partition), KeyId::Key(key)) = (self.partitions[slot].as_ref(), key) else { return None };
        let group = Arc::clone(&self.parts.plan.group);
        Some(ParkedKeyId { group, partition: partition.name.clone(), key: key.clone() })
    }

    /// Whether events of `key` can be parked.
    pub(super) fn can_park(&self, key: &KeyId) -> bool {
        self.parts.parked.is_some() && matches!(key, KeyId::Key(_))
    }

    /// An event of a parked key has come: it goes behind the others, or waits until they are handled.
    pub(super) fn park_behind(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let most = self.parts.options.max_parked_per_key;
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let name = partition.name.clone();
        let Some(parked) = partition.parked(key) else { return Step::Held };
        if parked.request.is_some() {
            work.delivery.detach();
            partition.keys.entry(key.clone()).or_default().waiting.push_front(work);
            return self.fetch_parked(slot, key);
        }
        if parked.records >= most && !parked.counted {
            // Events that were delivered again replaced their own records: the store knows how many there are.
            self.look_at_parked_now();
            return self.pause(slot, key, work, COUNT_AGAIN);
        }
        if parked.records >= most {
            let parked = parked.records;
            self.stop(Err(StopReason::TooManyParked { partition: name, parked }));
            let pause = self.parts.options.drain_timeout;
            return self.pause(slot, key, work, pause);
        }
        work.failure = Some(Box::new(Failure::new(Way::Park, None)));
        self.give_up(slot, key, work)
    }

    /// Write `work` to the parked store; its offset moves once that is done.
    pub(super) fn send_parked(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.parked.entry(id.key.clone()).or_default();
        }
        let error = work.failure.as_ref().and_then(|failure| failure.error.as_ref()).map(ErrorText::of);
        let now = self.parts.clock.now();
        let cause = error.map(|error| ParkCause {
            handler: self.handler_name(slot, &work).map(str::to_owned),
            class: error.class.as_str().to_owned(),
            error: bounded(&error.chain).to_owned(),
            attempts: work.attempts,
            first_failure: work.first_failure.unwrap_or(now),
            parked_at: now,
        });
        let record = ParkedRecord::new(work.record(), id.key.clone(), cause);
        let parked_before = work.parked;
        let written = async move {
            store.park(Arc::clone(&id.group), record).await?;
            if parked_before {
                // It was released and has failed again: what was asked for is done. What is asked for since is not.
                store.answer(id, ParkRequest::Release, None).await?;
            }
            Ok(())
        };
        self.spawn(slot, key, work, None, async move { Finished::Parked(written.await) })
    }

    pub(super) fn settle_parked(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        result: Result<(), ParkError>,
    ) -> Step {
        if let Err(error) = result {
            return self.try_store_again(slot, key, work, &error);
        }
        let looks = if self.parking.looking { self.parking.looks } else { 0 };
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        if let Some(parked) = partition.parked(key) {
            if work.parked {
                parked.request = None;
                parked.answered_in = looks;
            } else {
                parked.records += 1;
                parked.counted = false;
            }
        }
        if !work.parked {
            if let Some(observer) = &self.parts.observer {
                observer.parked(work.record());
            }
            Counters::add(&self.parts.counters.parked, 1);
            return self.finish(slot, &work);
        }
        // The others that were fetched with it stay where they are, too.
        let mut dropped = vec![work];
        if let Some(queue) = partition.keys.get_mut(key) {
            let (parked, live) = mem::take(&mut queue.waiting).into_iter().partition(|work| work.parked);
            queue.waiting = live;
            dropped.extend::<VecDeque<_>>(parked);
        }
        for work in &dropped {
            self.release_bytes(slot, work);
        }
        self.end_unparking(slot);
        Step::Free
    }

    /// Take `work`, which is done, out of the parked store.
    pub(super) fn unpark(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        let removed = store.remove(id, work.record().offset);
        self.spawn(slot, key, work, None, async move { Finished::Unparked(removed.await) })
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

    fn try_store_again(&mut self, slot: usize, key: &KeyId, mut work: Work, error: &ParkError) -> Step {
        let tries = work.failure.as_mut().map_or(1, |failure| {
            failure.tries += 1;
            failure.tries
        });
        let record = work.record();
        tracing::error!(
            group = &*self.parts.plan.group,
            topic = &*record.topic,
            partition = record.partition,
            offset = record.offset,
            tries,
            error = error_text(error),
            "the parked store failed; the key waits and it is tried again"
        );
        let pause = self.jitter()(RetryPolicy::default().backoff_bound(tries));
        self.pause(slot, key, work, pause)
    }

    /// Do what was asked of a parked key: fetch its first events, or forget some.
    pub(super) fn fetch_parked(&mut self, slot: usize, key: &KeyId) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        let passed_over = self.parts.passed_over.clone();
        let remembering = self.plan_of(slot).map(|plan| plan.remembering(WorkRoute::Unrouted)).unwrap_or_default();
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let (request, skipped) =
            partition.parked(key).map_or_else(Default::default, |parked| (parked.request, Arc::clone(&parked.skipped)));
        partition.keys.entry(key.clone()).or_default().state = KeyState::Unparking;
        partition.running += 1;
        let duty = self.duty(slot, key.clone());
        self.parts.runtime.spawn(async move {
            let pass = |record| pass_over(passed_over, remembering, record);
            let fetched = fetch(&*store, id, request.unwrap_or(ParkRequest::Release), &skipped, pass).await;
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
            Finished::Fetched(Ok(records)) => (None, Some(records)),
            Finished::Fetched(Err(error)) | Finished::Forgotten(Err(error)) => (Some(error), None),
            Finished::Forgotten(Ok(())) => (None, None),
            _ => (Some(ParkError::new("release", "the task was cancelled")), None),
        };
        if let Some(error) = error {
            tracing::error!(
                group = &*self.parts.plan.group, partition = %partition.name, error = error_text(&error),
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
                    parked.skipped = Arc::default();
                }
                self.queue_parked(slot, &key, records);
                self.go_on(slot, key);
            }
            None => {
                if let KeyId::Key(key) = &key {
                    partition.parked.remove(key);
                }
                partition.keys.entry(key.clone()).or_default().state = KeyState::Ready;
                tracing::info!(group = &*self.parts.plan.group, partition = %partition.name, "a parked key goes on");
                self.end_unparking(slot);
                self.go_on(slot, key);
            }
        }
    }

    /// All of a key's parked events are done: the store forgets it before its new ones run.
    fn forget_parked(&mut self, slot: usize, key: &KeyId) {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else { return };
        let duty = self.duty(slot, key.clone());
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.running += 1;
            partition.keys.entry(key.clone()).or_default().state = KeyState::Unparking;
        }
        let forgotten = store.forget(id);
        self.parts.runtime.spawn(async move {
            let forgotten = forgotten.await;
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
                Admission::Work(route, error) => {
                    (route, error.map(|error| Box::new(Failure::new(Way::DeadLetter, Some(error)))))
                }
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

    /// When parked keys need looking after.
    pub(super) fn next_look_at_parked(&self) -> Option<Duration> {
        let parked = self.partitions.iter().flatten().any(|partition| !partition.parked.is_empty());
        let look = (parked && !self.parking.looking).then_some(self.parking.next_look);
        self.parking.loads.iter().map(|(due, ..)| *due).chain(look).min().map(|due| due.saturating_sub(self.now))
    }
}

/// Do what was asked of a key, and read its first events. `pass` remembers that an event is passed over; `skipped` which event an
/// interrupted skip was for: it must not become a second one's.
async fn fetch<P: Future<Output = Result<(), NotRemembered>>>(
    store: &dyn ParkedStore,
    id: ParkedKeyId,
    request: ParkRequest,
    skipped: &OnceLock<Option<i64>>,
    pass: impl FnOnce(Record) -> P,
) -> Result<Vec<ParkedRecord>, ParkError> {
    match request {
        ParkRequest::Release => {}
        ParkRequest::Skip => {
            let first = match skipped.get() {
                Some(first) => *first,
                None => {
                    let first = store.records(id.clone(), 1).await?.into_iter().next();
                    let offset = first.as_ref().map(|first| first.offset);
                    if let Some(first) = first {
                        pass(first.into_record()).await.map_err(|error| ParkError::new("skip", error))?;
                    }
                    // Before the event is removed: where the process ends in between it is tried again, and no second one skipped.
                    // Somebody else may have the partition by now and have done what was asked for: then nothing is left to skip.
                    if !store.answer(id.clone(), ParkRequest::Skip, Some(ParkRequest::Release)).await? {
                        return store.records(id, FETCH).await;
                    }
                    *skipped.get_or_init(|| offset)
                }
            };
            if let Some(offset) = first {
                store.remove(id.clone(), offset).await?;
            }
        }
        ParkRequest::Discard => store.discard(id.clone()).await?,
    }
    store.records(id, FETCH).await
}

fn error_text(error: &ParkError) -> String {
    let mut text = error.to_string();
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
