//! Running handlers, and what becomes of their outcomes.

use std::cmp::Reverse;
use std::future::Future;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Engine, Timer, TimerKey};
use crate::consumer::attempt::Attempt;
use crate::consumer::completions::{Completion, Finished, Place, Report};
use crate::consumer::key::{KeyId, KeyState, Work, WorkRoute};
use crate::outcome::{ErrorClass, HandlerError};
use crate::telemetry::spans;
use crate::transport::{ConsumerTransport, ProduceError};

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than its timeout of {0:?}")]
struct HandlerTimeout(Duration);

#[derive(Debug, thiserror::Error)]
#[error("the handler's task was cancelled")]
struct TaskVanished;

/// Whether a key may go on to its next event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Free,
    Held,
}

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn settle_completions(&mut self) -> bool {
        let mut finished = mem::take(&mut self.finished);
        self.completions.drain_into(&mut finished);
        let busy = !finished.is_empty();
        for completion in finished.drain(..) {
            self.settle_completion(completion);
        }
        self.finished = finished;
        busy
    }

    fn settle_completion(&mut self, completion: Completion) {
        let Completion { slot, epoch, key, place, finished } = completion;
        if place == Place::Taken {
            self.in_flight -= 1;
        }
        let Some(partition) = self.partition(slot, epoch) else { return };
        partition.running -= 1;
        let Some(queue) = partition.keys.get_mut(&key) else { return };
        let KeyState::Running { work, run, .. } = mem::take(&mut queue.state) else { return };
        if matches!(finished, Finished::Vanished) && partition.draining {
            // Cancelled while its partition is given back: no attempt of the event's, and it is delivered again elsewhere.
            queue.waiting.push_front(work);
            return self.observe_run_end(run);
        }
        self.observe_run_end(run);
        let step = match finished {
            Finished::Attempt(outcome) => self.settle(slot, &key, work, outcome),
            Finished::DeadLetter(result) => self.settle_dead_letter(slot, &key, work, result),
            Finished::Named(name) => self.settle_name(slot, &key, work, name),
            Finished::Vanished if work.failure.is_some() => {
                let topic = Arc::clone(&self.parts.plan.dead_letter_topic);
                self.settle_dead_letter(slot, &key, work, Err(ProduceError::Purged { topic }))
            }
            Finished::Vanished => self.settle(slot, &key, work, HandlerError::from(TaskVanished).into()),
        };
        if step == Step::Free {
            self.go_on(slot, key);
        }
    }

    /// Start keys that wait for a place, a key a partition in turn.
    pub(super) fn start_ready(&mut self) {
        let count = self.partitions.len();
        let mut idle = 0;
        let mut slot = self.rotation;
        while idle < count && self.in_flight < self.parts.options.max_in_flight {
            slot = (slot + 1) % count;
            let key = self.partitions[slot]
                .as_mut()
                .filter(|partition| !partition.draining)
                .and_then(|partition| partition.ready.pop_front());
            match key {
                Some(key) => {
                    idle = 0;
                    self.run_waiting(slot, key);
                }
                None => idle += 1,
            }
        }
    }

    pub(super) fn fire_timers(&mut self) -> bool {
        let mut busy = false;
        while let Some(Reverse(timer)) = self.timers.peek() {
            if timer.due > self.now {
                break;
            }
            let Some(Reverse(Timer { slot, epoch, key: TimerKey(key), .. })) = self.timers.pop() else { break };
            busy = true;
            let Some(partition) = self.partition(slot, epoch).filter(|partition| !partition.draining) else { continue };
            let Some(queue) = partition.keys.get_mut(&key) else { continue };
            if let KeyState::Pausing { work } = mem::take(&mut queue.state) {
                queue.waiting.push_front(work);
                // Behind the others that wait for a place, before its own successors.
                partition.ready.push_back(key);
            }
        }
        busy
    }

    /// `key` is free again: go on with its next event, behind the keys that already wait for a place.
    fn go_on(&mut self, slot: usize, key: KeyId) {
        let has_place = self.in_flight < self.parts.options.max_in_flight;
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        if partition.draining || !has_place || !partition.ready.is_empty() {
            partition.rest(key);
        } else {
            self.run_waiting(slot, key);
        }
    }

    /// Work on the events that wait in `key`'s queue, or forget the key when there are none.
    fn run_waiting(&mut self, slot: usize, key: KeyId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let next = partition.keys.get_mut(&key).and_then(|queue| queue.waiting.pop_front());
        match next {
            Some(work) => self.run(slot, key, work),
            None => partition.rest(key),
        }
    }

    /// Work on `key`'s events, beginning with `work`, until one of them has to wait.
    pub(super) fn run(&mut self, slot: usize, key: KeyId, mut work: Work) {
        loop {
            if self.attempt(slot, &key, work) == Step::Held {
                return;
            }
            let has_place = self.in_flight < self.parts.options.max_in_flight;
            let Some(partition) = self.partitions[slot].as_mut() else { return };
            if partition.draining || !has_place {
                return partition.rest(key);
            }
            match partition.keys.get_mut(&key).and_then(|queue| queue.waiting.pop_front()) {
                Some(next) => work = next,
                None => return partition.rest(key),
            }
        }
    }

    pub(super) fn attempt(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        if work.failure.is_some() {
            return self.send_dead_letter(slot, key, work);
        }
        let WorkRoute::Route(index) = work.route else { return self.find_name(slot, key, work) };
        let measured = self.measure(slot, index);
        let Some(plan) = self.plan_of(slot) else { return Step::Held };
        let route = &plan.routes[index];
        work.attempts += 1;
        work.first_attempt.get_or_insert(self.now);
        work.delivery.begin_attempt(route.handler, work.attempts);
        self.observe_here(slot, index, work.record().offset);
        let span = spans::process(&work.delivery);
        let mut attempt = Attempt::new(work.delivery.clone(), |delivery| route.handle(delivery)).in_span(span.clone());
        let outcome = route.pace.poll_here(&mut attempt);
        self.parts.counters.pulse.leave();
        if let Some(outcome) = outcome {
            if let Some(measured) = measured {
                measured.finish(&outcome);
            }
            return self.settle(slot, key, work, outcome);
        }
        let limit = route.policy.timeout;
        let future = async move {
            let outcome = tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                let outcome = HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
                spans::fail(&span, outcome.class().as_str());
                outcome.into()
            });
            if let Some(measured) = measured {
                measured.finish(&outcome);
            }
            Finished::Attempt(outcome)
        };
        self.spawn(slot, key, work, Place::Taken, future)
    }

    /// Ask for the name of the record's schema: the record does not say what event it is.
    fn find_name(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let delivery = work.delivery.clone();
        let mut naming = Box::pin(async move {
            let name = delivery.codec().record_name(delivery.record().payload.as_deref()).await;
            name.map_err(crate::schema::DecodeError::into_handler_error)
        });
        match naming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(name) => self.settle_name(slot, key, work, name),
            Poll::Pending => self.spawn(slot, key, work, Place::Taken, async move { Finished::Named(naming.await) }),
        }
    }

    pub(super) fn spawn(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        place: Place,
        future: impl Future<Output = Finished> + Send + 'static,
    ) -> Step {
        let run = self.observe_run(slot, key, &work);
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        if place == Place::Taken {
            self.in_flight += 1;
        }
        let report = Report::new(&self.completions, slot, partition.epoch, key.clone(), place);
        let task = self.parts.runtime.spawn(async move { report.finish(future.await) });
        partition.running += 1;
        let state = KeyState::Running { work, task: Some(task.abort_handle()), run };
        partition.keys.entry(key.clone()).or_default().state = state;
        Step::Held
    }
}
