//! How far partitions were read, and what of them was left out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far each partition was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Log {
    partitions: BTreeMap<i32, Reached>,
    /// Records without a place in a stream.
    pub(super) unsequenced: u64,
}

/// How far a partition was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// The offset of the next record.
    pub(super) next: i64,
    /// How many offsets below were not read.
    pub(super) unread: u64,
}

impl Log {
    /// Begin each partition at its offset.
    pub(super) fn beginning(from: impl IntoIterator<Item = (i32, i64)>) -> Self {
        let reached = |offset: i64| Reached { next: offset, unread: u64::try_from(offset).unwrap_or(0) };
        let partitions = from.into_iter().map(|(partition, offset)| (partition, reached(offset))).collect();
        Self { partitions, unsequenced: 0 }
    }

    /// A record at `offset` was read: how many offsets below it were not. `None` where it was read before.
    pub(super) fn read(&mut self, partition: i32, offset: i64) -> Option<u64> {
        let reached = self.partitions.entry(partition).or_insert(Reached { next: 0, unread: 0 });
        let left_out = u64::try_from(offset.checked_sub(reached.next)?).ok()?;
        reached.unread = reached.unread.saturating_add(left_out);
        reached.next = offset.saturating_add(1);
        Some(reached.unread)
    }

    /// Nothing more lies below `offset`.
    pub(super) fn reach(&mut self, partition: i32, offset: i64) {
        if let Some(reached) = self.partitions.get_mut(&partition)
            && let Ok(left_out) = u64::try_from(offset.saturating_sub(reached.next))
        {
            reached.unread = reached.unread.saturating_add(left_out);
            reached.next = offset;
        }
    }

    pub(super) fn partitions(&self) -> &BTreeMap<i32, Reached> {
        &self.partitions
    }

    /// Where a partition's next record is; 0 for one that is new.
    pub(super) fn next(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, |reached| reached.next)
    }

    pub(super) fn unread(&self, partition: i32) -> u64 {
        self.partitions.get(&partition).map_or(0, |reached| reached.unread)
    }

    /// Whether every record that ever was in the topic was read.
    pub(super) fn is_whole(&self) -> bool {
        self.partitions.values().all(|reached| reached.unread == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_the_start_and_between_records_was_not_read() {
        let mut log = Log::beginning([(0, 10), (1, 0)]);
        assert_eq!((log.read(0, 10), log.read(0, 11), log.read(0, 15)), (Some(10), Some(10), Some(13)));
        assert_eq!(log.read(0, 15), None, "it was read before");
        assert_eq!((log.read(1, 0), log.is_whole()), (Some(0), false));
        log.reach(1, 3);
        assert_eq!((log.next(1), log.unread(1)), (3, 2));
    }
}
