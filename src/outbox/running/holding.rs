//! Holding back what goes to a destination that takes nothing, and telling of it.

use futures_util::FutureExt as _;
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use super::Running;
use super::backoff::MAX_BACKOFF;
use crate::database::bounded::within;
use crate::outbox::held::Destination;
use crate::outbox::row::{OutboxRow, RowId};
use crate::outbox::wake::BucketSet;
use crate::telemetry::names;
use crate::transport::ProduceError;

impl Running {
    /// A destination took nothing: leave its rows in the table, and go on with the others.
    pub(super) fn hold_back(&mut self, row: RowId, destination: Destination, error: &ProduceError) {
        let was_proven = self.pipeline.is_proven(&destination);
        for (row, stream) in self.pipeline.let_go(row, &destination) {
            // They are to be read again, and in their order.
            self.settled.forget(row.bucket);
            self.order.forget(&stream);
        }
        self.held.hold(destination, error.to_string(), Instant::now());
        if was_proven {
            // Others of it are on their way, and may be written yet.
            self.begin_again(error.kind());
        }
    }

    /// A row was written: its destination takes events, if it did not before.
    pub(super) fn taken(&mut self, row: RowId) {
        if self.held.is_empty() {
            return;
        }
        if let Some(destination) = self.pipeline.destination(row)
            && self.held.took(&destination)
        {
            self.poll_at = Instant::now();
        }
    }

    /// The destinations whose rows are not to be read now.
    pub(super) fn left_out(&self, now: Instant) -> Vec<Destination> {
        let may_read = |held: &&Destination| self.held.may_read(held, now, || self.pipeline.goes_to(held));
        self.held.destinations().filter(|held| !may_read(held)).cloned().collect()
    }

    /// Choose what the next read leaves out. What it shows again may be anywhere: reads have passed by it.
    pub(super) fn choose_left_out(&mut self, now: Instant) {
        let left_out = self.left_out(now);
        if self.left_out.iter().any(|destination| !left_out.contains(destination)) {
            self.settled.reset();
            self.scan_from = 0;
            self.poll_at = now;
        }
        self.shown = self.held.destinations().filter(|held| !left_out.contains(held)).cloned().collect();
        self.left_out = left_out;
    }

    /// A read has shown all there is: nothing of a destination that it did not leave out, and was to try again, is a hold's end.
    pub(super) fn let_holds_end(&mut self, rows: &[OutboxRow]) {
        for destination in std::mem::take(&mut self.shown) {
            let is_there = rows.iter().any(|row| row.destination() == destination);
            if !is_there && !self.pipeline.goes_to(&destination) {
                self.held.is_done_with(&destination);
            }
        }
    }

    /// One row shows whether a destination that was held back takes events again. Its others would only take the room of those that go
    /// elsewhere, and wait for it: leave them in the table.
    pub(super) fn keep_one_of_tried(&mut self, rows: &mut Vec<OutboxRow>) {
        if self.held.is_empty() {
            return;
        }
        let tried = self.held.destinations().filter(|destination| self.pipeline.goes_to(destination));
        let mut tried: FxHashSet<Destination> = tried.cloned().collect();
        let mut left = BucketSet::EMPTY;
        rows.retain(|row| {
            let destination = row.destination();
            let keeps = !self.held.is_held(&destination) || tried.insert(destination);
            if !keeps {
                left.insert(row.id.bucket);
            }
            keeps
        });
        // The read must not count as having shown them.
        left.iter().for_each(|bucket| self.settled.forget(bucket));
    }

    /// Whether a row that a read shows goes to a destination that was held back since it began.
    pub(super) fn is_held_since(&self, row: &OutboxRow, now: Instant) -> bool {
        !self.held.is_empty() && !self.held.may_read(&row.destination(), now, || false)
    }

    pub(super) fn start_noting(&mut self, now: Instant) {
        if self.noting.is_some() || now < self.note_at || self.stopping.is_some() {
            return;
        }
        let Some(held) = self.held.take_news() else { return };
        metrics::gauge!(names::OUTBOX_HELD_TOPICS).set(f64::from(u32::try_from(held.len()).unwrap_or(u32::MAX)));
        let (table, owner) = (self.table.clone(), self.member.owner.clone());
        let limit = self.options.database_timeout;
        self.noting = Some(async move { within(limit, table.note_held(&owner, &held)).await }.boxed());
    }

    pub(super) fn noted(&mut self, result: Result<(), sqlx::Error>) {
        if let Err(error) = result {
            tracing::warn!(%error, "which topics take no events could not be noted");
            self.held.not_noted();
            self.heed(&error);
            self.note_at = Instant::now() + MAX_BACKOFF;
        }
    }
}
