//! The rows a relay has read and not yet deleted, from the queue to the acknowledgement.

mod parking;
mod probing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use rustc_hash::{FxHashMap, FxHashSet};

use self::parking::Hold;
use super::bucket::BUCKETS;
use super::held::Destination;
use super::parked::Refused;
use super::row::{OutboxRow, Position, RowId};
use super::wake::BucketSet;
use crate::event::StreamId;
use crate::telemetry::spans;
use crate::transport::{ProduceError, Producer, Written};

/// The most rows deleted at once.
const DELETED_AT_ONCE: usize = 4_096;

/// What became of a row that was handed to the producer.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) row: RowId,
    pub(super) result: Result<Written, ProduceError>,
}

/// Every row here is *known*: it is not read again, and not published again, until it leaves.
pub(super) struct Pipeline {
    known: FxHashMap<RowId, Known>,
    bytes: usize,
    in_flight: usize,
    a_bucket: [u32; BUCKETS],
    queue: VecDeque<OutboxRow>,
    /// The destinations that have taken a row through the present producer.
    proven: FxHashSet<Destination>,
    /// The others of which one row is in flight, and the rows that wait to see what becomes of it.
    probes: FxHashMap<Destination, VecDeque<OutboxRow>>,
    sends: FuturesUnordered<BoxFuture<'static, Sent>>,
    acknowledged: Vec<RowId>,
    refused: VecDeque<Refused>,
    /// Streams of which rows are to be parked, or were when the read under way began: it does not show what became of them.
    holding: FxHashMap<StreamId, Hold>,
}

struct Known {
    /// Counted while it is queued or in flight.
    bytes: usize,
    stage: Stage,
    stream: StreamId,
    position: Position,
    destination: Destination,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    InFlight,
    /// Acknowledged or refused, and still in the table.
    Settled,
}

impl Pipeline {
    pub(super) fn new() -> Self {
        Self {
            known: FxHashMap::default(),
            bytes: 0,
            in_flight: 0,
            a_bucket: [0; BUCKETS],
            queue: VecDeque::new(),
            proven: FxHashSet::default(),
            probes: FxHashMap::default(),
            sends: FuturesUnordered::new(),
            acknowledged: Vec::new(),
            refused: VecDeque::new(),
            holding: FxHashMap::default(),
        }
    }

    /// Take rows into the queue, in order.
    pub(super) fn push(&mut self, rows: Vec<OutboxRow>) {
        for row in rows {
            let bytes = row.bytes();
            self.bytes += bytes;
            self.know(&row, bytes, Stage::Queued);
            self.queue.push_back(row);
        }
    }

    fn know(&mut self, row: &OutboxRow, bytes: usize, stage: Stage) {
        self.a_bucket[usize::from(row.id.bucket)] += 1;
        let (stream, position, destination) = (row.stream.clone(), row.position, row.destination());
        let known = Known { bytes, stage, stream, position, destination };
        self.known.insert(row.id, known);
    }

    /// Hand rows to `producer`, in order, while fewer than `window` are in flight and the producer takes them.
    ///
    /// # Errors
    /// The producer did not take a row; it has left the queue.
    pub(super) fn send(&mut self, producer: &Arc<dyn Producer>, window: usize) -> Result<(), Sent> {
        while self.in_flight < window {
            let Some(row) = self.queue.pop_front() else { return Ok(()) };
            let Some(row) = self.probe(row) else { continue };
            let id = row.id;
            let record = match row.to_record() {
                Ok(record) => record,
                Err(error) => {
                    self.end_probe(&row.destination());
                    let (topic, reason) = (Arc::clone(&row.topic), error.to_string());
                    return Err(Sent {
                        row: id,
                        result: Err(ProduceError::Refused { topic, reason, retryable: false }),
                    });
                }
            };
            let span = spans::send(&row.topic, &row.event, &row.event_id, &row.traceparent);
            match producer.enqueue_to(row.target, &record) {
                Ok(written) if !span.is_disabled() => {
                    self.in_flight += 1;
                    self.set_stage(id, Stage::InFlight);
                    self.sends.push(
                        async move {
                            let result = written.await;
                            if let Err(error) = &result {
                                spans::fail(&span, error.kind());
                            }
                            Sent { row: id, result }
                        }
                        .boxed(),
                    );
                }
                Ok(written) => {
                    self.in_flight += 1;
                    self.set_stage(id, Stage::InFlight);
                    self.sends.push(written.map(move |result| Sent { row: id, result }).boxed());
                }
                Err(ProduceError::QueueFull { .. }) if self.in_flight > 0 => {
                    // An acknowledgement makes room.
                    self.end_probe(&row.destination());
                    self.queue.push_front(row);
                    return Ok(());
                }
                Err(error) => {
                    self.end_probe(&row.destination());
                    return Err(Sent { row: id, result: Err(error) });
                }
            }
        }
        Ok(())
    }

    /// What became of the next row in flight; pending while none is.
    pub(super) async fn next(&mut self) -> Sent {
        match self.sends.next().await {
            Some(sent) => sent,
            None => std::future::pending().await,
        }
    }

    /// A row was written: it is to be deleted.
    pub(super) fn acknowledged(&mut self, row: RowId) {
        self.prove(row);
        self.settle(row);
        self.acknowledged.push(row);
    }

    /// A row was not written: it stays in the table.
    pub(super) fn failed(&mut self, row: RowId) {
        self.settle(row);
        self.forget(row);
    }

    /// The rows to delete now; they stay known until [`deleted`](Self::deleted).
    pub(super) fn take_acknowledged(&mut self) -> Vec<RowId> {
        if self.acknowledged.len() <= DELETED_AT_ONCE {
            return std::mem::take(&mut self.acknowledged);
        }
        self.acknowledged.drain(..DELETED_AT_ONCE).collect()
    }

    /// Rows have left the table.
    pub(super) fn deleted(&mut self, rows: &[RowId]) {
        for row in rows {
            self.forget(*row);
        }
    }

    /// Rows could not be deleted: try again.
    pub(super) fn not_deleted(&mut self, rows: Vec<RowId>) {
        self.acknowledged.extend(rows);
    }

    /// Let go of all that is queued.
    pub(super) fn clear_queue(&mut self) {
        for row in self.take_queued(|_| true) {
            self.failed(row.id);
        }
    }

    /// Let go of what is queued of `bucket`: of which streams.
    pub(super) fn drop_queued(&mut self, bucket: u8) -> Vec<StreamId> {
        let dropped = self.take_queued(|row| row.id.bucket == bucket);
        for row in &dropped {
            self.failed(row.id);
        }
        dropped.into_iter().map(|row| row.stream).collect()
    }

    /// Let go of all that is queued or in flight, whatever becomes of it.
    pub(super) fn abandon(&mut self) {
        self.clear_queue();
        self.sends = FuturesUnordered::new();
        let in_flight: Vec<_> = self.known.iter().filter(|(_, known)| known.stage == Stage::InFlight).collect();
        let in_flight: Vec<_> = in_flight.into_iter().map(|(row, _)| *row).collect();
        for row in in_flight {
            self.failed(row);
        }
        // The next producer knows of none of them.
        self.proven.clear();
    }

    /// Whether a row is here.
    pub(super) fn knows(&self, row: RowId) -> bool {
        self.known.contains_key(&row)
    }

    /// The ids of the rows of `buckets` that are here.
    pub(super) fn known_in(&self, buckets: BucketSet) -> Vec<u64> {
        self.known.keys().filter(|row| buckets.contains(row.bucket)).map(|row| row.id).collect()
    }

    /// Whether a row is in flight.
    pub(super) fn was_taken(&self, row: RowId) -> bool {
        self.known.get(&row).is_some_and(|known| known.stage == Stage::InFlight)
    }

    /// How many rows are in flight.
    pub(super) const fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many rows are here.
    pub(super) fn rows(&self) -> usize {
        self.known.len()
    }

    /// About how many bytes are queued or in flight.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is room for many more rows: a read that brings a few would cost as much.
    pub(super) fn has_room(&self, max_rows: usize, max_bytes: usize) -> bool {
        self.rows() <= max_rows / 2 && self.bytes <= max_bytes / 2
    }

    /// Whether results are awaited.
    pub(super) fn is_sending(&self) -> bool {
        !self.sends.is_empty()
    }

    /// How many rows are to be deleted.
    pub(super) fn acknowledged_rows(&self) -> usize {
        self.acknowledged.len()
    }

    /// Whether any row is here.
    pub(super) fn has_any(&self) -> bool {
        !self.known.is_empty()
    }

    /// Whether any row of `bucket` is here.
    pub(super) fn has_any_of(&self, bucket: u8) -> bool {
        self.a_bucket[usize::from(bucket)] > 0
    }

    fn set_stage(&mut self, row: RowId, stage: Stage) {
        if let Some(known) = self.known.get_mut(&row) {
            known.stage = stage;
        }
    }

    fn settle(&mut self, row: RowId) {
        let Some(known) = self.known.get_mut(&row) else { return };
        self.bytes -= std::mem::take(&mut known.bytes);
        let was_in_flight = known.stage == Stage::InFlight;
        known.stage = Stage::Settled;
        if was_in_flight {
            self.in_flight -= 1;
            if !self.probes.is_empty() {
                let destination = known.destination.clone();
                self.end_probe(&destination);
            }
        }
    }

    fn forget(&mut self, row: RowId) {
        if self.known.remove(&row).is_some() {
            self.a_bucket[usize::from(row.bucket)] -= 1;
        }
    }
}
