//! One row first: a destination that this producer has not written to yet may be missing.
//!
//! Were several of its rows in flight, one could fail, the topic appear, and a later one of the same stream be written before this is
//! known here.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;

use super::{Pipeline, Stage};
use crate::event::StreamId;
use crate::outbox::held::Destination;
use crate::outbox::row::{OutboxRow, RowId};

impl Pipeline {
    /// The row, if it may be handed to the producer now; it is kept where another one shows the way.
    pub(super) fn probe(&mut self, row: OutboxRow) -> Option<OutboxRow> {
        let destination = row.destination();
        if self.proven.contains(&destination) {
            return Some(row);
        }
        match self.probes.entry(destination) {
            Entry::Occupied(mut waiting) => {
                waiting.get_mut().push_back(row);
                None
            }
            Entry::Vacant(first) => {
                first.insert(VecDeque::new());
                Some(row)
            }
        }
    }

    /// No row of a destination shows the way any more: what waited for it is the next to go.
    pub(super) fn end_probe(&mut self, destination: &Destination) {
        for row in self.probes.remove(destination).into_iter().flatten().rev() {
            self.queue.push_front(row);
        }
    }

    /// A row was written: so can others of its destination.
    pub(super) fn prove(&mut self, row: RowId) {
        if let Some(known) = self.known.get(&row)
            && self.probes.contains_key(&known.destination)
        {
            self.proven.insert(known.destination.clone());
        }
    }

    /// Whether rows of a destination may be in flight beside each other.
    pub(in crate::outbox) fn is_proven(&self, destination: &Destination) -> bool {
        self.proven.contains(destination)
    }

    /// Where a row that is here goes.
    pub(in crate::outbox) fn destination(&self, row: RowId) -> Option<Destination> {
        Some(self.known.get(&row)?.destination.clone())
    }

    /// Whether a row of a destination is queued or in flight.
    pub(in crate::outbox) fn goes_to(&self, destination: &Destination) -> bool {
        self.known.values().any(|known| known.stage != Stage::Settled && known.destination == *destination)
    }

    /// Let go of a row that was not written, and of all that is queued for its destination: which, and of which streams.
    pub(in crate::outbox) fn let_go(&mut self, row: RowId, destination: &Destination) -> Vec<(RowId, StreamId)> {
        let mut gone: Vec<_> = self.known.get(&row).map(|known| (row, known.stream.clone())).into_iter().collect();
        self.failed(row);
        for row in self.take_queued(|row| row.destination() == *destination) {
            self.failed(row.id);
            gone.push((row.id, row.stream));
        }
        gone
    }

    /// Take rows out of the queue, and from among those that wait for others; each stream's in their order.
    pub(super) fn take_queued(&mut self, mut which: impl FnMut(&OutboxRow) -> bool) -> Vec<OutboxRow> {
        let mut taken = Vec::new();
        for queue in self.probes.values_mut().chain([&mut self.queue]) {
            let (take, keep): (VecDeque<_>, _) = std::mem::take(queue).into_iter().partition(&mut which);
            *queue = keep;
            taken.extend(take);
        }
        taken
    }
}
