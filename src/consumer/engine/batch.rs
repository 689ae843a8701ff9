//! Handlers of batches: events are collected, of any keys and in each key's order, and handed over together.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use futures_util::FutureExt as _;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::run::{HandlerTimeout, Step, TaskVanished};
use super::settle::breaking;
use super::{Engine, RouteState};
use crate::consumer::attempt::panicked;
use crate::consumer::completions::{Completions, Report, RouteId};
use crate::consumer::gate::WaitingKey;
use crate::consumer::key::{KeyId, KeyState, Way, Work, WorkRoute};
use crate::consumer::plan::BoundHandle;
use crate::dispatch::{BatchFuture, BatchPolicy, Delivery, failed};
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
    /// Whether it was cancelled for a partition that is given back: the others' events have not failed.
    cancelled: bool,
}

/// A key of a partition, under an assignment.
type Place = (usize, u64, KeyId);

impl<T: ConsumerTransport> Engine<T> {
    /// Put the first event of `key` into the batch, with what waits behind it. While a full batch waits for a place, its key waits
    /// at the handler's gate.
    pub(super) fn collect(&mut self, slot: usize, key: &KeyId, work: Work, route: RouteId) -> Step {
        if self.is_full(route) {
            self.launch_if_possible(route);
        }
        if self.is_full(route) {
            self.wait_at_gate(slot, key, work, route)
        } else {
            self.take_in(slot, key, work, route)
        }
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
        if self.goes_along(slot, key, &work, route) {
            return self.add(slot, key, work, route);
        }
        work.delivery.detach();
        if let Some(queue) = self.partitions[slot].as_mut().and_then(|partition| partition.keys.get_mut(key)) {
            queue.waiting.push_back(work);
        }
    }

    /// Whether `work` can join the batch that has earlier events of its key. Behind a parked event nothing can: that one has to be
    /// taken out of the store first.
    fn goes_along(&mut self, slot: usize, key: &KeyId, work: &Work, route: RouteId) -> bool {
        work.route == WorkRoute::Route(route.1)
            && work.failure.is_none()
            && !work.parked
            && !self.is_full(route)
            && self.partitions[slot].as_mut().is_some_and(|partition| partition.parked(key).is_none())
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

    fn is_full(&self, route: RouteId) -> bool {
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

    /// Take keys in that wait at the gate, as many as there is room for.
    fn collect_waiting(&mut self, route: RouteId) {
        while !self.is_full(route)
            && let Some(waiting) = self.routes[route.0][route.1].gate.take_waiting()
        {
            let WaitingKey { slot, epoch, key } = waiting;
            if let Some(work) = self.leave_queue(slot, epoch, &key) {
                // Its key may have been parked, or the like, while it waited.
                self.run(slot, key, work, None);
            }
        }
    }

    /// Hand the batch over if it should go and can.
    fn launch_if_possible(&mut self, route: RouteId) -> bool {
        let goes = (self.is_due(route) || self.is_full(route))
            && self.in_flight < self.parts.options.max_in_flight
            && self.routes[route.0][route.1].gate.pass(self.now);
        if goes {
            self.launch_batch(route);
        }
        goes
    }

    fn launch_batch(&mut self, route: RouteId) {
        let collecting = mem::take(&mut self.routes[route.0][route.1].collecting);
        let items = self.begin_batch(route, collecting.items);
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        let BoundHandle::Batch(handle) = &bound.handle else { return };
        if items.is_empty() {
            return self.leave_gate(route, false);
        }
        let deliveries: Vec<Delivery> = items.iter().map(|item| item.work.delivery.clone()).collect();
        let hooked = deliveries.clone();
        let (id, limit) = (self.next_batch, bound.policy.timeout);
        // Made here: it borrows the plan. A panic is an outcome, here as later.
        let future = catch_unwind(AssertUnwindSafe(|| handle(deliveries)));
        let report = BatchReport { completions: Arc::clone(&self.completions), id, sent: false };
        let task = self.parts.runtime.spawn(async move { report.finish(run_batch(future, hooked, limit).await) });
        self.next_batch += 1;
        self.in_flight += 1;
        self.batches.insert(id, RunningBatch { route, items, task: task.abort_handle(), cancelled: false });
    }

    /// Begin an attempt at each event whose partition is still there. One of a paused partition goes back to its key.
    fn begin_batch(&mut self, route: RouteId, collected: Vec<Item>) -> Vec<Item> {
        let (now, bound) = (self.now, &self.parts.plan.topics[route.0].routes[route.1]);
        let (handler, order) = (bound.handler, bound.order);
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
            item.work.attempts += 1;
            item.work.first_attempt.get_or_insert(now);
            item.work.delivery.begin_attempt(handler, item.work.attempts, order);
            items.push(item);
        }
        for Item { slot, epoch, key, work } in paused.into_iter().rev() {
            let Some(partition) = self.partition(slot, epoch) else { continue };
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            queue.waiting.push_front(work);
            if matches!(mem::take(&mut queue.state), KeyState::Collecting { .. }) {
                partition.ready.push_back(key);
            }
        }
        items
    }

    pub(super) fn settle_batch(&mut self, id: u64, outcomes: Option<Vec<Outcome>>) {
        let Some(RunningBatch { route, items, cancelled, .. }) = self.batches.remove(&id) else { return };
        self.in_flight -= 1;
        self.leave_gate(route, outcomes.is_some());
        if let Some(outcomes) = &outcomes {
            self.tell_breaker(route, &items, outcomes);
        }
        let vanished = outcomes.is_none();
        let missing = || Outcome::from(HandlerError::from(TaskVanished));
        let mut outcomes = outcomes.unwrap_or_default().into_iter();
        // A key's events in their order, each key by itself.
        let mut keys: Vec<(Place, VecDeque<(Work, Outcome)>)> = Vec::new();
        let mut places: HashMap<Place, usize, RandomState> = HashMap::default();
        for Item { slot, epoch, key, work } in items {
            let outcome = outcomes.next().unwrap_or_else(missing);
            let place = (slot, epoch, key);
            let index = *places.entry(place.clone()).or_insert(keys.len());
            match keys.get_mut(index) {
                Some((_, events)) => events.push_back((work, outcome)),
                None => keys.push((place, [(work, outcome)].into())),
            }
        }
        for ((slot, epoch, key), events) in keys {
            let Some(partition) = self.partition(slot, epoch) else { continue };
            partition.running -= events.len();
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            queue.state = KeyState::Ready;
            if vanished && (cancelled || partition.draining) {
                // Not tried, so not failed.
                self.take_along(slot, &key, events);
                self.go_on(slot, key);
            } else {
                self.settle_batched_key(slot, key, events);
            }
        }
    }

    /// An event that is tried again, or parked, takes its successors with it: they are handled again behind it. Behind one that
    /// goes to the dead letters, what is done stays done.
    fn settle_batched_key(&mut self, slot: usize, key: KeyId, mut events: VecDeque<(Work, Outcome)>) {
        while let Some((work, outcome)) = events.pop_front() {
            if self.settle(slot, &key, work, outcome) == Step::Free {
                continue;
            }
            if self.waits_for_dead_letter(slot, &key) {
                while let Some((work, _)) = events.pop_front_if(|(_, outcome)| matches!(outcome, Outcome::Done)) {
                    self.complete(slot, &key, work);
                }
            }
            return self.take_along(slot, &key, events);
        }
        self.go_on(slot, key);
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
    fn take_along(&mut self, slot: usize, key: &KeyId, events: VecDeque<(Work, Outcome)>) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let Some(queue) = partition.keys.get_mut(key) else { return };
        for (mut work, _) in events.into_iter().rev() {
            work.attempts = work.attempts.saturating_sub(1);
            if work.attempts == 0 {
                work.first_attempt = None;
            }
            queue.waiting.push_front(work);
        }
    }

    /// To the handler's breaker a batch is one attempt, however many events it has: it succeeds if one of them does, and else
    /// fails as the first of them that fails.
    fn tell_breaker(&mut self, route: RouteId, items: &[Item], outcomes: &[Outcome]) {
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Done)) {
            return self.breaker_succeeded(route);
        }
        let first = items.iter().zip(outcomes).find_map(|(item, outcome)| breaking(outcome).map(|error| (item, error)));
        match first {
            Some((item, error)) => self.breaker_failed(route, item.slot, &item.key, error),
            None => self.routes[route.0][route.1].gate.breaker.vanished(self.now),
        }
    }

    /// Cancel the batches that hold events of a partition; the other events of theirs are tried again.
    pub(super) fn abort_batches(&mut self, slot: usize, epoch: u64) {
        for batch in self.batches.values_mut() {
            if batch.items.iter().any(|item| item.slot == slot && item.epoch == epoch) {
                batch.cancelled = true;
                batch.task.abort();
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

/// Run a handler of batches, and what its deliveries ask for behind it, within `limit`.
async fn run_batch(
    future: std::thread::Result<BatchFuture>,
    deliveries: Vec<Delivery>,
    limit: Duration,
) -> Vec<Outcome> {
    let deadline = Instant::now() + limit;
    let timed_out = || HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
    let outcomes = match future {
        Ok(future) => timeout_at(deadline, AssertUnwindSafe(future).catch_unwind()).await,
        Err(panic) => Ok(Err(panic)),
    };
    let mut outcomes = match outcomes {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(panic)) => deliveries.iter().map(|_| panicked(&*panic)).collect(),
        // As with a single event, what was to follow the handler does not.
        Err(_) => return failed(timed_out(), deliveries.len()),
    };
    for (delivery, outcome) in deliveries.iter().zip(&mut outcomes) {
        for hook in delivery.take_completion_hooks().into_iter().rev() {
            let before = mem::replace(outcome, Outcome::Done);
            let hooked = AssertUnwindSafe(async { hook(before).await }).catch_unwind();
            *outcome = match timeout_at(deadline, hooked).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(panic)) => panicked(&*panic),
                Err(_) => timed_out().into(),
            };
        }
    }
    outcomes
}

/// A batch's duty to report, as a key's task has it.
struct BatchReport {
    completions: Arc<Completions>,
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
