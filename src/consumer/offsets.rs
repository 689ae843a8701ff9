//! Which offsets of a partition are complete, and which may be committed.

use std::collections::BTreeSet;

/// Tracks a partition's offsets: the watermark below which everything is complete.
///
/// Offsets arrive in order but with holes, where compaction or transactions removed records; a hole counts as complete. Its
/// memory grows with the records under way, not with the offsets between them: a hole may be billions wide.
#[derive(Debug, Clone, Default)]
pub(crate) struct OffsetTracker {
    /// Behind the highest offset seen; `None` before the first record.
    next: Option<i64>,
    outstanding: BTreeSet<i64>,
}

impl OffsetTracker {
    /// Take note of a record. `false` when a later one was seen already: the partition went back, which must not pass unnoticed.
    pub(crate) fn begin(&mut self, offset: i64) -> bool {
        if self.next.is_some_and(|next| offset < next) {
            return false;
        }
        self.next = Some(offset.saturating_add(1));
        self.outstanding.insert(offset)
    }

    /// The record at `offset` is complete. `false` when it was not outstanding.
    pub(crate) fn complete(&mut self, offset: i64) -> bool {
        self.outstanding.remove(&offset)
    }

    /// The offset to commit: the lowest that is not complete. `None` before the first record.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.outstanding.first().copied().or(self.next)
    }

    /// Behind the highest offset seen.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// How many records have begun and not completed.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_watermark_waits_for_the_oldest_record() {
        let mut tracker = OffsetTracker::default();
        (10..13).for_each(|offset| assert!(tracker.begin(offset)));
        tracker.complete(11);
        tracker.complete(12);
        assert_eq!(tracker.watermark(), Some(10));
        tracker.complete(10);
        assert_eq!((tracker.watermark(), tracker.outstanding()), (Some(13), 0));
    }

    #[test]
    fn a_hole_in_the_offsets_holds_nothing_up() {
        let mut tracker = OffsetTracker::default();
        tracker.begin(5);
        tracker.begin(9);
        tracker.complete(5);
        assert_eq!(tracker.watermark(), Some(9));
        tracker.complete(9);
        tracker.begin(20);
        assert_eq!(tracker.watermark(), Some(20));
    }

    #[test]
    fn a_hole_of_any_width_costs_no_memory() {
        let mut tracker = OffsetTracker::default();
        tracker.begin(3);
        tracker.begin(i64::MAX);
        assert_eq!((tracker.watermark(), tracker.outstanding()), (Some(3), 2));
        tracker.complete(3);
        assert_eq!(tracker.watermark(), Some(i64::MAX));
    }

    #[test]
    fn a_record_fetched_twice_begins_once() {
        let mut tracker = OffsetTracker::default();
        assert!(tracker.begin(5));
        assert!(tracker.begin(6));
        assert!(!tracker.begin(5));
        tracker.complete(5);
        assert!(!tracker.begin(5));
        assert!(!tracker.complete(5));
        assert!(!tracker.complete(7));
    }

    proptest! {
        #[test]
        fn the_watermark_is_the_lowest_incomplete_offset(
            steps in proptest::collection::vec(1_i64..4, 1..80),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..80),
        ) {
            let mut tracker = OffsetTracker::default();
            let mut open = std::collections::BTreeSet::new();
            let mut next = 100;
            for step in steps {
                next += step;
                prop_assert!(tracker.begin(next));
                open.insert(next);
            }
            for index in order {
                if open.is_empty() {
                    break;
                }
                let offset = *index.get(&open.iter().copied().collect::<Vec<_>>());
                prop_assert!(tracker.complete(offset));
                open.remove(&offset);
                prop_assert_eq!(tracker.watermark(), Some(open.first().copied().unwrap_or(next + 1)));
                prop_assert_eq!(tracker.outstanding(), open.len());
            }
        }
    }
}
