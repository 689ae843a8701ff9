//! From fetched records to keys' queues.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Engine;
use crate::consumer::error::StopReason;
use crate::consumer::key::{Failure, KeyId, KeyQueue, KeyState, RecordKey, Way, Work, WorkRoute};
use crate::consumer::observer::Read;
use crate::consumer::offsets::Begin;
use crate::consumer::stats::Counters;
use crate::dead_letters::header;
use crate::dispatch::{DeliveryOrder, OnExhausted, RouteMatch};
use crate::envelope::EnvelopeView;
use crate::outcome::{ErrorClass, HandlerError};
use crate::transport::{ConsumeError, ConsumerTransport, Record};

/// The records taken from one partition before the next has its turn.
const BATCH: usize = 128;

#[derive(Debug, thiserror::Error)]
#[error("{event} has no readable version, and more than one handler takes it; set the ce_schemaversion header")]
struct AmbiguousRoute {
    event: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the dispatcher's filter panicked")]
struct FilterPanic;

/// What is to be done with a record.
pub(super) enum Admission {
    Skip,
    /// For this route; or it fails before it reaches one.
    Work(WorkRoute, Option<Box<Failure>>),
}

/// A record that fails before it reaches a handler.
fn refused(error: HandlerError, on_exhausted: OnExhausted) -> Admission {
    let failure = Failure::new(Way::Refused(on_exhausted), Some(error));
    Admission::Work(WorkRoute::Unrouted, Some(Box::new(failure)))
}

impl<T: ConsumerTransport> Engine<T> {
    /// Take what was fetched, a batch a partition, as long as the byte budget lasts. Not taking is the back-pressure.
    pub(super) fn fetch_records(&mut self) -> bool {
        if self.stopping.is_some() || self.partitions.is_empty() {
            return false;
        }
        let mut busy = false;
        let count = self.partitions.len();
        self.rotation = (self.rotation + 1) % count;
        for step in 0..count {
            if self.buffered_bytes >= self.parts.options.max_buffered_bytes {
                break;
            }
            let slot = (self.rotation + step) % count;
            if self.has_room(slot) {
                busy |= self.fetch_partition(slot);
            }
        }
        busy
    }

    /// Whether a partition may hold more. A key that is stuck fills its own partition's part, and at most half of all there is: the
    /// other partitions go on.
    fn has_room(&self, slot: usize) -> bool {
        let most = self.parts.options.max_buffered_bytes;
        // However little there is, a partition may hold an event.
        let share = (most / self.slots.len().max(1)).max(1);
        let held = self.partitions[slot].as_ref().map_or(0, |partition| partition.buffered_bytes);
        held < share || (held < most / 2 && self.buffered_bytes < most / 2)
    }

    fn fetch_partition(&mut self, slot: usize) -> bool {
        let Some(partition) = self.partitions[slot].as_ref().filter(|partition| partition.is_open()) else {
            return false;
        };
        let mut records = mem::take(&mut self.records);
        if let Err(error) = self.transport.fetch(&partition.name, BATCH, &mut records) {
            match error {
                ConsumeError::Fetch { fatal: true, .. } => self.stop(Err(error.into())),
                error => {
                    tracing::warn!(group = &*self.parts.plan.group, %error, "reading a partition failed; it is tried again");
                }
            }
        }
        let busy = !records.is_empty();
        let poll = self.observe_batch(slot, &records);
        let _poll = poll.enter();
        for record in records.drain(..) {
            self.admit(slot, record);
        }
        self.records = records;
        self.launch_tasks();
        busy
    }

    fn admit(&mut self, slot: usize, record: Record) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        match partition.offsets.begin(record.offset) {
            Begin::New => {}
            Begin::Completed => {
                self.observe_read(&record, Read::CompletedBefore);
                return Counters::add(&self.parts.counters.completed_before, 1);
            }
            Begin::WentBack => {
                let from = partition.offsets.next().unwrap_or_default();
                let partition = partition.name.clone();
                return self.stop(Err(StopReason::WentBack { partition, from, to: record.offset }));
            }
        }
        self.sequences.watch(&record, &self.parts.counters);
        let (route, failure) = match self.classify(slot, &record) {
            Admission::Skip => {
                self.observe_read(&record, Read::Skipped);
                Counters::add(&self.parts.counters.skipped, 1);
                if let Some(partition) = self.partitions[slot].as_mut() {
                    partition.complete(record.offset);
                }
                self.uncommitted += 1;
                return;
            }
            Admission::Work(route, failure) => (route, failure),
        };
        self.observe_read(&record, Read::Queued);
        let key = self.key_of(slot, &record, route);
        let bytes = record.size();
        let mut work = Work::new(record, &self.context, route);
        work.failure = failure;
        self.hold_for_tenant(&mut work);
        self.buffered_bytes += bytes;
        let has_place = self.places.has_one();
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        partition.buffered_bytes += bytes;
        if let Some(queue) = partition.keys.get_mut(&key) {
            if let KeyState::Collecting { route } = queue.state
                && queue.waiting.is_empty()
            {
                return self.collect_behind(slot, &key, work, route);
            }
            work.delivery.detach();
            queue.waiting.push_back(work);
        } else if has_place && self.turns.is_none() && partition.is_open() && partition.ready.is_empty() {
            self.run(slot, key, work, None);
        } else {
            work.delivery.detach();
            let kept = key.clone();
            partition.keys.insert(kept.clone(), KeyQueue { waiting: [work].into(), ..KeyQueue::default() });
            partition.ready.push_back(kept);
        }
    }

    fn observe_read(&self, record: &Record, read: Read) {
        if let Some(observer) = &self.parts.observer {
            observer.read(record, read);
        }
    }

    /// A redriven record is for the group that gave it up: the others have handled it.
    fn is_redriven_for_others(&self, record: &Record) -> bool {
        record.headers.get(header::REDRIVE_GROUP).is_some_and(|group| group != self.parts.plan.group.as_bytes())
    }

    /// Which events the record waits for.
    fn key_of(&self, slot: usize, record: &Record, route: WorkRoute) -> KeyId {
        let order = match (route, self.plan_of(slot)) {
            (WorkRoute::Route(index), Some(plan)) => plan.routes[index].order,
            // A record that names no event may be for any handler of the topic.
            (_, Some(plan)) if plan.routes.iter().any(|route| route.order == DeliveryOrder::Partition) => {
                DeliveryOrder::Partition
            }
            _ => DeliveryOrder::Key,
        };
        match (order, &record.key) {
            (DeliveryOrder::Partition, _) => KeyId::Partition,
            // It has a place in a stream all the same, and an inbox must not see a later one first.
            (DeliveryOrder::Key, None) if self.is_remembered(slot, record, route) => KeyId::Partition,
            (DeliveryOrder::Key, Some(key)) => KeyId::Key(RecordKey::of_record(key.clone())),
            (DeliveryOrder::Key, None) | (DeliveryOrder::Unordered, _) => KeyId::Alone(record.offset),
        }
    }

    /// Whether an inbox remembers the record by its place in a stream.
    fn is_remembered(&self, slot: usize, record: &Record, route: WorkRoute) -> bool {
        self.plan_of(slot).is_some_and(|plan| plan.remembers(route))
            && EnvelopeView::new(&record.headers).sequence().is_some()
    }

    pub(super) fn classify(&self, slot: usize, record: &Record) -> Admission {
        if record.payload.is_none() || self.is_redriven_for_others(record) {
            return Admission::Skip;
        }
        let Some(plan) = self.plan_of(slot) else { return Admission::Skip };
        let envelope = EnvelopeView::new(&record.headers);
        let Some(event) = envelope.event() else { return Admission::Work(WorkRoute::Unrouted, None) };
        match plan.route(event, envelope.schema_version_text()) {
            RouteMatch::None => Admission::Skip,
            RouteMatch::Ambiguous => {
                let error = AmbiguousRoute { event: event.to_owned() };
                let error = HandlerError::new(ErrorClass::Undecodable, error);
                refused(error, self.parts.options.on_exhausted)
            }
            RouteMatch::Route(index) => match &plan.routes[index].filter {
                None => Admission::Work(WorkRoute::Route(index), None),
                Some(filter) => match catch_unwind(AssertUnwindSafe(|| filter(envelope))) {
                    Ok(true) => Admission::Work(WorkRoute::Route(index), None),
                    Ok(false) => Admission::Skip,
                    Err(_) => {
                        let error = HandlerError::new(ErrorClass::Panic, FilterPanic);
                        refused(error, plan.routes[index].policy.on_exhausted)
                    }
                },
            },
        }
    }
}
