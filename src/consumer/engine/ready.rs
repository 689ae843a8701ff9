//! Keys that can go on: those that wait for a place, in their order, and those whose time has come.

use std::cmp::Reverse;
use std::mem;

use super::run::Step;
use super::{Engine, Timer};
use crate::consumer::key::{KeyId, KeyState, Work};
use crate::transport::ConsumerTransport;

impl<T: ConsumerTransport> Engine<T> {
    /// Start keys that wait for a place, a key a partition in turn.
    pub(super) fn start_ready(&mut self) {
        if self.turns.is_some() {
            return self.start_by_tenants();
        }
        let count = self.partitions.len();
        let mut idle = 0;
        let mut slot = self.rotation;
        while idle < count {
            slot = (slot + 1) % count;
            idle = if self.start_first(slot) { 0 } else { idle + 1 };
        }
        self.note_crowd();
    }

    /// Start the key of a partition that has waited longest: here, or in a task that waits for a place. `false` when it cannot
    /// start now, or there is none.
    fn start_first(&mut self, slot: usize) -> bool {
        let has_place = self.places.has_one();
        if !has_place && self.places.are_waited_for() {
            return false;
        }
        let Some(key) = self.first_ready(slot).cloned() else { return false };
        if has_place {
            self.take_ready(slot);
            self.run_waiting(slot, key);
        } else if self.can_stage(slot, &key) {
            self.take_ready(slot);
            self.stage(slot, &key);
        } else {
            self.claim_place();
            return false;
        }
        true
    }

    /// The key of a partition that has waited longest, if it may start.
    pub(super) fn first_ready(&self, slot: usize) -> Option<&KeyId> {
        self.partitions[slot].as_ref().filter(|partition| partition.is_open())?.ready.front()
    }

    pub(super) fn take_ready(&mut self, slot: usize) {
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.ready.pop_front();
        }
    }

    pub(super) fn fire_timers(&mut self) -> bool {
        let mut busy = false;
        while let Some(Reverse(timer)) = self.timers.peek() {
            if timer.due > self.now {
                break;
            }
            let Some(Reverse(Timer { slot, epoch, key, .. })) = self.timers.pop() else { break };
            busy = true;
            let Some(partition) = self.partition(slot, epoch).filter(|partition| !partition.draining) else { continue };
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            match mem::take(&mut queue.state) {
                KeyState::Pausing { work } => {
                    queue.waiting.push_front(work);
                    // Behind the others that wait for a place, before its own successors.
                    partition.ready.push_back(key);
                }
                KeyState::Resting => {
                    let _ = self.fetch_parked(slot, &key);
                }
                other => queue.state = other,
            }
        }
        busy
    }

    /// `key` is free again: go on with its next event, behind the keys that already wait for a place.
    pub(super) fn go_on(&mut self, slot: usize, key: KeyId) {
        let has_place = self.places.has_one();
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        if !partition.is_open() || !has_place || self.turns.is_some() || !partition.ready.is_empty() {
            self.rest(slot, key);
        } else {
            self.run_waiting(slot, key);
        }
    }

    /// `key` waits for a place, or is forgotten when it has nothing to do.
    pub(super) fn rest(&mut self, slot: usize, key: KeyId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let asked = partition.parked(&key).is_some_and(|parked| parked.request.is_some());
        let idle = partition.keys.get(&key).is_none_or(|queue| queue.waiting.is_empty());
        if asked && idle && !partition.draining {
            let _ = self.fetch_parked(slot, &key);
        } else {
            partition.rest(key);
        }
    }

    /// `work` waits until somebody leaves a place.
    pub(super) fn wait_for_place(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        work.delivery.detach();
        work.place = None;
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let key = key.clone();
        let queue = partition.keys.entry(key.clone()).or_default();
        queue.waiting.push_front(work);
        queue.state = KeyState::Ready;
        partition.ready.push_front(key);
        Step::Held
    }
}
