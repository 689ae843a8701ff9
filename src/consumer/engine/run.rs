//! Running handlers, and what becomes of their outcomes.

use std::cmp::Reverse;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::{Engine, Timer, TimerKey};
use crate::consumer::attempt::Attempt;
use crate::consumer::completions::{Completion, Finished, Place, Report};
use crate::consumer::dead_letter::{Circumstances, dead_letter};
use crate::consumer::key::{Failure, KeyId, KeyState, Work, WorkRoute};
use crate::consumer::retry::{Decision, FailurePolicy, Tried, full_jitter};
use crate::consumer::stats::Counters;
use crate::dispatch::{Delivery, DeliveryParts, RetryPolicy, RouteMatch};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::{ConsumerTransport, ProduceError, Written};

/// A handler that keeps the poll thread longer than this is run as a task for a while.
const SLOW_POLL: Duration = Duration::from_micros(200);
/// One in this many polls on the poll thread is timed.
const TIMED_POLLS: u32 = 16;
/// How many attempts run as tasks after a slow one.
const TASKS_AFTER_SLOW: u32 = 256;

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than its timeout of {0:?}")]
struct HandlerTimeout(Duration);

#[derive(Debug, thiserror::Error)]
#[error("the handler's task was cancelled")]
struct TaskVanished;

/// Whether a key may go on to its next event.
#[derive(Debug, PartialEq, Eq)]
enum Step {
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
        let KeyState::Running { work, .. } = mem::take(&mut queue.state) else { return };
        let step = match finished {
            Finished::Attempt(outcome) => self.settle(slot, &key, work, outcome),
            Finished::DeadLetter(result) => self.settle_dead_letter(slot, &key, work, result),
            Finished::Named(name) => self.settle_name(slot, &key, work, name),
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

    fn attempt(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        if work.failure.is_some() {
            return self.send_dead_letter(slot, key, work);
        }
        let WorkRoute::Route(index) = work.route else { return self.find_name(slot, key, work) };
        let Some(plan) = self.parts.plan.topics.get(&work.record.topic) else { return self.complete(slot, &work) };
        let route = &plan.routes[index];
        work.attempts += 1;
        work.first_attempt.get_or_insert(self.now);
        let delivery = Delivery::new(DeliveryParts {
            record: Arc::clone(&work.record),
            codec: self.parts.codec.clone(),
            extensions: Arc::clone(&self.parts.extensions),
            group: Arc::clone(&self.parts.plan.group),
            handler: route.handler,
            attempt: work.attempts,
        });
        let mut attempt = Attempt::new(delivery, |delivery| route.handle(delivery));
        if let Some(outcome) = route.pace.poll_here(&mut attempt) {
            return self.settle(slot, key, work, outcome);
        }
        let limit = route.policy.timeout;
        let future = async move {
            let outcome = tokio::time::timeout(limit, attempt).await;
            Finished::Attempt(
                outcome.unwrap_or_else(|_| HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit)).into()),
            )
        };
        self.spawn(slot, key, work, Place::Taken, future)
    }

    /// Ask for the name of the record's schema: the record does not say what event it is.
    fn find_name(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let codec = self.parts.codec.clone();
        let record = Arc::clone(&work.record);
        let mut naming = Box::pin(async move {
            let name = codec.record_name(record.payload.as_deref()).await;
            name.map_err(crate::schema::DecodeError::into_handler_error)
        });
        match naming.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(name) => self.settle_name(slot, key, work, name),
            Poll::Pending => self.spawn(slot, key, work, Place::Taken, async move { Finished::Named(naming.await) }),
        }
    }

    fn spawn(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        place: Place,
        future: impl Future<Output = Finished> + Send + 'static,
    ) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        if place == Place::Taken {
            self.in_flight += 1;
        }
        let report = Report::new(&self.completions, slot, partition.epoch, key.clone(), place);
        let task = self.parts.runtime.spawn(async move { report.finish(future.await) });
        partition.running += 1;
        let state = KeyState::Running { work, task: Some(task.abort_handle()) };
        partition.keys.entry(key.clone()).or_default().state = state;
        Step::Held
    }

    fn settle_name(&mut self, slot: usize, key: &KeyId, mut work: Work, name: Result<Arc<str>, HandlerError>) -> Step {
        let name = match name {
            Ok(name) => name,
            Err(error) => {
                work.first_attempt.get_or_insert(self.now);
                return self.settle_with(slot, key, work, error.into(), self.default_policy());
            }
        };
        let found = self.parts.plan.topics.get(&work.record.topic).map(|plan| plan.route(&name, None));
        match found {
            Some(RouteMatch::Route(index)) => {
                work.route = WorkRoute::Route(index);
                self.attempt(slot, key, work)
            }
            _ => {
                Counters::add(&self.parts.counters.skipped, 1);
                self.forget(slot, &work)
            }
        }
    }

    fn default_policy(&self) -> FailurePolicy {
        let options = &self.parts.options;
        FailurePolicy { retry: options.retry, on_exhausted: options.on_exhausted, timeout: options.handler_timeout }
    }

    fn settle(&mut self, slot: usize, key: &KeyId, work: Work, outcome: Outcome) -> Step {
        if matches!(outcome, Outcome::Done) {
            return self.complete(slot, &work);
        }
        let policy = match (work.route, self.parts.plan.topics.get(&work.record.topic)) {
            (WorkRoute::Route(index), Some(plan)) => plan.routes[index].policy,
            _ => self.default_policy(),
        };
        self.settle_with(slot, key, work, outcome, policy)
    }

    fn settle_with(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        outcome: Outcome,
        policy: FailurePolicy,
    ) -> Step {
        work.failures += 1;
        work.first_failure.get_or_insert_with(|| self.parts.clock.now());
        let age = work.first_attempt.map_or(Duration::ZERO, |first| self.now.saturating_sub(first));
        let tried = Tried { attempts: work.attempts, failures: work.failures, age };
        match policy.decide(outcome, tried, full_jitter) {
            Decision::Complete => self.complete(slot, &work),
            Decision::RetryAfter(pause, error) => {
                if error.class() == ErrorClass::Unavailable {
                    work.attempts = work.attempts.saturating_sub(1);
                    work.first_attempt = None;
                }
                self.log_failure(&work, &error, "an event failed and is tried again", Some(pause));
                Counters::add(&self.parts.counters.retried, 1);
                self.pause(slot, key, work, pause)
            }
            Decision::DeadLetter(error) => {
                self.log_failure(&work, &error, "an event failed for good and goes to the dead letters", None);
                self.give_up(slot, key, work, error)
            }
            Decision::Stop(error) => {
                self.log_failure(
                    &work,
                    &error,
                    "an event failed for good; the consumer stops, as its policy says",
                    None,
                );
                let stop = Self::exhausted(&work, &error);
                self.stop(Err(stop));
                let pause = self.parts.options.drain_timeout;
                self.pause(slot, key, work, pause)
            }
        }
    }

    fn give_up(&mut self, slot: usize, key: &KeyId, mut work: Work, error: HandlerError) -> Step {
        work.failure = Some(Failure { error, sends: 0 });
        self.send_dead_letter(slot, key, work)
    }

    fn send_dead_letter(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let given_up = self.parts.clock.now();
        let first_failure = *work.first_failure.get_or_insert(given_up);
        let handler = self.handler_name(&work);
        let Some(failure) = &work.failure else { return Step::Held };
        let why = Circumstances { group: &self.parts.plan.group, handler, first_failure, given_up };
        let letter = dead_letter(&self.parts.plan.dead_letter_topic, &work, &failure.error, &why);
        let written = self.parts.producer.send(letter);
        self.spawn(slot, key, work, Place::None, async move { Finished::DeadLetter(written.await) })
    }

    /// The offset moves only once the dead letter is written; until then it is tried again and again.
    fn settle_dead_letter(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        result: Result<Written, ProduceError>,
    ) -> Step {
        match result {
            Ok(_) => {
                Counters::add(&self.parts.counters.dead_lettered, 1);
                self.forget(slot, &work)
            }
            Err(error) => {
                let sends = work.failure.as_mut().map_or(1, |failure| {
                    failure.sends += 1;
                    failure.sends
                });
                tracing::error!(
                    group = &*self.parts.plan.group, topic = &*work.record.topic, partition = work.record.partition,
                    offset = work.record.offset, dead_letter_topic = &*self.parts.plan.dead_letter_topic, error = %error, sends,
                    "a dead letter could not be written; its key waits and it is tried again"
                );
                let pause = full_jitter(RetryPolicy::default().backoff_bound(sends));
                self.pause(slot, key, work, pause)
            }
        }
    }

    fn pause(&mut self, slot: usize, key: &KeyId, work: Work, pause: Duration) -> Step {
        let due = self.now.saturating_add(pause);
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let epoch = partition.epoch;
        partition.keys.entry(key.clone()).or_default().state = KeyState::Pausing { work };
        self.timers.push(Reverse(Timer { due, slot, epoch, key: TimerKey(key.clone()) }));
        Step::Held
    }

    fn complete(&mut self, slot: usize, work: &Work) -> Step {
        Counters::add(&self.parts.counters.handled, 1);
        self.forget(slot, work)
    }

    /// The event is done with, whichever way: its offset may be committed.
    fn forget(&mut self, slot: usize, work: &Work) -> Step {
        let bytes = work.record.size();
        self.buffered_bytes -= bytes;
        self.uncommitted += 1;
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.buffered_bytes -= bytes;
            partition.offsets.complete(work.record.offset);
        }
        Step::Free
    }

    fn handler_name(&self, work: &Work) -> Option<&'static str> {
        let WorkRoute::Route(index) = work.route else { return None };
        self.parts.plan.topics.get(&work.record.topic).map(|plan| plan.routes[index].handler)
    }

    pub(super) fn log_failure(
        &self,
        work: &Work,
        error: &HandlerError,
        message: &'static str,
        pause: Option<Duration>,
    ) {
        tracing::warn!(
            group = &*self.parts.plan.group,
            handler = self.handler_name(work),
            topic = &*work.record.topic,
            partition = work.record.partition,
            offset = work.record.offset,
            attempt = work.attempts,
            class = error.class().as_str(),
            error = error.chain(),
            pause_ms = pause.map(|pause| pause.as_millis()),
            "{message}"
        );
    }
}

/// Whether a route's attempts are polled on the poll thread first. A handler that computes for long would hold up every key.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    polls: std::cell::Cell<u32>,
    tasks_left: std::cell::Cell<u32>,
}

impl Pace {
    /// Poll `attempt` once, here. `None` when it is to be run as a task.
    fn poll_here(&self, attempt: &mut Attempt) -> Option<Outcome> {
        let tasks_left = self.tasks_left.get();
        if tasks_left > 0 {
            self.tasks_left.set(tasks_left - 1);
            return None;
        }
        let polls = self.polls.get().wrapping_add(1);
        self.polls.set(polls);
        let timed = (polls % TIMED_POLLS == 1).then(Instant::now);
        // No one needs to be woken: if it is not ready, a task polls it again at once.
        let poll = Pin::new(attempt).poll(&mut Context::from_waker(Waker::noop()));
        if timed.is_some_and(|start| start.elapsed() > SLOW_POLL) {
            self.tasks_left.set(TASKS_AFTER_SLOW);
        }
        match poll {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }
}
