//! Sets of positions that lie close together: what is missing of a stream.

use serde::{Deserialize, Serialize};

/// Sequences `from` to `to`, both included, of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SequenceRange {
    /// The epoch.
    pub epoch: u32,
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
}

/// Positions, as ranges in order that neither meet nor overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ranges(Vec<SequenceRange>);

impl SequenceRange {
    /// How many they are.
    pub const fn count(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }

    fn holds(&self, epoch: u32, sequence: u64) -> bool {
        self.epoch == epoch && (self.from..=self.to).contains(&sequence)
    }
}

impl Ranges {
    pub(super) fn ranges(&self) -> &[SequenceRange] {
        &self.0
    }

    /// The first of them.
    pub(super) fn first(&self, most: usize) -> Vec<SequenceRange> {
        self.0.iter().take(most).copied().collect()
    }

    /// How many positions there are.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().fold(0, |count, range| count.saturating_add(range.count()))
    }

    /// Add the sequences `from..=to` of `epoch`; they overlap nothing that is there.
    pub(super) fn add(&mut self, epoch: u32, from: u64, to: u64) {
        if from > to {
            return;
        }
        let index = self.0.partition_point(|range| (range.epoch, range.from) < (epoch, from));
        let meets_previous = index.checked_sub(1).and_then(|previous| self.0.get_mut(previous));
        if let Some(previous) =
            meets_previous.filter(|range| range.epoch == epoch && range.to.checked_add(1) == Some(from))
        {
            previous.to = to;
            return;
        }
        self.0.insert(index, SequenceRange { epoch, from, to });
    }

    pub(super) fn contains(&self, epoch: u32, sequence: u64) -> bool {
        self.find(epoch, sequence).is_some()
    }

    /// Take a position out, and leave at most `most` ranges, or as many as there were. `None` where it was not there; otherwise how many
    /// positions were dropped with it: what lies to one side of it where two ranges would be one too many, the fewer of both.
    pub(super) fn remove(&mut self, epoch: u32, sequence: u64, most: usize) -> Option<u64> {
        let index = self.find(epoch, sequence)?;
        let SequenceRange { from, to, .. } = self.0[index];
        let mut below = (from < sequence).then(|| SequenceRange { epoch, from, to: sequence - 1 });
        let mut above = (sequence < to).then(|| SequenceRange { epoch, from: sequence + 1, to });
        let mut dropped = 0;
        if let (Some(lower), Some(upper)) = (below, above)
            && self.0.len() >= most
        {
            let fewer = if lower.count() <= upper.count() { &mut below } else { &mut above };
            dropped = fewer.take().map_or(0, |range| range.count());
        }
        self.0.splice(index..=index, below.into_iter().chain(above));
        Some(dropped)
    }

    /// How many bytes they take.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<SequenceRange>()
    }

    /// Take out what `other` holds; how many positions that were.
    pub(super) fn subtract(&mut self, other: &Self) -> u64 {
        let before = self.count();
        for taken in &other.0 {
            let cut = |range: SequenceRange| {
                if range.epoch != taken.epoch || range.to < taken.from || range.from > taken.to {
                    return [Some(range), None];
                }
                let below = (range.from < taken.from).then(|| SequenceRange { to: taken.from - 1, ..range });
                let above = (range.to > taken.to).then(|| SequenceRange { from: taken.to + 1, ..range });
                [below, above]
            };
            self.0 = std::mem::take(&mut self.0).into_iter().flat_map(cut).flatten().collect();
        }
        before - self.count()
    }

    fn find(&self, epoch: u32, sequence: u64) -> Option<usize> {
        let index = self.0.partition_point(|range| (range.epoch, range.to) < (epoch, sequence));
        self.0.get(index).filter(|range| range.holds(epoch, sequence)).map(|_| index)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(positions: &BTreeSet<(u32, u64)>) -> Ranges {
        let mut ranges = Ranges::default();
        for (epoch, sequence) in positions {
            ranges.add(*epoch, *sequence, *sequence);
        }
        ranges
    }

    fn positions() -> impl Strategy<Value = BTreeSet<(u32, u64)>> {
        proptest::collection::btree_set((0_u32..2, 1_u64..40), 0..40)
    }

    #[test]
    fn neighbours_are_one_range() {
        let mut ranges = Ranges::default();
        ranges.add(0, 3, 5);
        ranges.add(0, 6, 6);
        ranges.add(1, 7, 7);
        assert_eq!(ranges.ranges().len(), 2);
        assert_eq!((ranges.remove(0, 4, 9), ranges.remove(0, 4, 9)), (Some(0), None));
        assert_eq!((ranges.ranges().len(), ranges.count()), (3, 4));
    }

    #[test]
    fn a_range_too_many_is_dropped_and_it_is_the_shorter_one() {
        let mut ranges = Ranges::default();
        ranges.add(0, 1, 10);
        assert_eq!(ranges.remove(0, 3, 1), Some(2), "1 and 2");
        assert_eq!(ranges.remove(0, 9, 1), Some(1), "10");
        assert_eq!(ranges.remove(0, 4, 1), Some(0), "an end splits nothing");
        assert_eq!(ranges.ranges(), [SequenceRange { epoch: 0, from: 5, to: 8 }]);
    }

    proptest! {
        #[test]
        fn ranges_are_the_sets_they_stand_for(mut set in positions(), other in positions(), gone in (0_u32..2, 1_u64..40)) {
            let mut ranges = of(&set);
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(ranges.contains(gone.0, gone.1), set.contains(&gone));
            prop_assert_eq!(ranges.remove(gone.0, gone.1, usize::MAX), set.remove(&gone).then_some(0));
            prop_assert_eq!(ranges.subtract(&of(&other)), set.intersection(&other).count() as u64);
            for position in (0..2).flat_map(|epoch| (1..40).map(move |sequence| (epoch, sequence))) {
                let expected = set.contains(&position) && !other.contains(&position);
                prop_assert_eq!(ranges.contains(position.0, position.1), expected);
            }
        }
    }
}
