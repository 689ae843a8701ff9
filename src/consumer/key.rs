//! A key's queue: what keeps one key's events in order, and what makes it wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::task::AbortHandle;

use crate::dispatch::{Delivery, DeliveryContext, DeliveryParts};
use crate::outcome::HandlerError;
use crate::transport::Record;

/// Which queue a record waits in, within its partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum KeyId {
    /// The record's key.
    Key(Bytes),
    /// A record without a key, by its offset: it waits for nobody.
    Alone(i64),
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
    /// Why it is to be dead-lettered, once it is.
    pub(crate) failure: Option<Box<Failure>>,
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkRoute {
    /// The handler of this route of the topic's plan.
    Route(usize),
    /// None yet: the record carries no event name, or fails before it reaches a handler.
    Unrouted,
}

/// Why a record is dead-lettered, and how often that was tried.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: HandlerError,
    pub(crate) sends: u32,
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
    Running { work: Work, task: Option<AbortHandle>, run: usize },
    /// This event is tried again when its timer fires.
    Pausing { work: Work },
}
