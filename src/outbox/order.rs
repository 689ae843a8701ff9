//! Which rows of a snapshot may be published now.
//!
//! A transaction locks its stream's row before it inserts, so events of a stream commit in the order of their sequences. But a
//! snapshot is not always taken in one moment: MariaDB's can show a row without its predecessor. So a row is published at once
//! only if this relay published its predecessor itself, or if it can have none. Any other row waits until a *later* snapshot
//! shows nothing before it in its stream: whatever committed before it is visible by then.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::row::{OutboxRow, Position, RowId};
use crate::event::StreamId;

/// The last position published of each stream, and the rows that wait for a second look.
pub(super) struct StreamOrder {
    /// Two generations: when the young one is full it becomes the old one, and what nobody asked for since is forgotten.
    young: FxHashMap<StreamId, Position>,
    old: FxHashMap<StreamId, Position>,
    generation: usize,
    waiting: FxHashMap<StreamId, Position>,
}

/// A snapshot's rows, told apart.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    /// To be published now, in this order.
    pub(super) publish: Vec<OutboxRow>,
    /// To be looked at again.
    pub(super) waiting: Vec<RowId>,
}

impl StreamOrder {
    /// Remember at most `streams` streams, and at least half as many.
    pub(super) fn new(streams: usize) -> Self {
        Self {
            young: FxHashMap::default(),
            old: FxHashMap::default(),
            generation: (streams / 2).max(1),
            waiting: FxHashMap::default(),
        }
    }

    /// Forget what was published: it may not have been.
    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.waiting.clear();
    }

    /// Forget what was published of `stream`: some of it was not.
    pub(super) fn forget(&mut self, stream: &StreamId) {
        self.young.remove(stream);
        self.old.remove(stream);
        self.waiting.remove(stream);
    }

    /// Tell which of `rows` may be published. They are all that a snapshot shows of their buckets from the start up to some
    /// id, except for rows that were admitted before and are still there. What is admitted counts as published.
    pub(super) fn admit(&mut self, rows: Vec<OutboxRow>) -> Admitted {
        let mut streams: FxHashMap<StreamId, VecDeque<usize>> = FxHashMap::default();
        for (index, row) in rows.iter().enumerate() {
            streams.entry(row.stream.clone()).or_default().push_back(index);
        }
        for indexes in streams.values_mut() {
            indexes.make_contiguous().sort_unstable_by_key(|index| rows[*index].position);
        }

        let mut admitted = Admitted::default();
        // Each stream takes its own slots, in the order of its positions.
        let slots: Vec<StreamId> = rows.iter().map(|row| row.stream.clone()).collect();
        let mut rows: Vec<Option<OutboxRow>> = rows.into_iter().map(Some).collect();
        for stream in slots {
            let next = streams.get_mut(&stream).and_then(VecDeque::pop_front);
            let Some(row) = next.and_then(|index| rows[index].take()) else { continue };
            if self.may_follow(&stream, row.position) {
                self.publish(stream, row.position);
                admitted.publish.push(row);
            } else {
                if self.waiting.len() >= self.generation * 2 {
                    // Rows that vanished before their second look; forgetting the others costs them a third.
                    self.waiting.clear();
                }
                self.waiting.insert(stream.clone(), row.position);
                admitted.waiting.push(row.id);
                // And so do its successors.
                streams.remove(&stream);
            }
        }
        admitted.waiting.extend(rows.into_iter().flatten().map(|row| row.id));
        admitted
    }

    fn may_follow(&mut self, stream: &StreamId, position: Position) -> bool {
        let confirmed = self.waiting.remove(stream) == Some(position);
        match self.published(stream) {
            // A row from before what was published: an operator put it back. It is late already.
            Some(published) if position <= published => true,
            Some(published) if published.is_followed_by(position) => true,
            _ => position.is_first() || confirmed,
        }
    }

    fn published(&mut self, stream: &StreamId) -> Option<Position> {
        if let Some(position) = self.young.get(stream) {
            return Some(*position);
        }
        let position = self.old.remove(stream)?;
        self.remember(stream.clone(), position);
        Some(position)
    }

    fn publish(&mut self, stream: StreamId, position: Position) {
        let position = self.published(&stream).map_or(position, |published| published.max(position));
        self.remember(stream, position);
    }

    fn remember(&mut self, stream: StreamId, position: Position) {
        if self.young.len() >= self.generation && !self.young.contains_key(&stream) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(stream, position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(u64, &str, u64)]) -> Vec<OutboxRow> {
        rows.iter().map(|(id, stream, sequence)| OutboxRow::example(*id, stream, *sequence)).collect()
    }

    fn published(admitted: &Admitted) -> Vec<(String, u64)> {
        admitted.publish.iter().map(|row| (row.stream.stream.to_string(), row.position.sequence)).collect()
    }

    fn pairs(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
        pairs.iter().map(|(stream, sequence)| ((*stream).to_owned(), *sequence)).collect()
    }

    #[test]
    fn the_first_of_a_stream_and_its_successors_go_at_once() {
        let mut order = StreamOrder::new(100);
        let admitted = order.admit(rows(&[(1, "A/1", 1), (2, "A/2", 1), (3, "A/1", 2)]));
        assert_eq!(published(&admitted), pairs(&[("A/1", 1), ("A/2", 1), ("A/1", 2)]));
        let admitted = order.admit(rows(&[(4, "A/1", 3)]));
        assert_eq!(published(&admitted), pairs(&[("A/1", 3)]));
    }

    #[test]
    fn a_torn_snapshot_publishes_nothing_before_its_predecessor() {
        let mut order = StreamOrder::new(100);
        order.admit(rows(&[(1, "A/1", 1)]));
        // 3 is shown without 2, which had committed before it.
        let torn = order.admit(rows(&[(3, "A/1", 3), (4, "A/1", 4)]));
        assert_eq!(published(&torn), []);
        assert_eq!(torn.waiting.len(), 2);
        let whole = order.admit(rows(&[(2, "A/1", 2), (3, "A/1", 3), (4, "A/1", 4)]));
        assert_eq!(published(&whole), pairs(&[("A/1", 2), ("A/1", 3), ("A/1", 4)]));
    }

    #[test]
    fn after_a_takeover_a_row_goes_when_a_later_snapshot_shows_nothing_before_it() {
        let mut order = StreamOrder::new(100);
        assert_eq!(published(&order.admit(rows(&[(7, "A/1", 7), (8, "A/1", 8)]))), []);
        let later = order.admit(rows(&[(7, "A/1", 7), (8, "A/1", 8)]));
        assert_eq!(published(&later), pairs(&[("A/1", 7), ("A/1", 8)]));
    }

    #[test]
    fn a_torn_snapshot_after_a_takeover_is_mended_by_the_next() {
        let mut order = StreamOrder::new(100);
        order.admit(rows(&[(8, "A/1", 8)]));
        // The later snapshot shows an earlier row: that one has been seen once only.
        assert_eq!(published(&order.admit(rows(&[(7, "A/1", 7), (8, "A/1", 8)]))), []);
        assert_eq!(published(&order.admit(rows(&[(7, "A/1", 7), (8, "A/1", 8)]))), pairs(&[("A/1", 7), ("A/1", 8)]));
    }

    #[test]
    fn ids_out_of_order_within_a_stream_do_not_matter() {
        let mut order = StreamOrder::new(100);
        let admitted = order.admit(rows(&[(1, "A/1", 2), (2, "A/2", 1), (3, "A/1", 1)]));
        assert_eq!(published(&admitted), pairs(&[("A/1", 1), ("A/2", 1), ("A/1", 2)]));
    }

    #[test]
    fn a_forgotten_stream_needs_a_second_look_again() {
        let mut order = StreamOrder::new(2);
        order.admit(rows(&[(1, "A/1", 1), (2, "A/2", 1), (3, "A/3", 1), (4, "A/4", 1)]));
        assert_eq!(published(&order.admit(rows(&[(5, "A/1", 2)]))), []);
        assert_eq!(published(&order.admit(rows(&[(5, "A/1", 2)]))), pairs(&[("A/1", 2)]));
    }

    #[test]
    fn a_new_epoch_needs_a_second_look() {
        let mut order = StreamOrder::new(100);
        order.admit(rows(&[(1, "A/1", 1)]));
        let mut next = rows(&[(2, "A/1", 1)]);
        next[0].position.epoch = 1;
        assert_eq!(published(&order.admit(next.clone())), []);
        assert_eq!(published(&order.admit(next)), pairs(&[("A/1", 1)]));
    }

    #[test]
    fn what_was_admitted_and_not_published_after_all_needs_a_second_look() {
        let mut order = StreamOrder::new(100);
        order.admit(rows(&[(1, "A/1", 1), (2, "A/1", 2), (3, "A/1", 3)]));
        order.forget(&rows(&[(1, "A/1", 1)])[0].stream);
        // A torn snapshot.
        assert_eq!(published(&order.admit(rows(&[(3, "A/1", 3)]))), []);
        assert_eq!(published(&order.admit(rows(&[(2, "A/1", 2), (3, "A/1", 3)]))), []);
        assert_eq!(published(&order.admit(rows(&[(2, "A/1", 2), (3, "A/1", 3)]))), pairs(&[("A/1", 2), ("A/1", 3)]));
    }

    #[test]
    fn a_row_that_was_put_back_is_published_though_late() {
        let mut order = StreamOrder::new(100);
        order.admit(rows(&[(1, "A/1", 1), (2, "A/1", 2), (3, "A/1", 3)]));
        assert_eq!(published(&order.admit(rows(&[(9, "A/1", 2), (10, "A/1", 4)]))), pairs(&[("A/1", 2), ("A/1", 4)]));
    }

    #[test]
    fn without_the_second_look_a_torn_snapshot_would_reorder() {
        // The control: what a relay does that publishes whatever it sees.
        let seen: Vec<_> = [rows(&[(3, "A/1", 3)]), rows(&[(2, "A/1", 2)])].concat();
        let sequences: Vec<_> = seen.iter().map(|row| row.position.sequence).collect();
        assert!(!sequences.is_sorted());
    }
}
