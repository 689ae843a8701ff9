//! Which offsets of a partition are complete, and which may be committed.

use std::collections::{BTreeSet, VecDeque};

/// Offsets from the first up to, not including, the second.
pub(crate) type Run = (i64, i64);

/// Tracks a partition's offsets: the watermark below which everything is complete, and the runs of completed ones above it.
///
/// Offsets arrive in order but with holes, where compaction or transactions removed records; a hole counts as complete. Its
/// memory grows with the records under way, not with the offsets between them: a hole may be billions wide.
#[derive(Debug, Clone, Default)]
pub(crate) struct OffsetTracker {
    /// Behind the highest offset seen; `None` before the first record of a partition that nobody has committed.
    next: Option<i64>,
    /// The highest offset seen, while it is not complete: most records are done before the next begins, and never reach the set.
    newest: Option<i64>,
    outstanding: BTreeSet<i64>,
    /// Completed under an earlier assignment, above the offset committed then, and not yet seen again.
    restored: VecDeque<Run>,
}

/// What a record is to the tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is to be worked on.
    New,
    /// It was complete under an earlier assignment: it is not worked on again.
    Completed,
    /// A later one was seen already: the partition went back, which must not pass unnoticed.
    WentBack,
}

impl OffsetTracker {
    /// A tracker that goes on where an earlier assignment stopped: at `watermark`, with `completed` above it, in order.
    pub(crate) fn restored(watermark: i64, completed: impl IntoIterator<Item = Run>) -> Self {
        let restored = completed.into_iter().filter(|(start, end)| watermark < *end && start < end);
        Self { next: Some(watermark), restored: restored.collect(), ..Self::default() }
    }

    /// Take note of a record.
    pub(crate) fn begin(&mut self, offset: i64) -> Begin {
        if self.next.is_some_and(|next| offset < next) {
            return Begin::WentBack;
        }
        self.next = Some(offset.saturating_add(1));
        if let Some(older) = self.newest.take() {
            self.outstanding.insert(older);
        }
        while self.restored.front().is_some_and(|(_, end)| *end <= offset) {
            self.restored.pop_front();
        }
        if self.restored.front().is_some_and(|(start, _)| *start <= offset) {
            return Begin::Completed;
        }
        self.newest = Some(offset);
        Begin::New
    }

    /// The record at `offset` is complete. `false` when it was not outstanding.
    pub(crate) fn complete(&mut self, offset: i64) -> bool {
        if self.newest == Some(offset) {
            self.newest = None;
            return true;
        }
        self.outstanding.remove(&offset)
    }

    /// The lowest offset that is not complete, of those seen.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.outstanding.first().copied().or(self.newest)
    }

    /// The offset to commit: the lowest that is not complete. `None` before the first record of a partition nobody has committed.
    pub(crate) fn watermark(&self) -> Option<i64> {
        self.oldest().or_else(|| {
            let next = self.next?;
            let ahead = self.restored.front().filter(|(start, end)| *start <= next && next < *end);
            Some(ahead.map_or(next, |(_, end)| *end))
        })
    }

    /// The completed runs above the watermark, lowest first; neighbours are one run.
    pub(crate) fn completed_runs(&self) -> Vec<Run> {
        let (Some(watermark), Some(next)) = (self.watermark(), self.next) else { return Vec::new() };
        let mut runs: Vec<Run> = Vec::new();
        let mut push = |start: i64, end: i64| match runs.last_mut() {
            _ if start >= end || end <= watermark => {}
            Some(last) if last.1 >= start => last.1 = last.1.max(end),
            _ => runs.push((start, end)),
        };
        let mut behind = next;
        for offset in self.outstanding.iter().copied().chain(self.newest) {
            push(behind, offset);
            behind = offset.saturating_add(1);
        }
        if self.oldest().is_some() {
            push(behind, next);
        }
        for (start, end) in &self.restored {
            push((*start).max(next), *end);
        }
        runs
    }

    /// Behind the highest offset seen.
    pub(crate) fn next(&self) -> Option<i64> {
        self.next
    }

    /// How many records have begun and not completed.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding.len() + usize::from(self.newest.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn begun(offsets: impl IntoIterator<Item = i64>) -> OffsetTracker {
        let mut tracker = OffsetTracker::default();
        for offset in offsets {
            assert_eq!(tracker.begin(offset), Begin::New);
        }
        tracker
    }

    #[test]
    fn the_watermark_waits_for_the_oldest_record() {
        let mut tracker = begun(10..13);
        tracker.complete(11);
        tracker.complete(12);
        assert_eq!((tracker.watermark(), tracker.completed_runs()), (Some(10), vec![(11, 13)]));
        tracker.complete(10);
        assert_eq!((tracker.watermark(), tracker.outstanding()), (Some(13), 0));
        assert!(tracker.completed_runs().is_empty());
    }

    #[test]
    fn a_hole_in_the_offsets_holds_nothing_up() {
        let mut tracker = begun([5, 9]);
        tracker.complete(5);
        assert_eq!(tracker.watermark(), Some(9));
        tracker.complete(9);
        tracker.begin(20);
        assert_eq!(tracker.watermark(), Some(20));
    }

    #[test]
    fn a_hole_of_any_width_costs_no_memory() {
        let mut tracker = begun([3, i64::MAX]);
        assert_eq!((tracker.watermark(), tracker.outstanding()), (Some(3), 2));
        tracker.complete(3);
        assert_eq!(tracker.watermark(), Some(i64::MAX));
    }

    #[test]
    fn a_record_fetched_twice_begins_once() {
        let mut tracker = begun([5, 6]);
        assert_eq!(tracker.begin(5), Begin::WentBack);
        tracker.complete(5);
        assert_eq!(tracker.begin(5), Begin::WentBack);
        assert!(!tracker.complete(5));
        assert!(!tracker.complete(7));
    }

    #[test]
    fn what_was_complete_before_a_restart_is_not_worked_on_again() {
        let mut tracker = OffsetTracker::restored(10, [(11, 13), (20, 22)]);
        let begins: Vec<_> = (10..23).map(|offset| tracker.begin(offset)).collect();
        let expected: Vec<_> = (10..23)
            .map(|offset| if [11, 12, 20, 21].contains(&offset) { Begin::Completed } else { Begin::New })
            .collect();
        assert_eq!(begins, expected);
    }

    #[test]
    fn what_is_not_seen_again_yet_stays_complete() {
        let mut tracker = OffsetTracker::restored(10, [(11, 13), (20, 22)]);
        assert_eq!((tracker.watermark(), tracker.completed_runs()), (Some(10), vec![(11, 13), (20, 22)]));
        tracker.begin(10);
        assert_eq!(tracker.completed_runs(), [(11, 13), (20, 22)]);
        tracker.complete(10);
        // The run behind it is complete too.
        assert_eq!((tracker.watermark(), tracker.completed_runs()), (Some(13), vec![(20, 22)]));
    }

    proptest! {
        #[test]
        fn the_watermark_and_its_runs_are_what_is_complete(
            steps in proptest::collection::vec(1_i64..4, 1..80),
            order in proptest::collection::vec(any::<proptest::sample::Index>(), 0..80),
            restart_at in any::<proptest::sample::Index>(),
        ) {
            let mut tracker = OffsetTracker::default();
            let mut open = BTreeSet::new();
            let mut all = Vec::new();
            let mut next = 100;
            for step in steps {
                next += step;
                prop_assert_eq!(tracker.begin(next), Begin::New);
                open.insert(next);
                all.push(next);
            }
            let restart_at = restart_at.index(order.len().max(1));
            for (step, index) in order.into_iter().enumerate() {
                if open.is_empty() {
                    break;
                }
                let offset = *index.get(&open.iter().copied().collect::<Vec<_>>());
                prop_assert!(tracker.complete(offset));
                open.remove(&offset);
                prop_assert_eq!(tracker.watermark(), Some(open.first().copied().unwrap_or(next + 1)));
                prop_assert_eq!(tracker.outstanding(), open.len());
                let runs = tracker.completed_runs();
                prop_assert!(runs.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", runs);
                for offset in &all {
                    let complete = !open.contains(offset);
                    let told = *offset < tracker.watermark().unwrap_or(i64::MIN)
                        || runs.iter().any(|(start, end)| start <= offset && offset < end);
                    prop_assert_eq!(told, complete, "{}", offset);
                }
                if step == restart_at {
                    // A crash, and a restart from what was committed: everything open begins again, nothing else does.
                    let watermark = tracker.watermark().unwrap();
                    tracker = OffsetTracker::restored(watermark, runs);
                    for offset in all.iter().filter(|offset| **offset >= watermark) {
                        let expected = if open.contains(offset) { Begin::New } else { Begin::Completed };
                        prop_assert_eq!(tracker.begin(*offset), expected);
                    }
                }
            }
        }
    }
}
