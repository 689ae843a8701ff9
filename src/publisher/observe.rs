//! Counts what becomes of events, and tells of those that were dropped.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::envelope::header;
use crate::telemetry::names;
use crate::transport::{DeliveryObserver, Headers, OutgoingRecord, ProduceError, Written};

/// An event that was to be published and was not.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct DroppedEvent<'a> {
    /// The event's id; empty where it failed before it had one.
    pub id: &'a str,
    /// The event's name.
    pub event: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// A word for what failed: the value of the metric's `error.type`.
    pub kind: &'static str,
    /// What failed.
    pub error: &'a (dyn std::error::Error + 'static),
}

pub(super) type OnDrop = Arc<dyn Fn(&DroppedEvent<'_>) + Send + Sync>;

/// Counts and tells, for one topic.
pub(super) struct Observe {
    topic: Arc<str>,
    sent: Counter,
    pub(super) duration: Histogram,
    on_drop: Option<OnDrop>,
    warned: Mutex<Warned>,
}

/// When a drop was last logged, and how many were not since.
#[derive(Default)]
struct Warned {
    last: Option<Instant>,
    silent: u64,
}

/// The least time between two warnings: drops come in floods.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

impl Observe {
    pub(super) fn new(topic: Arc<str>, on_drop: Option<OnDrop>) -> Self {
        let labels = [
            (names::SYSTEM, names::KAFKA.to_owned()),
            (names::OPERATION_NAME, names::SEND.to_owned()),
            (names::DESTINATION, topic.to_string()),
        ];
        let sent = metrics::counter!(names::SENT_MESSAGES, &labels);
        let duration = metrics::histogram!(names::OPERATION_DURATION, &labels);
        Self { topic, sent, duration, on_drop, warned: Mutex::default() }
    }

    /// What becomes of a record, where its producer does not tell.
    pub(super) fn ended(&self, record: &OutgoingRecord, result: &Result<Written, ProduceError>) {
        match result {
            Ok(_) => self.written(&record.topic),
            Err(error) => self.failed(&record.topic, &record.headers, error),
        }
    }

    /// Count a dropped event and tell of it.
    pub(super) fn dropped(&self, id: &str, event: &str, kind: &'static str, error: &(dyn std::error::Error + 'static)) {
        let topic = &*self.topic;
        metrics::counter!(names::DROPPED_EVENTS, names::DESTINATION => topic.to_owned(), names::ERROR_TYPE => kind)
            .increment(1);
        self.warn(event, id, kind, error);
        if let Some(on_drop) = &self.on_drop {
            on_drop(&DroppedEvent { id, event, topic, kind, error });
        }
    }
}

/// Whoever published it stopped waiting before it was taken into the queue.
#[derive(Debug, thiserror::Error)]
#[error("whoever published the event stopped waiting before it was taken; it was not published")]
struct Cancelled;

/// An event that is not taken yet. Should its future be dropped before that, the event is, too.
pub(super) struct Taking<'a> {
    observe: &'a Observe,
    id: Uuid,
    event: &'static str,
    is_over: bool,
}

impl<'a> Taking<'a> {
    pub(super) fn begin(observe: &'a Observe, id: Uuid, event: &'static str) -> Self {
        Self { observe, id, event, is_over: false }
    }

    /// It is taken, or what failed is told by whoever calls this.
    pub(super) fn over(mut self) {
        self.is_over = true;
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.observe.dropped(&self.id.to_string(), self.event, "cancelled", &Cancelled);
        }
    }
}

impl Observe {
    fn warn(&self, event: &str, id: &str, kind: &'static str, error: &(dyn std::error::Error + 'static)) {
        let silent = {
            let mut warned = self.warned.lock();
            if warned.last.is_some_and(|last| last.elapsed() < WARNING_INTERVAL) {
                warned.silent += 1;
                return;
            }
            warned.last = Some(Instant::now());
            std::mem::take(&mut warned.silent)
        };
        let topic = &*self.topic;
        tracing::warn!(topic, event, id, error.type = kind, error, others = silent, "an event was dropped");
    }
}

impl DeliveryObserver for Observe {
    fn written(&self, _: &str) {
        self.sent.increment(1);
    }

    fn failed(&self, topic: &str, headers: &Headers, error: &ProduceError) {
        metrics::counter!(
            names::SENT_MESSAGES,
            names::SYSTEM => names::KAFKA,
            names::OPERATION_NAME => names::SEND,
            names::DESTINATION => topic.to_owned(),
            names::ERROR_TYPE => error.kind(),
        )
        .increment(1);
        let text = |name| headers.get_str(name).unwrap_or_default();
        self.dropped(text(header::ID), text(header::TYPE), error.kind(), error);
    }
}

impl fmt::Debug for Observe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Observe").field("topic", &self.topic).finish_non_exhaustive()
    }
}
