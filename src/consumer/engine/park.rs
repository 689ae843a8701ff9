//! Parking keys: writing their events to the store.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::run::Step;
use crate::consumer::completions::Finished;
use crate::consumer::dead_letter::bounded;
use crate::consumer::error::StopReason;
use crate::consumer::error_text::ErrorText;
use crate::consumer::key::{Failure, KeyId, Way, Work};
use crate::consumer::parked::{ParkCause, ParkError, ParkRequest, ParkedKeyId, ParkedRecord};
use crate::consumer::passed_over::pass_over;
use crate::consumer::stats::Counters;
use crate::dispatch::RetryPolicy;
use crate::error_report;
use crate::outcome::ErrorClass;
use crate::transport::ConsumerTransport;

/// How long an event waits for the store to tell whether there is still room for it.
const COUNT_AGAIN: Duration = Duration::from_millis(100);

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn parked_key(&self, slot: usize, key: &KeyId) -> Option<ParkedKeyId> {
        let (Some(partition), KeyId::Key(key)) = (self.partitions[slot].as_ref(), key) else { return None };
        let group = Arc::clone(&self.parts.plan.group);
        Some(ParkedKeyId { group, partition: partition.name.clone(), key: key.to_bytes() })
    }

    /// Whether events of `key` can be parked.
    pub(super) fn can_park(&self, key: &KeyId) -> bool {
        self.parts.parked.is_some() && matches!(key, KeyId::Key(_))
    }

    /// An event of a parked key has come: it goes behind the others, or waits until they are handled.
    pub(super) fn park_behind(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let most = self.parts.options.max_parked_per_key;
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let name = partition.name.clone();
        let Some(parked) = partition.parked(key) else { return Step::Held };
        if parked.request.is_some() {
            work.delivery.detach();
            partition.keys.entry(key.clone()).or_default().waiting.push_front(work);
            return self.fetch_parked(slot, key);
        }
        if parked.records >= most && !parked.counted {
            // Events that were delivered again replaced their own records: the store knows how many there are.
            self.look_at_parked_now();
            return self.pause(slot, key, work, COUNT_AGAIN);
        }
        if parked.records >= most {
            let parked = parked.records;
            self.stop(Err(StopReason::TooManyParked { partition: name, parked }));
            let pause = self.parts.options.drain_timeout;
            return self.pause(slot, key, work, pause);
        }
        work.failure = Some(Box::new(Failure::new(Way::Park, None)));
        self.give_up(slot, key, work)
    }

    /// Write `work` to the parked store; its offset moves once that is done.
    pub(super) fn send_parked(&mut self, slot: usize, key: &KeyId, work: Work) -> Step {
        let (Some(store), Some(id)) = (self.parts.parked.clone(), self.parked_key(slot, key)) else {
            return Step::Held;
        };
        if let Some(partition) = self.partitions[slot].as_mut() {
            partition.parked.entry(id.key.clone()).or_default();
        }
        let error = work.failure.as_ref().and_then(|failure| failure.error.as_ref());
        let is_fork = error.is_some_and(|error| error.class() == ErrorClass::Forked);
        let error = error.map(ErrorText::of);
        let now = self.parts.clock.now();
        let cause = error.map(|error| ParkCause {
            handler: self.handler_name(slot, &work).map(str::to_owned),
            class: error.class.as_str().to_owned(),
            error: bounded(&error.chain).to_owned(),
            attempts: work.attempts,
            first_failure: work.first_failure.unwrap_or(now),
            parked_at: now,
        });
        let record = ParkedRecord::new(work.record(), id.key.clone(), cause);
        let parked_before = work.parked;
        // So noted, a fork that is released is handled: by then somebody has looked. Not before it is parked: where that takes
        // long, the next delivery would find the note and be handled though nobody has.
        let remembering = self.plan_of(slot).filter(|_| is_fork).map(|plan| plan.remembering(work.route));
        let passing = pass_over(self.parts.passed_over.clone(), remembering.unwrap_or_default(), work.record().clone());
        let written = async move {
            store.park(Arc::clone(&id.group), record).await?;
            passing.await.map_err(|error| ParkError::new("keep", error))?;
            if parked_before {
                // It was released and has failed again: what was asked for is done. What is asked for since is not.
                store.answer(id, ParkRequest::Release, None).await?;
            }
            Ok(())
        };
        self.spawn(slot, key, work, None, async move { Finished::Parked(written.await) })
    }

    pub(super) fn settle_parked(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        result: Result<(), ParkError>,
    ) -> Step {
        if let Err(error) = result {
            return self.try_store_again(slot, key, work, &error);
        }
        let looks = if self.parking.looking { self.parking.looks } else { 0 };
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        if let Some(parked) = partition.parked(key) {
            if work.parked {
                parked.request = None;
                parked.answered_in = looks;
            } else {
                parked.records += 1;
                parked.counted = false;
            }
        }
        if !work.parked {
            if let Some(observer) = &self.parts.observer {
                observer.parked(work.record());
            }
            Counters::add(&self.parts.counters.parked, 1);
            return self.finish(slot, &work);
        }
        // The others that were fetched with it stay where they are, too.
        let mut dropped = vec![work];
        if let Some(queue) = partition.keys.get_mut(key) {
            let (parked, live) = mem::take(&mut queue.waiting).into_iter().partition(|work| work.parked);
            queue.waiting = live;
            dropped.extend::<VecDeque<_>>(parked);
        }
        for work in &dropped {
            self.release_bytes(slot, work);
        }
        self.end_unparking(slot);
        Step::Free
    }

    pub(super) fn try_store_again(&mut self, slot: usize, key: &KeyId, mut work: Work, error: &ParkError) -> Step {
        let tries = work.failure.as_mut().map_or(1, |failure| {
            failure.tries += 1;
            failure.tries
        });
        let record = work.record();
        tracing::error!(
            group = &*self.parts.plan.group,
            topic = &*record.topic,
            partition = record.partition,
            offset = record.offset,
            tries,
            error = error_report::chain(error),
            "the parked store failed; the key waits and it is tried again"
        );
        let pause = self.jitter()(RetryPolicy::default().backoff_bound(tries));
        self.pause(slot, key, work, pause)
    }
}
