//! Handlers of batches: events are collected, of any keys and in each key's order, and handed over together.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::Instrument as _;

use super::batch_task::{BatchReport, run_batch};
use super::run::Step;
use super::{Engine, RouteState};
use crate::consumer::completions::RouteId;
use crate::consumer::gate::WaitingKey;
use crate::consumer::key::{KeyId, KeyState, Work, WorkRoute};
use crate::consumer::places::Place;
use crate::consumer::plan::BoundHandle;
use crate::dispatch::{BatchPolicy, Delivery, failed};
use crate::outcome::Outcome;
use crate::telemetry::spans;
use crate::transport::{ConsumerTransport, Record};

/// Events on their way into a batch.
#[derive(Debug, Default)]
pub(super) struct Collecting {
    items: Vec<Item>,
    /// When the batch goes, full or not.
    deadline: Option<Duration>,
}

/// An event in a batch.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) slot: usize,
    pub(super) epoch: u64,
    pub(super) key: KeyId,
    pub(super) work: Work,
}

/// A batch that runs.
#[derive(Debug)]
pub(super) struct RunningBatch {
    pub(super) route: RouteId,
    pub(super) items: Vec<Item>,
    task: Cancelled,
    /// Whether it was cancelled for a partition that is given back: the others' events have not failed.
    pub(super) cancelled: bool,
    /// Its number among those that run.
    pub(super) run: Option<usize>,
    pub(super) _place: Option<Place>,
}

/// Cancels its task when it goes, however it goes; for one that has ended that is nothing.
#[derive(Debug)]
struct Cancelled(AbortHandle);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// Put the first event of `key` into the batch, with what waits behind it. While a full batch waits for a place, its key waits
    /// at the handler's gate.
    pub(super) fn collect(&mut self, slot: usize, key: &KeyId, work: Work, route: RouteId) -> Step {
        if work.apart {
            return self.run_apart(slot, key, work, route);
        }
        if self.is_full(route) && self.launch_if_possible(route) {
            // They came first.
            self.collect_waiting(route);
        }
        if self.is_full(route) {
            self.wait_at_gate(slot, key, work, route)
        } else {
            self.take_in(slot, key, work, route)
        }
    }

    /// Run the handler with this event alone, as soon as it may.
    fn run_apart(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let epoch = partition.epoch;
        if !self.places.has_one() || !self.routes[route.0][route.1].gate.pass_again(self.now) {
            return self.wait_at_gate(slot, key, work, route);
        }
        work.delivery.detach();
        partition.keys.entry(key.clone()).or_default().state = KeyState::Collecting { route };
        self.launch(route, vec![Item { slot, epoch, key: key.clone(), work }]);
        Step::Held
    }

    /// Put the first event of `key` into the batch, which has room.
    fn take_in(&mut self, slot: usize, key: &KeyId, work: Work, route: RouteId) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let queue = partition.keys.entry(key.clone()).or_default();
        queue.state = KeyState::Collecting { route };
        let mut waiting = mem::take(&mut queue.waiting);
        self.add(slot, key, work, route);
        while let Some(next) = waiting.pop_front_if(|next| self.goes_along(slot, key, next, route)) {
            self.add(slot, key, next, route);
        }
        if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(key)) {
            queue.waiting = waiting;
        }
        Step::Held
    }

    /// Put an event into the batch that has others of its key, or let it wait.
    pub(super) fn collect_behind(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) {
        if self.goes_along(slot, key, &mut work, route) {
            return self.add(slot, key, work, route);
        }
        work.delivery.detach();
        if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(key)) {
            queue.waiting.push_back(work);
        }
    }

    /// Whether `work` can join the batch that has earlier events of its key. Behind a parked event nothing can: that one has to be
    /// taken out of the store first.
    fn goes_along(&mut self, slot: usize, key: &KeyId, work: &mut Work, route: RouteId) -> bool {
        work.route == WorkRoute::Route(route.1)
            && work.failure.is_none()
            && !work.parked
            && !work.apart
            && !self.is_full(route)
            && self.partitions[slot].as_mut().is_some_and(|partition| partition.parked(key).is_none())
            && self.tenant_allows(work)
    }

    fn add(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) {
        let Some(policy) = self.batch_policy(route) else { return };
        let Some(partition) = self.partitions[slot].as_ref() else { return };
        work.delivery.detach();
        let item = Item { slot, epoch: partition.epoch, key: key.clone(), work };
        let collecting = &mut self.routes[route.0][route.1].collecting;
        collecting.deadline.get_or_insert(self.now.saturating_add(policy.wait));
        collecting.items.push(item);
    }

    pub(super) fn is_full(&self, route: RouteId) -> bool {
        let items = self.routes[route.0][route.1].collecting.items.len();
        self.batch_policy(route).is_none_or(|policy| items >= policy.max.max(1) as usize)
    }

    fn is_due(&self, route: RouteId) -> bool {
        self.routes[route.0][route.1].collecting.deadline.is_some_and(|deadline| deadline <= self.now)
    }

    fn batch_policy(&self, route: RouteId) -> Option<BatchPolicy> {
        self.parts.plan.topics[route.0].routes[route.1].info.batch
    }

    /// Whether the route's handler takes batches.
    pub(super) fn takes_batches(&self, route: RouteId) -> bool {
        self.has_batches && self.batch_policy(route).is_some()
    }

    /// Hand over batches that are full or have waited long enough.
    pub(super) fn launch_batches(&mut self) {
        if !self.has_batches {
            return;
        }
        for plan in 0..self.routes.len() {
            for index in 0..self.routes[plan].len() {
                let route = (plan, index);
                if self.takes_batches(route) {
                    self.collect_waiting(route);
                    while self.launch_if_possible(route) {
                        self.collect_waiting(route);
                    }
                }
            }
        }
    }

    /// Take keys in that wait at the gate, as many as there is room for. One whose event goes alone may have to wait again.
    fn collect_waiting(&mut self, route: RouteId) {
        let mut waiting = self.routes[route.0][route.1].gate.waiting();
        while waiting > 0
            && !self.is_full(route)
            && let Some(next) = self.routes[route.0][route.1].gate.take_waiting()
        {
            let WaitingKey { slot, epoch, key } = next;
            waiting -= 1;
            if let Some(work) = self.leave_queue(slot, epoch, &key) {
                // Its key may have been parked, or the like, while it waited.
                self.run(slot, key, work, None);
            }
        }
    }

    /// Hand the batch over if it should go and can.
    pub(super) fn launch_if_possible(&mut self, route: RouteId) -> bool {
        let goes = (self.is_due(route) || self.is_full(route))
            && self.places.has_one()
            && self.routes[route.0][route.1].gate.pass(self.now);
        if goes {
            self.launch_batch(route);
        }
        goes
    }

    fn launch_batch(&mut self, route: RouteId) {
        let collecting = mem::take(&mut self.routes[route.0][route.1].collecting);
        self.launch(route, collecting.items);
    }

    /// Hand `collected` over; the gate has let them through.
    fn launch(&mut self, route: RouteId, collected: Vec<Item>) {
        let mut items = self.begin_batch(route, collected);
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        let BoundHandle::Batch(handle) = &bound.handle else { return };
        if items.is_empty() {
            return self.leave_gate(route, false);
        }
        let deliveries: Vec<Delivery> = items.iter().map(|item| item.work.delivery.clone()).collect();
        let hooked = deliveries.clone();
        let places: Vec<_> = items.iter_mut().filter_map(|item| item.work.place.take()).collect();
        let (id, limit) = (self.next_batch, bound.policy.timeout);
        // Made here: it borrows the plan. A panic is an outcome, here as later.
        let intercepted = self.parts.observer.as_ref().and_then(|observer| observer.intercept(bound.handler));
        let span = spans::process_batch(&deliveries);
        let begin = || match intercepted {
            None => handle(deliveries),
            Some(error) => Box::pin(std::future::ready(failed(error, deliveries.len()))),
        };
        let future = span.in_scope(|| catch_unwind(AssertUnwindSafe(begin)));
        let timeout = self.parts.clock.sleep(limit);
        let report = BatchReport::new(Arc::clone(&self.completions), id);
        let measured = self.observed.measure(&self.parts, route);
        let task = self.parts.runtime.spawn(async move {
            let outcomes = run_batch(future, hooked, limit, timeout).instrument(span.clone()).await;
            if let Some(error) = outcomes.iter().find_map(spans::error_type) {
                spans::fail(&span, error);
            }
            if let Some(measured) = measured {
                let failed = outcomes.iter().find(|outcome| !matches!(outcome, Outcome::Done));
                measured.finish(failed.unwrap_or(&Outcome::Done));
            }
            drop(places);
            report.finish(outcomes);
        });
        let run = items.first().map(|item| self.observe_batch_run(item.slot, &item.work));
        self.next_batch += 1;
        let (task, place) = (task.abort_handle(), self.places.take());
        self.batches
            .insert(id, RunningBatch { route, items, task: Cancelled(task), cancelled: false, run, _place: place });
    }

    /// Begin an attempt at each event whose partition is still there. One of a paused partition goes back to its key.
    fn begin_batch(&mut self, route: RouteId, collected: Vec<Item>) -> Vec<Item> {
        let (now, parts) = (self.now, Arc::clone(&self.parts.plan));
        let bound = &parts.topics[route.0].routes[route.1];
        let handler = bound.handler;
        let (mut items, mut paused) = (Vec::with_capacity(collected.len()), Vec::new());
        for mut item in collected {
            let Some(partition) = self.partition(item.slot, item.epoch).filter(|partition| !partition.draining) else {
                continue;
            };
            if !partition.is_open() {
                paused.push(item);
                continue;
            }
            partition.running += 1;
            if let Some(queue) = partition.keys.get_mut(&item.key) {
                queue.state = KeyState::InBatch;
            }
            item.work.begin_attempt(bound, now);
            if let Some(observer) = &self.parts.observer {
                observer.started(item.work.record(), handler, item.work.attempts, true);
            }
            items.push(item);
        }
        for Item { slot, epoch, key, mut work } in paused.into_iter().rev() {
            work.place = None;
            let Some(partition) = self.partition(slot, epoch) else { continue };
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            queue.waiting.push_front(work);
            if matches!(mem::take(&mut queue.state), KeyState::Collecting { .. }) {
                partition.ready.push_back(key);
            }
        }
        items
    }

    /// The event with `offset` of a partition, where it is in a batch.
    pub(super) fn batched(&self, slot: usize, epoch: u64, offset: i64) -> Option<(&KeyId, &Record)> {
        let running = self.batches.values().flat_map(|batch| &batch.items);
        let collecting = self.routes.iter().flatten().flat_map(|route| &route.collecting.items);
        let mut items = running.chain(collecting);
        let found = items.find(|item| item.slot == slot && item.epoch == epoch && item.work.record().offset == offset);
        found.map(|item| (&item.key, item.work.record()))
    }

    /// Cancel the batches that hold events of a partition; the other events of theirs are tried again.
    pub(super) fn abort_batches(&mut self, slot: usize, epoch: u64) {
        for batch in self.batches.values_mut() {
            if batch.items.iter().any(|item| item.slot == slot && item.epoch == epoch) {
                batch.cancelled = true;
                batch.task.0.abort();
            }
        }
    }

    /// When a batch that is being collected goes, where only the time is waited for.
    pub(super) fn next_batch_due(&self) -> Option<Duration> {
        if !self.has_batches {
            return None;
        }
        let due = |route: &RouteState| {
            let deadline = route.collecting.deadline?;
            // One that should have gone waits for its gate, or for another batch to end.
            let due = if deadline > self.now { Some(deadline) } else { route.gate.looks_again(self.now) };
            due.map(|due| due.saturating_sub(self.now))
        };
        self.routes.iter().flatten().filter_map(due).min()
    }
}
