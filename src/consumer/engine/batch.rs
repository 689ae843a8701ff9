//! Handlers of batches: events are collected, of any keys and in each key's order, and handed over together.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, Either};
use tokio::task::AbortHandle;

use super::Engine;
use super::run::{HandlerTimeout, Step, TaskVanished};
use crate::consumer::attempt::panicked;
use crate::consumer::completions::{Report, RouteId};
use crate::consumer::key::{KeyId, KeyState, Work};
use crate::consumer::plan::BoundHandle;
use crate::dispatch::{BatchPolicy, Delivery, failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::ConsumerTransport;

/// Events on their way into a batch.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    items: Vec<Item>,
    /// When the batch goes, full or not.
    deadline: Option<Duration>,
}

/// An event in a batch.
#[derive(Debug)]
struct Item {
    slot: usize,
    epoch: u64,
    key: KeyId,
    work: Work,
}

/// A batch that runs.
#[derive(Debug)]
pub(super) struct RunningBatch {
    route: RouteId,
    items: Vec<Item>,
    task: AbortHandle,
}

/// A key of a partition, under an assignment.
type Place = (usize, u64, KeyId);

/// A key's events of a batch, and what became of them.
type Events = VecDeque<(Work, Outcome)>;

impl<T: ConsumerTransport> Engine<T> {
    /// Put the first event of `key` into the batch.
    pub(super) fn collect(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) -> Step {
        let Some(policy) = self.batch_policy(route) else { return Step::Held };
        let now = self.now;
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        work.delivery.detach();
        let collecting = &mut self.routes[route.0][route.1].collecting;
        collecting.deadline.get_or_insert(now.saturating_add(policy.wait));
        collecting.items.push(Item { slot, epoch: partition.epoch, key: key.clone(), work });
        let queue = partition.keys.entry(key.clone()).or_default();
        queue.state = KeyState::Collecting { route, events: 1 };
        // What waits already goes with it, as far as it is for the same handler.
        let mut waiting = std::mem::take(&mut queue.waiting);
        while let Some(mut next) = waiting.pop_front() {
            if next.route != crate::consumer::key::WorkRoute::Route(route.1)
                || next.failure.is_some()
                || self.is_full(route)
                || !self.take_along(&mut next)
            {
                waiting.push_front(next);
                break;
            }
            self.collect_item(slot, key, next, route);
        }
        if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(key)) {
            queue.waiting = waiting;
        }
        Step::Held
    }

    /// Put an event into the batch that has others of its key, or let it wait.
    pub(super) fn collect_behind(&mut self, slot: usize, key: &KeyId, mut work: Work) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let Some(queue) = partition.keys.get_mut(key) else { return };
        let KeyState::Collecting { route, .. } = queue.state else { return };
        let same = work.route == crate::consumer::key::WorkRoute::Route(route.1) && work.failure.is_none();
        if same && !self.is_full(route) && self.take_along(&mut work) {
            return self.collect_item(slot, key, work, route);
        }
        work.delivery.detach();
        if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(key)) {
            queue.waiting.push_back(work);
        }
    }

    fn collect_item(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        work.delivery.detach();
        if let Some(KeyState::Collecting { events, .. }) = partition.keys.get_mut(key).map(|queue| &mut queue.state) {
            *events += 1;
        }
        let item = Item { slot, epoch: partition.epoch, key: key.clone(), work };
        self.routes[route.0][route.1].collecting.items.push(item);
    }

    pub(super) fn is_full(&self, route: RouteId) -> bool {
        let items = self.routes[route.0][route.1].collecting.items.len();
        self.batch_policy(route).is_none_or(|policy| items >= policy.max as usize)
    }

    fn batch_policy(&self, route: RouteId) -> Option<BatchPolicy> {
        self.parts.plan.topics[route.0].routes[route.1].info.batch
    }

    /// Hand over batches that are full or have waited long enough.
    pub(super) fn launch_batches(&mut self) {
        if !self.has_batches {
            return;
        }
        for plan in 0..self.routes.len() {
            for index in 0..self.routes[plan].len() {
                let route = (plan, index);
                let due = self.routes[plan][index].collecting.deadline.is_some_and(|deadline| deadline <= self.now);
                if (due || self.is_full(route))
                    && self.in_flight < self.parts.options.max_in_flight
                    && !self.routes[plan][index].collecting.items.is_empty()
                    && self.routes[plan][index].gate.pass(self.now)
                {
                    self.launch_batch(route);
                }
            }
        }
    }

    fn launch_batch(&mut self, route: RouteId) {
        let collecting = std::mem::take(&mut self.routes[route.0][route.1].collecting);
        let mut items = Vec::with_capacity(collecting.items.len());
        for mut item in collecting.items {
            // Its partition may have gone, or be going, since.
            let now = self.now;
            let handler = self.parts.plan.topics[route.0].routes[route.1].handler;
            let Some(partition) = self.partition(item.slot, item.epoch).filter(|partition| !partition.draining) else {
                continue;
            };
            partition.running += 1;
            if let Some(queue) = partition.keys.get_mut(&item.key) {
                queue.state = KeyState::InBatch;
            }
            item.work.attempts += 1;
            item.work.first_attempt.get_or_insert(now);
            item.work.delivery.begin_attempt(handler, item.work.attempts);
            if let Some(observer) = &self.parts.observer {
                observer.started(item.work.record(), handler, item.work.attempts, true);
            }
            items.push(item);
        }
        if items.is_empty() {
            return self.leave_gate(route, false);
        }
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        let BoundHandle::Batch(handle) = &bound.handle else { return };
        let deliveries: Vec<Delivery> = items.iter().map(|item| item.work.delivery.clone()).collect();
        let places: Vec<_> = items.iter_mut().filter_map(|item| item.work.place.take()).collect();
        let limit = bound.policy.timeout;
        let count = deliveries.len();
        let hooked = deliveries.clone();
        // Made here: it borrows the plan. A panic is an outcome, here as later.
        let intercepted = self.parts.observer.as_ref().and_then(|observer| observer.intercept(bound.handler));
        let future = std::panic::catch_unwind(AssertUnwindSafe(|| match intercepted {
            None => handle(deliveries),
            Some(error) => Box::pin(std::future::ready(failed(error, count))),
        }));
        let attempt = async move {
            let outcomes = match future {
                Ok(future) => AssertUnwindSafe(future).catch_unwind().await,
                Err(panic) => Err(panic),
            };
            outcomes.unwrap_or_else(|panic| (0..count).map(|_| panicked(&*panic)).collect())
        };
        let id = self.next_batch;
        self.next_batch += 1;
        let report = BatchReport { completions: self.completions.clone(), id, sent: false };
        let timeout = self.parts.clock.sleep(limit);
        let task = self.parts.runtime.spawn(async move {
            let attempt = std::pin::pin!(attempt);
            let mut outcomes = match future::select(attempt, timeout).await {
                Either::Left((outcomes, _)) => outcomes,
                Either::Right(_) => failed(HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit)), count),
            };
            for (delivery, outcome) in hooked.iter().zip(&mut outcomes) {
                for hook in delivery.take_completion_hooks().into_iter().rev() {
                    *outcome = hook(std::mem::replace(outcome, Outcome::Done)).await;
                }
            }
            drop(places);
            report.finish(outcomes);
        });
        self.in_flight += 1;
        self.batches.insert(id, RunningBatch { route, items, task: task.abort_handle() });
    }

    pub(super) fn settle_batch(&mut self, id: u64, outcomes: Option<Vec<Outcome>>) {
        let Some(RunningBatch { route, items, .. }) = self.batches.remove(&id) else { return };
        self.in_flight -= 1;
        self.leave_gate(route, outcomes.is_some());
        let vanished = outcomes.is_none();
        let missing = || Outcome::from(HandlerError::from(TaskVanished));
        let mut outcomes = outcomes.unwrap_or_default().into_iter();
        // A key's events in their order, each key by itself.
        let mut keys: Vec<(Place, Events)> = Vec::new();
        for Item { slot, epoch, key, work } in items {
            let outcome = outcomes.next().unwrap_or_else(missing);
            let place = (slot, epoch, key);
            match keys.iter_mut().find(|(other, _)| *other == place) {
                Some((_, events)) => events.push_back((work, outcome)),
                None => keys.push((place, [(work, outcome)].into())),
            }
        }
        for ((slot, epoch, key), events) in keys {
            let Some(partition) = self.partition(slot, epoch) else { continue };
            partition.running -= events.len();
            if partition.draining && vanished {
                continue;
            }
            if let Some(queue) = partition.keys.get_mut(&key) {
                queue.state = KeyState::Ready;
            }
            self.settle_batched_key(slot, key, events);
        }
    }

    /// An event that is not done takes its successors with it: they are handled again behind it.
    fn settle_batched_key(&mut self, slot: usize, key: KeyId, mut events: Events) {
        while let Some((work, outcome)) = events.pop_front() {
            if self.settle(slot, &key, work, outcome) == Step::Free {
                continue;
            }
            if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(&key)) {
                while let Some((mut work, _)) = events.pop_back() {
                    work.attempts = work.attempts.saturating_sub(1);
                    queue.waiting.push_front(work);
                }
            }
            return;
        }
        self.go_on(slot, key);
    }

    /// Cancel the batches that hold events of a partition; the other events of theirs are tried again.
    pub(super) fn abort_batches(&self, slot: usize, epoch: u64) {
        for batch in self.batches.values() {
            if batch.items.iter().any(|item| item.slot == slot && item.epoch == epoch) {
                batch.task.abort();
            }
        }
    }

    /// When a batch that is being collected goes.
    pub(super) fn next_batch_due(&self) -> Option<Duration> {
        if !self.has_batches {
            return None;
        }
        let deadlines = self.routes.iter().flatten().filter_map(|route| route.collecting.deadline);
        deadlines.min().map(|due| due.saturating_sub(self.now))
    }
}

/// A batch's duty to report, as a key's task has it.
struct BatchReport {
    completions: std::sync::Arc<crate::consumer::completions::Completions>,
    id: u64,
    sent: bool,
}

impl BatchReport {
    fn finish(mut self, outcomes: Vec<Outcome>) {
        self.sent = true;
        self.completions.push(Report::Batch { id: self.id, outcomes: Some(outcomes) });
    }
}

impl Drop for BatchReport {
    fn drop(&mut self) {
        if !self.sent {
            self.completions.push(Report::Batch { id: self.id, outcomes: None });
        }
    }
}
