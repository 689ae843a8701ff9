//! An event that is parked, and why.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::transport::{Headers, Record, TopicPartition};

/// An event that is parked.
#[derive(Clone)]
pub struct ParkedRecord {
    /// Where it was read.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: i64,
    /// Its timestamp, in milliseconds since 1970, where it has one.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Bytes,
    /// Its payload.
    pub payload: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
    /// Why it is parked; `None` for an event that waits behind another of its key.
    pub cause: Option<ParkCause>,
}

/// Why an event was parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkCause {
    /// The handler that failed; `None` when it reached none.
    pub handler: Option<String>,
    /// The error's class.
    pub class: String,
    /// The error and its causes.
    pub error: String,
    /// Attempts made.
    pub attempts: u32,
    /// When it first failed.
    pub first_failure: DateTime<Utc>,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
}

impl ParkedRecord {
    /// `record`, whose key is `key`, because of `cause`.
    pub(crate) fn new(record: &Record, key: Bytes, cause: Option<ParkCause>) -> Self {
        let partition = TopicPartition { topic: record.topic.clone(), partition: record.partition };
        let Record { offset, timestamp_ms, payload, headers, .. } = record.clone();
        Self { partition, offset, timestamp_ms, key, payload, headers, cause }
    }

    /// The bytes that its record holds in memory.
    pub fn size(&self) -> usize {
        Record::size_of(Some(&self.key), self.payload.as_ref(), &self.headers)
    }

    /// The same event in memory of its own: one that was read shares its memory with its neighbours.
    pub(crate) fn detached(self) -> Self {
        let cause = self.cause.clone();
        let record = self.into_record().detached();
        let key = record.key.clone().unwrap_or_default();
        Self::new(&record, key, cause)
    }

    /// The record as it was read.
    pub fn into_record(self) -> Record {
        let TopicPartition { topic, partition } = self.partition;
        let Self { offset, timestamp_ms, key, payload, headers, .. } = self;
        Record { topic, partition, offset, timestamp_ms, key: Some(key), payload, headers }
    }
}

impl fmt::Debug for ParkedRecord {
    // Keys and payloads are people's data: they do not belong in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ParkedRecord")
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}
