//! What becomes of outcomes: done, tried again, given up.

use std::cmp::Reverse;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::gates::breaker_key;
use super::run::{Step, TaskVanished};
use super::{Engine, Timer};
use crate::consumer::breaker::Tripped;
use crate::consumer::completions::{Finished, RouteId};
use crate::consumer::dead_letter::{Circumstances, dead_letter};
use crate::consumer::error::StopReason;
use crate::consumer::error_text::ErrorText;
use crate::consumer::key::{Failure, KeyId, KeyState, Way, Work, WorkRoute};
use crate::consumer::passed_over::pass_over;
use crate::consumer::retry::{Decision, FailurePolicy, Tried, full_jitter};
use crate::consumer::stats::Counters;
use crate::dispatch::{OnExhausted, RetryPolicy, RouteMatch};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::{ConsumerTransport, ProduceError, Written};

/// How long a key that was released may wait for its next attempt, whatever its handler says.
const LONGEST_PAUSE_OF_RELEASED: Duration = Duration::from_secs(30);

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn settle_name(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        name: Result<Arc<str>, HandlerError>,
    ) -> Step {
        let name = match name {
            Ok(name) => name,
            Err(error) => {
                // As an attempt of its handler: it may not be tried for ever either.
                work.attempts += 1;
                work.first_attempt.get_or_insert(self.now);
                return self.settle_with(slot, key, work, error.into(), self.default_policy());
            }
        };
        let found = self.plan_of(slot).map(|plan| plan.route(&name, None));
        match found {
            Some(RouteMatch::Route(index)) => {
                work.route = WorkRoute::Route(index);
                self.attempt(slot, key, work, None)
            }
            _ => {
                Counters::add(&self.parts.counters.skipped, 1);
                self.forget(slot, key, work)
            }
        }
    }

    fn default_policy(&self) -> FailurePolicy {
        let options = &self.parts.options;
        FailurePolicy { retry: options.retry, on_exhausted: options.on_exhausted, timeout: options.timeout }
    }

    /// An event that did not get as far as a handler is given up as one that failed for good there.
    pub(super) fn settle_refused(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        on_exhausted: OnExhausted,
    ) -> Step {
        let error = work.failure.take().and_then(|failure| failure.error).unwrap_or_else(|| TaskVanished.into());
        let policy = FailurePolicy { on_exhausted, ..self.default_policy() };
        let outcome = match on_exhausted {
            OnExhausted::DeadLetter => Outcome::DeadLetter { error },
            OnExhausted::ParkKey => Outcome::Park { error },
            OnExhausted::Stop => error.terminal().into(),
        };
        self.settle_with(slot, key, work, outcome, policy)
    }

    fn route_of(&self, slot: usize, work: &Work) -> Option<RouteId> {
        let WorkRoute::Route(index) = work.route else { return None };
        self.partitions[slot].as_ref().map(|partition| (partition.plan, index))
    }

    pub(super) fn settle(&mut self, slot: usize, key: &KeyId, work: Work, outcome: Outcome) -> Step {
        if let Some(observer) = &self.parts.observer {
            observer.ended(work.record(), &outcome);
        }
        let route = self.route_of(slot, &work);
        if matches!(outcome, Outcome::Done) {
            // A batch has told it already.
            if let Some(route) = route.filter(|route| !self.takes_batches(*route)) {
                self.breaker_succeeded(route, slot, key);
            }
            return self.complete(slot, key, work);
        }
        let policy = match route {
            Some(route) => self.parts.plan.topics[route.0].routes[route.1].policy,
            None => self.default_policy(),
        };
        self.settle_with(slot, key, work, outcome, policy)
    }

    pub(super) fn settle_with(
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
        let reopens = self.trip_breaker(slot, key, &work, &outcome);
        let failed = matches!(outcome, Outcome::Retry { .. });
        match (policy.decide(outcome, tried, self.jitter()), reopens) {
            (Decision::Complete, _) => self.complete(slot, key, work),
            // It may be the handler that is ill, not the event: that one is not given up for it.
            (
                Decision::RetryAfter(_, error)
                | Decision::DeadLetter(error)
                | Decision::Park(error)
                | Decision::Stop(error),
                Some(pause),
            ) if failed => {
                work.attempts = work.attempts.saturating_sub(1);
                work.first_attempt = None;
                self.log_failure(
                    slot,
                    &work,
                    &error,
                    "an event failed while the breaker is open, and waits",
                    Some(pause),
                );
                Counters::add(&self.parts.counters.retried, 1);
                self.pause(slot, key, work, pause)
            }
            (Decision::RetryAfter(pause, error), _) => {
                if error.class() == ErrorClass::Unavailable {
                    work.attempts = work.attempts.saturating_sub(1);
                    work.first_attempt = None;
                }
                // A key that was released has one of a few places meanwhile, which others wait for.
                let pause = if work.parked { pause.min(LONGEST_PAUSE_OF_RELEASED) } else { pause };
                self.log_failure(slot, &work, &error, "an event failed and is tried again", Some(pause));
                Counters::add(&self.parts.counters.retried, 1);
                self.pause(slot, key, work, pause)
            }
            (Decision::Park(error), _) if self.can_park(key) => {
                self.log_failure(slot, &work, &error, "an event failed for good and its key is parked", None);
                work.failure = Some(Box::new(Failure::new(Way::Park, Some(error))));
                self.give_up(slot, key, work)
            }
            (Decision::DeadLetter(error) | Decision::Park(error), _) => {
                self.log_failure(slot, &work, &error, "an event failed for good and goes to the dead letters", None);
                work.failure = Some(Box::new(Failure::new(Way::DeadLetter, Some(error))));
                self.give_up(slot, key, work)
            }
            (Decision::Stop(error), _) => {
                let message = "an event failed for good; the consumer stops, as its policy says";
                self.log_failure(slot, &work, &error, message, None);
                let stop = Self::exhausted(&work, ErrorText::of(&error).chain);
                self.stop(Err(stop));
                let pause = self.parts.options.drain_timeout;
                self.pause(slot, key, work, pause)
            }
        }
    }

    /// Tell the handler's breaker of a failure. How long it stays open, if it is.
    fn trip_breaker(&mut self, slot: usize, key: &KeyId, work: &Work, outcome: &Outcome) -> Option<Duration> {
        let route = self.route_of(slot, work)?;
        let error = breaking(outcome);
        // A batch has told it already.
        if !self.takes_batches(route) {
            match error {
                Some(error) => self.breaker_failed(route, slot, key, error),
                // If this was the probe, it has shown nothing: there is another.
                None => self.routes[route.0][route.1].gate.breaker.vanished(self.now),
            }
        }
        error.and_then(|_| self.routes[route.0][route.1].gate.breaker.opens_in(self.now))
    }

    /// Tell a handler's breaker that an attempt succeeded.
    pub(super) fn breaker_succeeded(&mut self, route: RouteId, slot: usize, key: &KeyId) {
        let key = || breaker_key(&self.hasher, slot, key);
        if self.routes[route.0][route.1].gate.breaker.succeeded(key) {
            let handler = self.parts.plan.topics[route.0].routes[route.1].handler;
            tracing::warn!(group = &*self.parts.plan.group, handler, "the breaker closes: the handler goes on");
        }
    }

    /// Tell a handler's breaker that an attempt failed.
    pub(super) fn breaker_failed(&mut self, route: RouteId, slot: usize, key: &KeyId, error: &HandlerError) {
        let key = breaker_key(&self.hasher, slot, key);
        let breaker = &mut self.routes[route.0][route.1].gate.breaker;
        if let Tripped::Opened(pause) = breaker.failed(key, error.class(), self.now) {
            let handler = self.parts.plan.topics[route.0].routes[route.1].handler;
            tracing::error!(
                group = &*self.parts.plan.group,
                handler,
                class = error.class().as_str(),
                error = ErrorText::of(error).chain,
                pause_ms = pause.as_millis(),
                "the breaker opens: the handler fails whatever it is given; its events wait"
            );
        }
    }

    pub(super) fn send_dead_letter(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let given_up = self.parts.clock.now();
        let first_failure = *work.first_failure.get_or_insert(given_up);
        let handler = self.handler_name(slot, &work);
        let Some(failure) = &work.failure else { return Step::Held };
        let error = match &failure.error {
            Some(error) => ErrorText::of(error),
            None => return self.finish(slot, &work),
        };
        let why = Circumstances { error: &error, group: &self.parts.plan.group, handler, first_failure, given_up };
        let letter = dead_letter(&self.parts.plan.dead_letter_topic, &work, &why);
        let remembering = self.plan_of(slot).map(|plan| plan.remembering(work.route)).unwrap_or_default();
        let passing = pass_over(self.parts.passed_over.clone(), remembering, work.record().clone());
        let producer = Arc::clone(&self.parts.producer);
        self.spawn(slot, key, work, None, async move {
            match passing.await {
                Ok(()) => Finished::DeadLetter(producer.send(letter).await),
                Err(error) => Finished::NotPassedOver(error),
            }
        })
    }

    /// The offset moves only once the dead letter is written; until then it is tried again and again.
    pub(super) fn settle_dead_letter(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        result: Result<Written, ProduceError>,
    ) -> Step {
        match result {
            Ok(_) => {
                if let Some(observer) = &self.parts.observer {
                    observer.dead_lettered(work.record());
                }
                Counters::add(&self.parts.counters.dead_lettered, 1);
                self.forget(slot, key, work)
            }
            Err(error) if !error.is_retryable() && !matches!(error, ProduceError::Purged { .. }) => {
                let record = work.record();
                let stop = StopReason::DeadLetterRefused {
                    topic: record.topic.to_string(),
                    partition: record.partition,
                    offset: record.offset,
                    dead_letter_topic: self.parts.plan.dead_letter_topic.to_string(),
                    reason: error.to_string(),
                };
                self.stop(Err(stop));
                let pause = self.parts.options.drain_timeout;
                self.pause(slot, key, work, pause)
            }
            Err(error) => self.try_again_to_give_up(slot, key, work, &error),
        }
    }

    /// The offset holds until the event can be given up in order.
    pub(super) fn try_again_to_give_up(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        error: &(dyn Error + 'static),
    ) -> Step {
        let sends = work.failure.as_mut().map_or(1, |failure| {
            failure.tries += 1;
            failure.tries
        });
        tracing::error!(
            group = &*self.parts.plan.group,
            topic = &*work.record().topic,
            partition = work.record().partition,
            offset = work.record().offset,
            dead_letter_topic = &*self.parts.plan.dead_letter_topic,
            error,
            sends,
            "a dead letter could not be written; its key waits and it is tried again"
        );
        let pause = self.jitter()(RetryPolicy::default().backoff_bound(sends));
        self.pause(slot, key, work, pause)
    }

    /// How a pause is drawn from its bound. An observed engine pauses as long as it may: tests need to know for how long.
    pub(super) fn jitter(&self) -> fn(Duration) -> Duration {
        if self.parts.observer.is_some() { |bound| bound } else { full_jitter }
    }

    pub(super) fn pause(&mut self, slot: usize, key: &KeyId, mut work: Work, pause: Duration) -> Step {
        work.delivery.detach();
        if let Some(observer) = &self.parts.observer {
            observer.pausing(work.record(), self.now.saturating_add(pause));
        }
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let key = key.clone();
        partition.keys.entry(key.clone()).or_default().state = KeyState::Pausing { work };
        let (due, epoch) = (self.now.saturating_add(pause), partition.epoch);
        self.timers.push(Reverse(Timer { due, slot, epoch, key }));
        Step::Held
    }

    /// What `key` waits for failed, and is tried again after `pause`.
    pub(super) fn rest_for(&mut self, slot: usize, key: KeyId, pause: Duration) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        partition.keys.entry(key.clone()).or_default().state = KeyState::Resting;
        let (due, epoch) = (self.now.saturating_add(pause), partition.epoch);
        self.timers.push(Reverse(Timer { due, slot, epoch, key }));
    }

    pub(super) fn complete(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        Counters::add(&self.parts.counters.handled, 1);
        if let Some(tenant) = &work.tenant {
            tenant.handled();
        }
        self.forget(slot, key, work)
    }

    /// The event is done with, whichever way: its offset may be committed, or the parked store forget it.
    fn forget(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        if work.parked {
            work.failure = Some(Box::new(Failure::new(Way::Unpark, None)));
            return self.unpark(slot, key, work);
        }
        self.finish(slot, &work)
    }

    /// The event's offset may be committed.
    pub(super) fn finish(&mut self, slot: usize, work: &Work) -> Step {
        self.release_bytes(slot, work);
        self.uncommitted += 1;
        if let Some(observer) = &self.parts.observer {
            observer.finished(work.record());
        }
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.complete(work.record().offset);
        }
        Step::Free
    }

    /// The event is held no longer.
    pub(super) fn release_bytes(&mut self, slot: usize, work: &Work) {
        let bytes = work.record().size();
        self.buffered_bytes -= bytes;
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.buffered_bytes -= bytes;
        }
    }

    pub(super) fn handler_name(&self, slot: usize, work: &Work) -> Option<&'static str> {
        let WorkRoute::Route(index) = work.route else { return None };
        self.plan_of(slot).map(|plan| plan.routes[index].handler)
    }

    pub(super) fn log_failure(
        &self,
        slot: usize,
        work: &Work,
        error: &HandlerError,
        message: &'static str,
        pause: Option<Duration>,
    ) {
        tracing::warn!(
            group = &*self.parts.plan.group,
            handler = self.handler_name(slot, work),
            topic = &*work.record().topic,
            partition = work.record().partition,
            offset = work.record().offset,
            attempt = work.attempts,
            class = error.class().as_str(),
            error = ErrorText::of(error).chain,
            pause_ms = pause.map(|pause| pause.as_millis()),
            "{message}"
        );
    }
}

/// The error that counts against a handler: what the handler decided is no failure of its own, an event that no attempt can save
/// is poison itself, and an outage waits anyway.
pub(super) fn breaking(outcome: &Outcome) -> Option<&HandlerError> {
    match outcome {
        Outcome::Retry { error, .. } if !error.is_terminal() && error.class() != ErrorClass::Unavailable => Some(error),
        _ => None,
    }
}
