//! What becomes of a batch's outcomes.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::Engine;
use super::batch::{Item, RunningBatch};
use super::batch_blame::Blame;
use super::run::{Step, TaskVanished};
use super::settle::breaking;
use crate::consumer::completions::RouteId;
use crate::consumer::key::{KeyId, KeyState, Way, Work};
use crate::consumer::stats::Counters;
use crate::dispatch::RetryPolicy;
use crate::outcome::{HandlerError, Outcome};
use crate::transport::ConsumerTransport;

/// A key of a partition, under an assignment.
type Place = (usize, u64, KeyId);

/// A key's events of a batch, and what became of them.
type Events = VecDeque<(Work, Outcome)>;

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn settle_batch(&mut self, id: u64, outcomes: Option<Vec<Outcome>>) {
        let Some(RunningBatch { route, items, cancelled, run, .. }) = self.batches.remove(&id) else { return };
        if let Some(run) = run {
            self.observe_run_end(run);
        }
        self.leave_gate(route, outcomes.is_some());
        if let Some(outcomes) = &outcomes {
            self.tell_breaker(route, &items, outcomes);
        }
        let vanished = outcomes.is_none();
        let blame = Blame::of(outcomes.as_deref().unwrap_or_default());
        let missing = || Outcome::from(HandlerError::from(TaskVanished));
        let mut outcomes = outcomes.unwrap_or_default().into_iter();
        // A key's events in their order, each key by itself.
        let mut keys: Vec<(Place, Events)> = Vec::new();
        let mut places: HashMap<Place, usize, RandomState> = HashMap::default();
        for Item { slot, epoch, key, mut work } in items {
            let outcome = outcomes.next().unwrap_or_else(missing);
            work.apart |= blame.sets_apart(&outcome);
            let place = (slot, epoch, key);
            let index = *places.entry(place.clone()).or_insert(keys.len());
            match keys.get_mut(index) {
                Some((_, events)) => events.push_back((work, outcome)),
                None => keys.push((place, [(work, outcome)].into())),
            }
        }
        for ((slot, epoch, key), events) in keys {
            let Some(partition) = self.partition(slot, epoch) else {
                self.left(epoch, events.len());
                continue;
            };
            partition.running -= events.len();
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            queue.state = KeyState::Ready;
            if vanished && (cancelled || partition.draining) {
                // Not tried, so not failed.
                self.take_along(slot, &key, events);
                self.go_on(slot, key);
            } else {
                self.settle_batched_key(slot, key, events, blame);
            }
        }
    }

    /// An event that is tried again, or parked, takes its successors with it: they are handled again behind it. Behind one that
    /// goes to the dead letters, what is done stays done. Those that others were taken out from between go again at once.
    fn settle_batched_key(&mut self, slot: usize, key: KeyId, mut events: Events, blame: Blame) {
        while let Some((work, outcome)) = events.pop_front() {
            if Blame::is_put_together_again(&outcome) {
                events.push_front((work, outcome));
                self.take_along(slot, &key, events);
                break;
            }
            let step = if blame.spares(&outcome) {
                self.try_apart(slot, &key, work, &outcome)
            } else {
                self.settle(slot, &key, work, outcome)
            };
            if step == Step::Free {
                continue;
            }
            if self.waits_for_dead_letter(slot, &key) {
                while let Some((work, _)) = events.pop_front_if(|(_, outcome)| matches!(outcome, Outcome::Done)) {
                    let _ = self.complete(slot, &key, work);
                }
            }
            return self.take_along(slot, &key, events);
        }
        self.go_on(slot, key);
    }

    /// The batch failed, and nobody knows for whose sake: the event is tried again by itself, and nothing is held against it.
    fn try_apart(&mut self, slot: usize, key: &KeyId, mut work: Work, outcome: &Outcome) -> Step {
        if let Some(observer) = &self.parts.observer {
            observer.ended(work.record(), outcome);
        }
        work.attempts = work.attempts.saturating_sub(1);
        if work.attempts == 0 {
            work.first_attempt = None;
        }
        let pause = self.jitter()(RetryPolicy::default().backoff_bound(1));
        if let Outcome::Retry { error, .. } = outcome {
            let message = "a batch failed as a whole; its events are tried again one by one";
            self.log_failure(slot, &work, error, message, Some(pause));
        }
        Counters::add(&self.parts.counters.retried, 1);
        self.pause(slot, key, work, pause)
    }

    fn waits_for_dead_letter(&self, slot: usize, key: &KeyId) -> bool {
        let queue = self.partitions[slot].as_ref().and_then(|partition| partition.keys.get(key));
        queue.is_some_and(|queue| match &queue.state {
            KeyState::Running { work, .. } => {
                work.failure.as_ref().is_some_and(|failure| failure.way == Way::DeadLetter)
            }
            _ => false,
        })
    }

    /// These wait at the head of their key's queue, as if they had not been tried.
    fn take_along(&mut self, slot: usize, key: &KeyId, events: Events) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let Some(queue) = partition.keys.get_mut(key) else { return };
        for (mut work, _) in events.into_iter().rev() {
            work.take_attempt_back();
            queue.waiting.push_front(work);
        }
    }

    /// To the handler's breaker a batch is one attempt, however many events it has: it succeeds if one of them does, and else
    /// fails as the first of them that fails.
    fn tell_breaker(&mut self, route: RouteId, items: &[Item], outcomes: &[Outcome]) {
        let mut succeeded = false;
        for (item, _) in items.iter().zip(outcomes).filter(|(_, outcome)| matches!(outcome, Outcome::Done)) {
            self.breaker_succeeded(route, item.slot, &item.key);
            succeeded = true;
        }
        if succeeded {
            return;
        }
        let first = items.iter().zip(outcomes).find_map(|(item, outcome)| breaking(outcome).map(|error| (item, error)));
        match first {
            Some((item, error)) => self.breaker_failed(route, item.slot, &item.key, error),
            None => self.routes[route.0][route.1].gate.breaker.vanished(self.now),
        }
    }
}
