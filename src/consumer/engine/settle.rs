//! What becomes of outcomes: done, tried again, given up.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::run::Step;
use super::{Engine, Timer, TimerKey};
use crate::consumer::completions::{Finished, Place};
use crate::consumer::dead_letter::{Circumstances, dead_letter};
use crate::consumer::error::StopReason;
use crate::consumer::error_text::ErrorText;
use crate::consumer::key::{Failure, KeyId, KeyState, Work, WorkRoute};
use crate::consumer::retry::{Decision, FailurePolicy, Tried, full_jitter};
use crate::consumer::stats::Counters;
use crate::dispatch::{RetryPolicy, RouteMatch};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::transport::{ConsumerTransport, ProduceError, Written};

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
                work.first_attempt.get_or_insert(self.now);
                return self.settle_with(slot, key, work, error.into(), self.default_policy());
            }
        };
        let found = self.plan_of(slot).map(|plan| plan.route(&name, None));
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

    pub(super) fn settle(&mut self, slot: usize, key: &KeyId, work: Work, outcome: Outcome) -> Step {
        if matches!(outcome, Outcome::Done) {
            return self.complete(slot, &work);
        }
        let policy = match (work.route, self.plan_of(slot)) {
            (WorkRoute::Route(index), Some(plan)) => plan.routes[index].policy,
            _ => self.default_policy(),
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
        match policy.decide(outcome, tried, full_jitter) {
            Decision::Complete => self.complete(slot, &work),
            Decision::RetryAfter(pause, error) => {
                if error.class() == ErrorClass::Unavailable {
                    work.attempts = work.attempts.saturating_sub(1);
                    work.first_attempt = None;
                }
                self.log_failure(slot, &work, &error, "an event failed and is tried again", Some(pause));
                Counters::add(&self.parts.counters.retried, 1);
                self.pause(slot, key, work, pause)
            }
            Decision::DeadLetter(error) => {
                self.log_failure(slot, &work, &error, "an event failed for good and goes to the dead letters", None);
                self.give_up(slot, key, work, error)
            }
            Decision::Stop(error) => {
                self.log_failure(
                    slot,
                    &work,
                    &error,
                    "an event failed for good; the consumer stops, as its policy says",
                    None,
                );
                let stop = Self::exhausted(&work, ErrorText::of(&error).chain);
                self.stop(Err(stop));
                let pause = self.parts.options.drain_timeout;
                self.pause(slot, key, work, pause)
            }
        }
    }

    fn give_up(&mut self, slot: usize, key: &KeyId, mut work: Work, error: HandlerError) -> Step {
        work.failure = Some(Box::new(Failure { error, sends: 0 }));
        self.send_dead_letter(slot, key, work)
    }

    pub(super) fn send_dead_letter(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let given_up = self.parts.clock.now();
        let first_failure = *work.first_failure.get_or_insert(given_up);
        let handler = self.handler_name(slot, &work);
        let Some(failure) = &work.failure else { return Step::Held };
        let error = ErrorText::of(&failure.error);
        let why = Circumstances { error: &error, group: &self.parts.plan.group, handler, first_failure, given_up };
        let letter = dead_letter(&self.parts.plan.dead_letter_topic, &work, &why);
        let written = self.parts.producer.send(letter);
        self.spawn(slot, key, work, Place::None, async move { Finished::DeadLetter(written.await) })
    }

    /// The offset moves only once the dead letter is written; until then it is tried again and again.
    pub(super) fn settle_dead_letter(
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
            Err(error) => {
                let sends = work.failure.as_mut().map_or(1, |failure| {
                    failure.sends += 1;
                    failure.sends
                });
                tracing::error!(
                    group = &*self.parts.plan.group, topic = &*work.record().topic, partition = work.record().partition,
                    offset = work.record().offset, dead_letter_topic = &*self.parts.plan.dead_letter_topic, error = %error, sends,
                    "a dead letter could not be written; its key waits and it is tried again"
                );
                let pause = full_jitter(RetryPolicy::default().backoff_bound(sends));
                self.pause(slot, key, work, pause)
            }
        }
    }

    fn pause(&mut self, slot: usize, key: &KeyId, mut work: Work, pause: Duration) -> Step {
        work.delivery.detach();
        let due = self.now.saturating_add(pause);
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let epoch = partition.epoch;
        partition.keys.entry(key.clone()).or_default().state = KeyState::Pausing { work };
        self.timers.push(Reverse(Timer { due, slot, epoch, key: TimerKey(key.clone()) }));
        Step::Held
    }

    pub(super) fn complete(&mut self, slot: usize, work: &Work) -> Step {
        Counters::add(&self.parts.counters.handled, 1);
        self.forget(slot, work)
    }

    /// The event is done with, whichever way: its offset may be committed.
    fn forget(&mut self, slot: usize, work: &Work) -> Step {
        let bytes = work.record().size();
        self.buffered_bytes -= bytes;
        self.uncommitted += 1;
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.buffered_bytes -= bytes;
            partition.complete(work.record().offset);
        }
        Step::Free
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
