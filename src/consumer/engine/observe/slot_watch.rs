//! What is remembered of a partition: timestamps, and since when it is where it is.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::consumer::key::KeyId;
use crate::transport::Record;

/// The timestamps remembered of a partition.
const MARKS: usize = 64;

/// A partition's past, under one assignment.
#[derive(Default)]
pub(super) struct SlotWatch {
    pub(super) epoch: u64,
    /// Offsets and timestamps of the first records of batches, oldest first.
    pub(super) marks: VecDeque<(i64, i64)>,
    /// The oldest offset that is not done, and since when it is.
    pub(super) oldest: Option<(i64, Duration)>,
    /// What the oldest one waits for, once it was searched for.
    pub(super) holder: Option<Holder>,
    /// The next offset to take, and since when it is.
    pub(super) next: Option<(Option<i64>, Duration)>,
}

/// The event that holds a partition.
pub(super) struct Holder {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) queue: Option<KeyId>,
    pub(super) key: Option<Bytes>,
}

impl Holder {
    pub(super) fn new(queue: &KeyId, record: &Record) -> Self {
        Self {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            queue: Some(queue.clone()),
            // A record as it was read shares its memory with its neighbours.
            key: record.key.as_deref().map(Bytes::copy_from_slice),
        }
    }
}

impl SlotWatch {
    /// Forget what was of an earlier assignment.
    pub(super) fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }

    /// Remember a record's timestamp, for the age of those that follow it.
    pub(super) fn mark(&mut self, record: &Record, watermark: Option<i64>) {
        let Some(timestamp) = record.timestamp_ms else { return };
        if self.marks.len() >= MARKS {
            // What is done needs no age.
            while self.marks.len() > 1 && watermark.is_some_and(|watermark| self.marks[1].0 <= watermark) {
                self.marks.pop_front();
            }
        }
        if self.marks.len() >= MARKS {
            let mut index = 0_usize;
            self.marks.retain(|_| {
                index += 1;
                !index.is_multiple_of(2)
            });
        }
        self.marks.push_back((record.offset, timestamp));
    }

    /// The timestamp of `offset`, or of an older record close by.
    pub(super) fn timestamp(&self, offset: i64) -> Option<i64> {
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.offset == offset) {
            return holder.timestamp_ms;
        }
        let behind = self.marks.partition_point(|(marked, _)| *marked <= offset);
        self.marks.get(behind.checked_sub(1)?).map(|(_, timestamp)| *timestamp)
    }
}
