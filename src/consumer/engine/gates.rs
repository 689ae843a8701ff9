//! Events that wait for their handler: its breaker, its concurrency, its rate.

use std::hash::BuildHasher as _;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::run::Step;
use super::{Engine, RouteState};
use crate::consumer::completions::RouteId;
use crate::consumer::gate::WaitingKey;
use crate::consumer::key::{Failure, KeyId, KeyState, Way, Work};
use crate::dispatch::OnExhausted;
use crate::outcome::{ErrorClass, HandlerError};
use crate::transport::ConsumerTransport;

#[derive(Debug, thiserror::Error)]
#[error("more keys wait for {handler} than its max_waiting allows")]
struct TooManyWait {
    handler: &'static str,
}

/// By what a breaker knows a key.
pub(super) fn breaker_key(hasher: &RandomState, slot: usize, key: &KeyId) -> u64 {
    hasher.hash_one((slot, key))
}

impl<T: ConsumerTransport> Engine<T> {
    /// `work` waits until its handler may take it; its key waits with it.
    pub(super) fn wait_at_gate(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let kept = key.clone();
        let waiting = WaitingKey { slot, epoch: partition.epoch, key: kept.clone() };
        let gate = &mut self.routes[route.0][route.1].gate;
        let waits = if work.apart {
            gate.queue_again(waiting);
            true
        } else {
            gate.queue(waiting)
        };
        if waits {
            work.delivery.detach();
            let queue = partition.keys.entry(kept).or_default();
            queue.waiting.push_front(work);
            queue.state = KeyState::AtGate;
            return Step::Held;
        }
        self.reject(slot, key, work, route)
    }

    /// Give `work` up: too many others wait.
    pub(super) fn reject(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) -> Step {
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        let error = HandlerError::new(ErrorClass::Rejected, TooManyWait { handler: bound.handler });
        let way = match bound.policy.on_exhausted {
            OnExhausted::ParkKey if self.can_park(key) => Way::Park,
            // Rejecting is what was asked for: it is no reason to stop.
            OnExhausted::ParkKey | OnExhausted::DeadLetter | OnExhausted::Stop => Way::DeadLetter,
        };
        work.failure = Some(Box::new(Failure::new(way, Some(error))));
        self.give_up(slot, key, work)
    }

    /// Let events through that wait at gates.
    pub(super) fn open_gates(&mut self) {
        for plan in 0..self.routes.len() {
            for index in 0..self.routes[plan].len() {
                if self.takes_batches((plan, index)) {
                    continue;
                }
                while self.places.has_one() {
                    let hash = |waiting: &WaitingKey| breaker_key(&self.hasher, waiting.slot, &waiting.key);
                    let next = self.routes[plan][index].gate.next(self.now, hash);
                    let Some(WaitingKey { slot, epoch, key }) = next else { break };
                    self.pass_gate((plan, index), slot, epoch, key);
                }
            }
        }
    }

    fn pass_gate(&mut self, route: RouteId, slot: usize, epoch: u64, key: KeyId) {
        match self.leave_queue(slot, epoch, &key) {
            Some(work) => self.run(slot, key, work, Some(route)),
            None => self.leave_gate(route, false),
        }
    }

    /// The event that `key` waits with at a gate, unless its partition has gone, is going, or is paused.
    pub(super) fn leave_queue(&mut self, slot: usize, epoch: u64, key: &KeyId) -> Option<Work> {
        let partition = self.partition(slot, epoch).filter(|partition| !partition.draining)?;
        if !partition.is_open() {
            partition.leave_gate(key);
            return None;
        }
        let queue = partition.keys.get_mut(key).filter(|queue| matches!(queue.state, KeyState::AtGate))?;
        queue.state = KeyState::Ready;
        queue.waiting.pop_front()
    }

    /// Let keys wait at no gate, and for no tenant's turn, whose partition has gone, or may start nothing for now: they would use up
    /// what the gate lets through, and how many may wait there.
    pub(super) fn clear_gates(&mut self) {
        let partitions = &mut self.partitions;
        for RouteState { gate, .. } in self.routes.iter_mut().flatten() {
            gate.retain(|WaitingKey { slot, epoch, key }| {
                let partition = partitions.get_mut(*slot).and_then(Option::as_mut);
                let Some(partition) = partition.filter(|partition| partition.epoch == *epoch) else { return false };
                let stays = partition.is_open();
                if !stays {
                    partition.leave_gate(key);
                }
                stays
            });
        }
        self.clear_lanes();
    }

    /// An attempt at the handler of `route` has ended; `told` says whether with an outcome.
    pub(super) fn leave_gate(&mut self, route: RouteId, told: bool) {
        let gate = &mut self.routes[route.0][route.1].gate;
        gate.leave();
        if !told {
            gate.breaker.vanished(self.now);
        }
    }

    /// When the next gate opens by the clock.
    pub(super) fn next_gate(&self) -> Option<Duration> {
        if self.places.are_taken() {
            // Whoever ends wakes.
            return None;
        }
        self.routes.iter().flatten().filter_map(|route| route.gate.opens_in(self.now)).min()
    }
}
