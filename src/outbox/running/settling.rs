//! Deleting what was acknowledged, parking what was refused, and learning which ids are settled.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::backoff::{FIRST_BACKOFF, MAX_BACKOFF};
use super::{ASK_INTERVAL, DELETE_INTERVAL, MAX_ASK_INTERVAL, Running, WORTH_DELETING};
use crate::database::bounded::within;
use crate::fault_point;
use crate::outbox::row::RowId;
use crate::telemetry::names;

impl Running {
    pub(super) fn start_deleting(&mut self, now: Instant) {
        if self.deleting.is_some() || now < self.next_delete() {
            return;
        }
        let rows = self.pipeline.take_acknowledged();
        if rows.is_empty() {
            return;
        }
        self.delete_at = now + DELETE_INTERVAL;
        let (table, limit) = (self.table.clone(), self.options.database_timeout);
        self.deleting = Some(
            async move {
                let result = within(limit, table.delete(&rows)).await;
                (rows, result)
            }
            .boxed(),
        );
    }

    /// When what is acknowledged is deleted.
    pub(super) fn next_delete(&self) -> Instant {
        let soon = self.stopping.is_some() || self.pipeline.acknowledged_rows() >= WORTH_DELETING;
        if soon { self.delete_again_at } else { self.delete_at }
    }

    pub(super) fn deleted(&mut self, (rows, result): (Vec<RowId>, Result<(), sqlx::Error>)) {
        match result {
            Ok(()) => {
                fault_point::reach("after delete");
                self.delete_backoff.reset();
                self.pipeline.deleted(&rows);
                if self.fetching.is_some() {
                    self.deleted_meanwhile.extend(rows);
                }
            }
            Err(error) => {
                self.delete_again_at = Instant::now() + self.delete_backoff.next();
                self.delete_at = self.delete_again_at;
                tracing::warn!(%error, rows = rows.len(), "published rows could not be deleted yet");
                self.pipeline.not_deleted(rows);
                self.heed(&error);
            }
        }
    }

    pub(super) fn start_parking(&mut self, now: Instant) {
        if self.parking.is_some() || now < self.park_at {
            return;
        }
        let refused = self.pipeline.first_refused();
        if refused.is_empty() {
            return;
        }
        fault_point::reach("before park");
        let (table, owner, epochs) = (self.table.clone(), self.member.owner.clone(), self.epochs.clone());
        let limit = self.options.database_timeout;
        self.parking = Some(
            async move {
                let parked = within(limit, table.park(&owner, &epochs, &refused)).await;
                (refused.into_iter().map(|refused| refused.row).collect(), parked)
            }
            .boxed(),
        );
    }

    pub(super) fn parked(&mut self, (rows, result): (Vec<RowId>, Result<Vec<RowId>, sqlx::Error>)) {
        match result {
            Ok(parked) => {
                fault_point::reach("after park");
                let count = u64::try_from(parked.len()).unwrap_or_default();
                self.summary.parked += count;
                metrics::counter!(names::OUTBOX_PARKED).increment(count);
                self.pipeline.parked(&rows);
                for row in rows {
                    // What follows a refused row goes with it, and is not to be tried alone any more.
                    self.suspects.remove(&row);
                    // One that was not parked is still there, to be read again.
                    self.settled.forget(row.bucket);
                    self.woken.insert(row.bucket);
                }
                if self.fetching.is_some() {
                    self.deleted_meanwhile.extend(parked);
                } else {
                    self.pipeline.read_anew();
                }
            }
            Err(error) => {
                self.park_at = Instant::now() + FIRST_BACKOFF;
                tracing::warn!(%error, "a refused row could not be parked yet");
                self.heed(&error);
            }
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.table.has_gates() && self.settled.is_asking()
    }

    /// Ask whether a gate is free that stands before what is to be settled.
    pub(super) fn start_asking(&mut self, now: Instant) {
        if self.asking.is_some() || now < self.ask_at || !self.is_asking() {
            return;
        }
        let gates = self.settled.gates();
        if gates.is_empty() {
            return;
        }
        let table = self.table.clone();
        let ask = async move {
            let mut free = Vec::new();
            for gate in gates {
                if table.is_free(gate).await? {
                    free.push(gate);
                }
            }
            Ok(free)
        };
        self.asking = Some(within(self.options.database_timeout, ask).boxed());
    }

    pub(super) fn asked(&mut self, result: Result<Vec<usize>, sqlx::Error>) {
        match result {
            Ok(free) => {
                // Somebody may hold one for hours.
                self.ask_pause =
                    if free.is_empty() { (self.ask_pause * 2).min(MAX_ASK_INTERVAL) } else { ASK_INTERVAL };
                self.ask_at = Instant::now() + self.ask_pause;
                for gate in free {
                    self.settled.found_free(gate);
                }
            }
            Err(error) => {
                self.ask_at = Instant::now() + MAX_BACKOFF;
                tracing::debug!(%error, "which ids of the outbox are settled could not be asked");
                self.heed(&error);
            }
        }
    }
}
