//! Rows that are to be parked, and what they hold back meanwhile.

use std::collections::BTreeSet;

use super::{Pipeline, Stage};
use crate::event::StreamId;
use crate::outbox::parked::Refused;
use crate::outbox::row::{OutboxRow, Position, RowId};

/// The most rows parked at once.
const PARKED_AT_ONCE: usize = 256;

/// The rows of a stream that hold back what comes behind them, whatever the table says.
#[derive(Default)]
pub(super) struct Hold {
    to_park: BTreeSet<Position>,
    dealt_with: BTreeSet<Position>,
}

impl Hold {
    fn first(&self) -> Option<&Position> {
        self.to_park.first().into_iter().chain(self.dealt_with.first()).min()
    }
}

impl Pipeline {
    /// Take in a row that waits for an earlier one of its stream: it is to be parked behind it.
    pub(in crate::outbox) fn follow(&mut self, row: &OutboxRow) {
        self.know(row, 0, Stage::Settled);
        self.park_later(row.id, row.stream.clone(), row.position, None);
    }

    /// Whether an earlier row of its stream was refused, by all that is known here.
    pub(in crate::outbox) fn holds(&self, row: &OutboxRow) -> bool {
        row.held || self.holding.get(&row.stream).and_then(Hold::first).is_some_and(|first| *first < row.position)
    }

    /// A row will never be written: it is to be parked, and what is queued behind it in its stream follows it.
    pub(in crate::outbox) fn refused(&mut self, row: RowId, reason: String) {
        self.settle(row);
        let Some(known) = self.known.get(&row) else { return };
        let (stream, behind) = (known.stream.clone(), known.position);
        self.park_later(row, stream.clone(), behind, Some(reason));
        for row in self.take_queued(|row| row.stream == stream && row.position > behind) {
            self.settle(row.id);
            self.park_later(row.id, row.stream, row.position, None);
        }
    }

    fn park_later(&mut self, row: RowId, stream: StreamId, position: Position, reason: Option<String>) {
        self.holding.entry(stream).or_default().to_park.insert(position);
        self.refused.push_back(Refused { row, reason });
    }

    /// The rows to park now, and why; they stay here until [`parked`](Self::parked).
    pub(in crate::outbox) fn first_refused(&self) -> Vec<Refused> {
        self.refused.iter().take(PARKED_AT_ONCE).cloned().collect()
    }

    /// Rows were parked, or found to be no longer this relay's to park. From now on the table says what is held back.
    pub(in crate::outbox) fn parked(&mut self, rows: &[RowId]) {
        self.refused.retain(|refused| !rows.contains(&refused.row));
        for row in rows {
            if let Some(known) = self.known.get(row)
                && let Some(hold) = self.holding.get_mut(&known.stream)
                && hold.to_park.remove(&known.position)
            {
                hold.dealt_with.insert(known.position);
            }
            self.forget(*row);
        }
    }

    /// No read is under way that began before rows were parked.
    pub(in crate::outbox) fn read_anew(&mut self) {
        self.holding.retain(|_, hold| {
            hold.dealt_with.clear();
            !hold.to_park.is_empty()
        });
    }

    /// Whether rows are to be parked.
    pub(in crate::outbox) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }
}
