//! What operators ask of parked keys, and which keys are parked.

use std::collections::VecDeque;
use std::iter;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Engine;
use crate::consumer::completions::{LookAt, ParkedLook};
use crate::consumer::key::{KeyId, KeyState, RecordKey};
use crate::consumer::parked::{ParkError, ParkRequest, ParkedKey};
use crate::consumer::partition::ParkedState;
use crate::error_report;
use crate::transport::{ConsumerTransport, TopicPartition};

/// How often it is looked whether an operator has asked for something.
const LOOK_AT_REQUESTS: Duration = Duration::from_secs(1);

/// The pause before the parked keys of a partition are asked for again.
pub(super) const LOAD_AGAIN: Duration = Duration::from_secs(1);

/// Keys that are being unparked at once: when thousands are released, neither memory nor the store is to feel it.
pub(super) const UNPARKED_AT_ONCE: usize = 16;

/// What is known of the parked store's business.
#[derive(Debug, Default)]
pub(super) struct Parking {
    /// Partitions whose parked keys have to be asked for again, and when.
    pub(super) loads: Vec<(Duration, usize, u64)>,
    /// How often it was looked at what operators ask for, and whether the last time is still under way.
    pub(super) looks: u64,
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
        if self.parts.parked.is_none() {
            return;
        }
        partition.loading = true;
        let look = LookAt::Partition { slot, epoch: partition.epoch };
        let names = vec![partition.name.clone()];
        self.look(look, names);
    }

    fn look(&self, at: LookAt, partitions: Vec<TopicPartition>) {
        let Some(store) = self.parts.parked.clone() else { return };
        let (group, look) = (Arc::clone(&self.parts.plan.group), ParkedLook::new(&self.completions, at));
        // Asked in the task, where a store that panics ends no more than that.
        self.parts.runtime.spawn(async move { look.finish(store.keys(group, partitions).await) });
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
                    group = &*group, partition = %partition.name, error = error_report::chain(&error),
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
        if self.parts.parked.is_none() {
            return;
        }
        let parked = || self.partitions.iter().flatten().filter(|partition| !partition.parked.is_empty());
        if self.parking.looking || self.now < self.parking.next_look || parked().next().is_none() {
            return;
        }
        let names = parked().map(|partition| partition.name.clone()).collect();
        self.parking.looking = true;
        self.parking.looks += 1;
        self.look(LookAt::Requests, names);
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
                    error = error_report::chain(&error),
                    "what is asked of parked keys is not known; it is tried again"
                );
                return;
            }
        };
        self.put_back_paused();
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
        let id = KeyId::Key(RecordKey::own(key.key.clone()));
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
        // Where nothing may start, it would only keep others waiting. The next look finds it again.
        let Some(partition) = self.partitions[slot].as_mut().filter(|partition| partition.is_open()) else { return };
        let Some(parked) = partition.parked.get_mut(&key).filter(|parked| parked.request.is_none()) else { return };
        tracing::info!(
            group = &*self.parts.plan.group, partition = %partition.name, parked = parked.records, request = request.as_str(),
            "an operator asks for a parked key"
        );
        parked.request = Some(request);
        partition.unparking += 1;
        let key = KeyId::Key(RecordKey::own(key));
        // What is under way is finished first.
        if !partition.keys.contains_key(&key) {
            let _ = self.fetch_parked(slot, &key);
        }
    }

    /// Keys that wait in paused partitions take no room from others, of those that are unparked at once: what was fetched of them is
    /// fetched again once they may go on.
    fn put_back_paused(&mut self) {
        for slot in 0..self.partitions.len() {
            let Some(partition) = self.partitions[slot].as_mut() else { continue };
            if partition.unparking == 0 || !partition.paused || partition.draining {
                continue;
            }
            let mut put_back = Vec::new();
            for id in &partition.ready {
                let (KeyId::Key(key), Some(queue)) = (id, partition.keys.get_mut(id)) else { continue };
                let Some(parked) = partition.parked.get_mut(&**key) else { continue };
                // What became of an event is known: it is not handled again.
                let is_given_up = queue.waiting.front().is_some_and(|work| work.failure.is_some());
                if parked.request.is_none() || is_given_up || !matches!(queue.state, KeyState::Ready) {
                    continue;
                }
                parked.request = None;
                partition.unparking = partition.unparking.saturating_sub(1);
                put_back.extend(iter::from_fn(|| queue.waiting.pop_front_if(|work| work.parked)));
            }
            for work in put_back {
                self.release_bytes(slot, &work);
            }
        }
    }

    /// A key is done with, whichever way: the next one may begin.
    pub(super) fn end_unparking(&mut self, slot: usize) {
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.unparking = partition.unparking.saturating_sub(1);
        }
        self.answer_requests();
    }

    /// When parked keys need looking after.
    pub(super) fn next_look_at_parked(&self) -> Option<Duration> {
        let parked = self.partitions.iter().flatten().any(|partition| !partition.parked.is_empty());
        let look = (parked && !self.parking.looking).then_some(self.parking.next_look);
        self.parking.loads.iter().map(|(due, ..)| *due).chain(look).min().map(|due| due.saturating_sub(self.now))
    }
}
