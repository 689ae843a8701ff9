//! Which offsets of a partition are complete, and which may be committed.

use std::collections::VecDeque;

/// Tracks a partition's offsets: the watermark below which everything is complete, and what is complete above it.
///
/// Offsets arrive in order but with holes, where compaction or transactions removed records; a hole counts as complete.
#[derive(Debug, Clone, Default)]
pub(crate) struct OffsetTracker {
    /// The lowest offset that is not complete; `None` before the first record.
    watermark: Option<i64>,
    /// Whether `watermark + index` is complete. The front is never complete.
    window: VecDeque<bool>,
    outstanding: usize,
}

impl OffsetTracker {
    /// Take note of a record. `false` when it was seen before and must not be handled again.
    pub(crate) fn begin(&mut self, offset: i64) -> bool {
        let watermark = *self.watermark.get_or_insert(offset);
        let Ok(index) = usize::try_from(offset - watermark) else { return false };
        if index < self.window.len() {
            return false;
        }
        if self.window.is_empty() {
            // Everything before is complete, the hole included.
            self.watermark = Some(offset);
            self.window.push_back(false);
        } else {
            self.window.resize(index, true);
            self.window.push_back(false);
        }
        self.outstanding += 1;
        true
    }

    /// The record at `offset` is complete. `false` when it was not outstanding.
    pub(crate) fn complete(&mut self, offset: i64) -> bool {
        let Some(watermark) = self.watermark else { return false };
        let Some(done) = usize::try_from(offset - watermark).ok().and_then(|index| self.window.get_mut(index)) else {
            return false;
        };
        if std::mem::replace(done, true) {
            return false;
        }
        self.outstanding -= 1;
        let mut passed = 0;
        while self.window.front() == Some(&true) {
            self.window.pop_front();
            passed += 1;
        }
        self.watermark = Some(watermark + passed);
        true
    }

    /// The offset to commit: the lowest that is not complete. `None` before the first record.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.watermark
    }

    /// How many records have begun and not completed.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
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
