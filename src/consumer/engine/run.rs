//! Running handlers.

use std::future::Future;
use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::{AbortHandle, Abortable};

use super::Engine;
use super::chains::Formed;
use crate::consumer::attempt::panic_text;
use crate::consumer::chain::Begun;
use crate::consumer::completions::{Completion, Duty, Finished, Report, RouteId};
use crate::consumer::key::{KeyId, KeyState, Task, Way, Work, WorkRoute};
use crate::consumer::parked::ParkError;
use crate::consumer::places::Place;
use crate::consumer::plan::BoundHandle;
use crate::outcome::{ErrorClass, HandlerError};
use crate::schema::DecodeError;
use crate::transport::{ConsumerTransport, ProduceError};

#[derive(Debug, thiserror::Error)]
#[error("the handler's task was cancelled")]
pub(super) struct TaskVanished;

#[derive(Debug, thiserror::Error)]
#[error("finding out what event it is panicked: {0}")]
struct NamePanic(String);

/// Whether a key may go on to its next event.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a key that is free goes on"]
pub(super) enum Step {
    Free,
    Held,
}

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn settle_reports(&mut self) -> bool {
        let mut reports = mem::take(&mut self.reports);
        self.completions.drain_into(&mut reports);
        let busy = !reports.is_empty();
        for report in reports.drain(..) {
            match report {
                Report::Task(completion) => self.settle_completion(completion),
                Report::Loaded { slot, epoch, keys } => self.settle_loaded(slot, epoch, keys),
                Report::Requests(keys) => self.settle_requests(keys),
                Report::Batch { id, outcomes } => self.settle_batch(id, outcomes),
                Report::Place(place) => self.settle_claim(place),
            }
        }
        self.reports = reports;
        busy
    }

    fn settle_completion(&mut self, completion: Completion) {
        let Completion { slot, epoch, key, route, finished, goes_on, place } = completion;
        if let Some(place) = place {
            self.places.keep(place);
        }
        let (leaves, told) = match finished {
            Finished::NotBegun { passed_gate } => (passed_gate, false),
            Finished::Vanished => (true, false),
            _ => (true, true),
        };
        if let Some(route) = route.filter(|_| leaves) {
            self.leave_gate(route, told);
        }
        let Some(partition) = self.partition(slot, epoch) else {
            return self.left(epoch, usize::from(!goes_on));
        };
        partition.running -= usize::from(!goes_on);
        let draining = partition.draining;
        let Some(queue) = partition.keys.get_mut(&key) else { return };
        let (work, run) = match mem::take(&mut queue.state) {
            KeyState::Running { work, task, run } if goes_on => return self.settle_link(slot, &key, work, task, run),
            KeyState::Running { work, run, .. } => (work, run),
            KeyState::Unparking => return self.settle_unparking(slot, key, finished),
            other => {
                queue.state = other;
                return;
            }
        };
        if matches!(finished, Finished::Vanished) && draining {
            // Cancelled while its partition is given back: no attempt of the event's, and it is delivered again elsewhere.
            queue.waiting.push_front(work);
            return self.observe_run_end(run);
        }
        self.observe_run_end(run);
        let step = match finished {
            Finished::NotBegun { .. } => return self.settle_not_begun(slot, key, work),
            Finished::Attempt(outcome) => self.settle(slot, &key, work, outcome),
            Finished::DeadLetter(result) => self.settle_dead_letter(slot, &key, work, result),
            Finished::NotPassedOver(error) => self.try_again_to_give_up(slot, &key, work, &error),
            Finished::Parked(result) => self.settle_parked(slot, &key, work, result),
            Finished::Unparked(result) => self.settle_unparked(slot, &key, work, result),
            Finished::Named(name) => self.settle_name(slot, &key, work, name),
            Finished::Vanished
                if work.failure.as_ref().is_some_and(|failure| matches!(failure.way, Way::Park | Way::Unpark)) =>
            {
                self.try_store_again(slot, &key, work, &ParkError::new("keep", TaskVanished))
            }
            Finished::Vanished if work.failure.is_some() => {
                let topic = Arc::clone(&self.parts.plan.dead_letter_topic);
                self.settle_dead_letter(slot, &key, work, Err(ProduceError::Purged { topic }))
            }
            Finished::Vanished if work.route == WorkRoute::Unrouted => {
                self.settle_name(slot, &key, work, Err(TaskVanished.into()))
            }
            Finished::Vanished | Finished::Fetched(_) | Finished::Forgotten(_) => {
                self.settle(slot, &key, work, HandlerError::from(TaskVanished).into())
            }
        };
        if step == Step::Free {
            self.go_on(slot, key);
        }
    }

    /// Work on the events that wait in `key`'s queue, or forget the key when there are none.
    pub(super) fn run_waiting(&mut self, slot: usize, key: KeyId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let next = partition.keys.get_mut(&key).and_then(|queue| queue.waiting.pop_front());
        match next {
            Some(work) => self.run(slot, key, work, None),
            None => self.rest(slot, key),
        }
    }

    /// Work on `key`'s events, beginning with `work`, until one of them has to wait. `passed` names the gate that let the first
    /// one through.
    pub(super) fn run(&mut self, slot: usize, key: KeyId, mut work: Work, mut passed: Option<RouteId>) {
        loop {
            if self.attempt(slot, &key, work, passed.take()) == Step::Held {
                return;
            }
            let has_place = self.places.has_one();
            let Some(partition) = self.partitions[slot].as_mut() else { return };
            if !partition.is_open() || !has_place || self.turns.is_some() {
                return self.rest(slot, key);
            }
            match partition.keys.get_mut(&key).and_then(|queue| queue.waiting.pop_front()) {
                Some(next) => work = next,
                None => return self.rest(slot, key),
            }
        }
    }

    pub(super) fn attempt(&mut self, slot: usize, key: &KeyId, work: Work, passed: Option<RouteId>) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let plan = partition.plan;
        // One that will never reach a handler waits for its predecessors, too.
        let undecided =
            work.failure.as_ref().is_none_or(|failure| matches!(failure.way, Way::DeadLetter | Way::Refused(_)));
        let parked = !work.parked && undecided && partition.parked(key).is_some();
        let route = match work.route {
            WorkRoute::Route(index) if work.failure.is_none() && !parked => (plan, index),
            route => {
                if let Some(passed) = passed {
                    self.leave_gate(passed, false);
                }
                return match route {
                    _ if parked => self.park_behind(slot, key, work),
                    _ if work.failure.is_some() => self.give_up(slot, key, work),
                    _ => self.find_name(slot, key, work),
                };
            }
        };
        if matches!(self.parts.plan.topics[route.0].routes[route.1].handle, BoundHandle::Batch(_)) {
            return self.collect(slot, key, work, route);
        }
        // Without one, nothing here has begun yet that would have to be taken back.
        if !self.places.has_one() {
            if let Some(passed) = passed {
                self.leave_gate(passed, false);
            }
            return self.wait_for_place(slot, key, work);
        }
        if passed.is_none() {
            if self.turns.is_some() {
                return self.wait_for_turn(slot, key, work);
            }
            if !self.routes[route.0][route.1].gate.pass_at_once(self.now) {
                return self.wait_at_gate(slot, key, work, route);
            }
        }
        self.begin(slot, key, work, route)
    }

    /// Run the handler; its gate has let the event through.
    fn begin(&mut self, slot: usize, key: &KeyId, mut work: Work, route: RouteId) -> Step {
        let Some(place) = self.places.take() else { return self.wait_for_place(slot, key, work) };
        let is_here = self.routes[route.0][route.1].pace.is_here();
        if !is_here && self.parts.observer.is_none() {
            return self.begin_beside(slot, key, work, route, place);
        }
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        work.begin_attempt(bound, self.now);
        if let Some(observer) = &self.parts.observer {
            observer.started(work.record(), bound.handler, work.attempts, false);
            if let Some(error) = observer.intercept(bound.handler) {
                self.leave_gate(route, true);
                self.places.keep(place);
                work.place = None;
                return self.settle(slot, key, work, error.into());
            }
        }
        let measured = self.observed.measure(&self.parts, route);
        self.observe_here(route, work.record());
        let Some(mut begun) = Begun::begin(bound, &work.delivery, measured) else { return Step::Held };
        let state = &mut self.routes[route.0][route.1];
        let outcome = state.pace.poll_here(begun.attempt());
        self.parts.counters.pulse.leave();
        let Some(outcome) = outcome else { return self.go_on_beside(slot, key, work, route, begun, place) };
        self.places.keep(place);
        begun.end(&outcome);
        state.gate.leave();
        work.place = None;
        self.settle(slot, key, work, outcome)
    }

    /// Ask for the name of the record's schema: the record does not say what event it is.
    fn find_name(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let delivery = work.delivery.clone();
        let mut naming = Box::pin(async move {
            let name = AssertUnwindSafe(delivery.codec().record_name(delivery.record())).catch_unwind().await;
            match name {
                Ok(name) => name.map_err(DecodeError::into_handler_error),
                Err(panic) => Err(HandlerError::new(ErrorClass::Panic, NamePanic(panic_text(&*panic)))),
            }
        });
        match naming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(name) => self.settle_name(slot, key, work, name),
            Poll::Pending => {
                let place = self.places.take();
                self.spawn(slot, key, work, place, async move { Finished::Named(naming.await) })
            }
        }
    }

    /// Send what is given up where it goes, for the first time or again.
    pub(super) fn give_up(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        // Whoever takes it may keep it for long, and would keep its neighbours in memory.
        work.delivery.detach();
        match work.failure.as_ref().map(|failure| failure.way) {
            Some(Way::Park) => self.send_parked(slot, key, work),
            Some(Way::Unpark) => self.unpark(slot, key, work),
            Some(Way::Refused(on_exhausted)) => self.settle_refused(slot, key, work, on_exhausted),
            Some(Way::DeadLetter) | None => self.send_dead_letter(slot, key, work),
        }
    }

    pub(super) fn duty(&self, slot: usize, key: KeyId) -> Option<Duty> {
        let epoch = self.partitions[slot].as_ref()?.epoch;
        Some(Duty::new(&self.completions, slot, epoch, key))
    }

    /// Do something for an event beside this thread. `place` is the handler's place it takes, if it takes one.
    pub(super) fn spawn(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        place: Option<Place>,
        future: impl Future<Output = Finished> + Send + 'static,
    ) -> Step {
        let run = self.observe_run(slot, &work, None);
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        // Given back before it is told that the task has ended: then somebody else's turn may come.
        let places = (place, work.place.take());
        let key = key.clone();
        let duty = Duty::new(&self.completions, slot, partition.epoch, key.clone());
        let task = async move {
            let finished = future.await;
            drop(places);
            duty.finish(finished);
        };
        let (handle, registration) = AbortHandle::new_pair();
        partition.running += 1;
        let state = KeyState::Running { work, task: Task::Alone(handle), run };
        partition.keys.entry(key).or_default().state = state;
        self.form(Formed::Alone(Abortable::new(task.boxed(), registration)));
        Step::Held
    }
}
