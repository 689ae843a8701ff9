//! Deleting what was acknowledged, and parking what was refused.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{FIRST_BACKOFF, Running};
use crate::fault_point;
use crate::outbox::row::RowId;
use crate::telemetry::names;

impl Running {
    pub(super) fn start_deleting(&mut self, now: Instant) {
        if self.deleting.is_some() || now < self.delete_at {
            return;
        }
        let rows = self.pipeline.take_acknowledged();
        if rows.is_empty() {
            return;
        }
        let table = self.table.clone();
        self.deleting = Some(
            async move {
                let result = table.delete(&rows).await;
                (rows, result)
            }
            .boxed(),
        );
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
                self.delete_at = Instant::now() + self.delete_backoff.next();
                tracing::warn!(%error, rows = rows.len(), "published rows could not be deleted yet");
                self.pipeline.not_deleted(rows);
            }
        }
    }

    pub(super) fn start_parking(&mut self, now: Instant) {
        if self.parking.is_some() || now < self.park_at {
            return;
        }
        let Some((row, reason)) = self.pipeline.first_refused() else { return };
        fault_point::reach("before park");
        let table = self.table.clone();
        self.parking = Some(async move { (row, table.park(row, &reason).await) }.boxed());
    }

    pub(super) fn parked(&mut self, (row, result): (RowId, Result<(), sqlx::Error>)) {
        match result {
            Ok(()) => {
                fault_point::reach("after park");
                self.summary.parked += 1;
                metrics::counter!(names::OUTBOX_PARKED).increment(1);
                self.pipeline.parked(row);
                if self.fetching.is_some() {
                    self.deleted_meanwhile.insert(row);
                }
            }
            Err(error) => {
                self.park_at = Instant::now() + FIRST_BACKOFF;
                tracing::warn!(%error, "a refused row could not be parked yet");
            }
        }
    }
}
