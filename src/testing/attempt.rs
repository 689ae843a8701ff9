//! What handlers did, as a test reads it.

use std::fmt;
use std::sync::Arc;

use crate::consumer::dead_letter_header;
use crate::envelope::EnvelopeView;
use crate::outcome::ErrorClass;
use crate::transport::Record;

/// An attempt of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerAttempt {
    /// The event's id; empty where its record has none.
    pub id: String,
    /// The event's name; empty where its record has none.
    pub event: String,
    /// The record's key, as text.
    pub key: String,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The consumer group.
    pub group: Arc<str>,
    /// The member of the group, by its number.
    pub member: u64,
    /// The handler, `Dispatcher::method`.
    pub handler: &'static str,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// What became of it.
    pub outcome: AttemptOutcome,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttemptOutcome {
    /// It has not ended.
    Running,
    /// The handler said the event is done.
    Done,
    /// The handler, or [`fail_next`](super::TestKit::fail_next), failed it.
    Failed {
        /// The class of the error.
        class: ErrorClass,
        /// The error and its causes.
        error: String,
    },
    /// Its partition went to another member, or its member died, before it ended.
    Cancelled,
}

impl AttemptOutcome {
    /// Whether the handler said the event is done.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}

impl fmt::Display for HandlerAttempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handler, group, member, attempt, topic, partition, offset, .. } = self;
        write!(
            formatter,
            "{handler} of {group} (member {member}), attempt {attempt} at {topic}[{partition}]@{offset}: "
        )?;
        match &self.outcome {
            AttemptOutcome::Running => formatter.write_str("running"),
            AttemptOutcome::Done => formatter.write_str("done"),
            AttemptOutcome::Failed { class, error } => write!(formatter, "failed ({}): {error}", class.as_str()),
            AttemptOutcome::Cancelled => formatter.write_str("cancelled"),
        }
    }
}

/// A dead letter that was written.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    record: Record,
}

impl DeadLetter {
    pub(super) fn new(record: Record) -> Self {
        Self { record }
    }

    /// The record: the original's key, payload and headers, and [why](dead_letter_header) behind them.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The event's id.
    pub fn id(&self) -> Option<&str> {
        EnvelopeView::new(&self.record.headers).id()
    }

    /// The event's name.
    pub fn event(&self) -> Option<&str> {
        EnvelopeView::new(&self.record.headers).event()
    }

    /// The handler that failed, `Dispatcher::method`; `None` when the record reached none.
    pub fn handler(&self) -> Option<&str> {
        self.record.headers.get_str(dead_letter_header::HANDLER)
    }

    /// The error and its causes.
    pub fn error(&self) -> &str {
        self.record.headers.get_str(dead_letter_header::CHAIN).unwrap_or_default()
    }

    /// The class of the error, as [`ErrorClass::as_str`] has it.
    pub fn class(&self) -> &str {
        self.record.headers.get_str(dead_letter_header::CLASS).unwrap_or_default()
    }

    /// How many attempts were made.
    pub fn attempts(&self) -> u32 {
        let attempts = self.record.headers.get_str(dead_letter_header::ATTEMPTS);
        attempts.and_then(|attempts| attempts.parse().ok()).unwrap_or(0)
    }
}
