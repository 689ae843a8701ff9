//! A key's queue: what keeps one key's events in order, and what makes it wait.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::future::AbortHandle;

use crate::consumer::chain::Recall;
use crate::consumer::completions::RouteId;
use crate::consumer::plan::BoundRoute;
use crate::consumer::tenants::{Held, Place};
use crate::dispatch::{Delivery, DeliveryContext, DeliveryParts, OnExhausted};
use crate::outcome::HandlerError;
use crate::transport::Record;

/// Which queue a record waits in, within its partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum KeyId {
    /// The record's key.
    Key(RecordKey),
    /// The whole partition, for dispatchers that want its order.
    Partition,
    /// A record that waits for nobody, by its offset: it has no key, or its dispatcher wants no order.
    Alone(i64),
}

/// A record's key.
///
/// As it was read it shares its memory with the records that were fetched with it, and would keep them all. It is cloned to be
/// kept for longer than its record, so a clone has memory of its own, which its clones share.
#[derive(Debug)]
pub(crate) struct RecordKey {
    bytes: Bytes,
    is_shared: bool,
}

impl RecordKey {
    /// The key of a record, as it was read.
    pub(crate) fn of_record(bytes: Bytes) -> Self {
        Self { bytes, is_shared: true }
    }

    /// A key in memory of its own.
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { bytes, is_shared: false }
    }

    /// The key in memory of its own.
    pub(crate) fn to_bytes(&self) -> Bytes {
        if self.is_shared { Bytes::copy_from_slice(&self.bytes) } else { self.bytes.clone() }
    }
}

impl Clone for RecordKey {
    fn clone(&self) -> Self {
        Self::own(self.to_bytes())
    }
}

impl Deref for RecordKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for RecordKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for RecordKey {}

impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl PartialOrd for RecordKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RecordKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

/// A record on its way through the engine.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) delivery: Delivery,
    pub(crate) route: WorkRoute,
    /// Attempts that count, so far.
    pub(crate) attempts: u32,
    /// Failures so far, those included that do not count as attempts.
    pub(crate) failures: u32,
    /// When it first failed.
    pub(crate) first_failure: Option<DateTime<Utc>>,
    /// When the first attempt began, by the clock's monotonic time.
    pub(crate) first_attempt: Option<Duration>,
    /// Why it is given up, once it is.
    pub(crate) failure: Option<Box<Failure>>,
    /// Whether it comes from the parked store: its offset is behind it, and the store has to forget it.
    pub(crate) parked: bool,
    /// Whether it shares no batch: one that it was in failed, and nobody knows for whose sake.
    pub(crate) apart: bool,
    /// Whose it is, where that matters.
    pub(crate) tenant: Option<Held>,
    /// The place its tenant has in flight for it, until the attempt has it.
    pub(crate) place: Option<Place>,
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkRoute {
    /// The handler of this route of the topic's plan.
    Route(usize),
    /// None yet: the record carries no event name, or fails before it reaches a handler.
    Unrouted,
}

/// Why a record is given up, where it goes, and how often that was tried.
#[derive(Debug)]
pub(crate) struct Failure {
    /// `None` where it only waits behind another of its key.
    pub(crate) error: Option<HandlerError>,
    pub(crate) way: Way,
    pub(crate) tries: u32,
}

/// Where a record that is given up goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nowhere yet: it did not get as far as a handler, and this is what is to become of such events.
    Refused(OnExhausted),
    DeadLetter,
    Park,
    /// Out of the parked store: it is done, and only that is left.
    Unpark,
}

impl Failure {
    pub(crate) fn new(way: Way, error: Option<HandlerError>) -> Self {
        Self { error, way, tries: 0 }
    }
}

impl Work {
    pub(crate) fn new(record: Record, context: &Arc<DeliveryContext>, route: WorkRoute) -> Self {
        let context = Arc::clone(context);
        Self {
            delivery: Delivery::new(DeliveryParts { record, context, handler: "", attempt: 0 }),
            route,
            attempts: 0,
            failures: 0,
            first_failure: None,
            first_attempt: None,
            failure: None,
            parked: false,
            apart: false,
            tenant: None,
            place: None,
        }
    }

    /// An attempt at the handler of `route` begins now.
    pub(crate) fn begin_attempt(&mut self, route: &BoundRoute, now: Duration) {
        self.attempts += 1;
        self.first_attempt.get_or_insert(now);
        self.delivery.begin_attempt(route.handler, self.attempts, route.order);
    }

    /// The attempt has not been made after all.
    pub(crate) fn take_attempt_back(&mut self) {
        self.attempts = self.attempts.saturating_sub(1);
        if self.attempts == 0 {
            self.first_attempt = None;
        }
    }

    pub(crate) fn record(&self) -> &Record {
        self.delivery.record()
    }
}

/// One key's events: at most one is being worked on, the others wait in order.
#[derive(Debug, Default)]
pub(crate) struct KeyQueue {
    pub(crate) state: KeyState,
    pub(crate) waiting: VecDeque<Work>,
}

/// What a key is doing.
#[derive(Debug, Default)]
pub(crate) enum KeyState {
    /// Its first waiting event can start as soon as a place is free.
    #[default]
    Ready,
    /// A task works on this event; `run` is its number among those that run.
    Running { work: Work, task: Task, run: usize },
    /// This event is tried again when its timer fires.
    Pausing { work: Work },
    /// Its first waiting event can start once its handler's gate lets it.
    AtGate,
    /// Some of its events are in a batch that is being collected for this route.
    Collecting { route: RouteId },
    /// Its events are in a batch that runs.
    InBatch,
    /// Its parked events are being fetched, to be handled.
    Unparking,
    /// It does nothing until it is told to: what it waits for failed, and is tried again when its timer fires.
    Resting,
}

/// A task that works on a key's event.
#[derive(Debug)]
pub(crate) enum Task {
    /// It does one thing.
    Alone(AbortHandle),
    /// It handles the event, and goes on to those that wait behind it.
    Chain(Arc<Recall>),
}

impl Task {
    /// Cancel what it does.
    pub(crate) fn cancel(&self) {
        match self {
            Self::Alone(task) => task.abort(),
            Self::Chain(recall) => recall.cancel(),
        }
    }

    /// Let it begin nothing more.
    pub(crate) fn stop(&self) {
        if let Self::Chain(recall) = self {
            recall.stop();
        }
    }
}
