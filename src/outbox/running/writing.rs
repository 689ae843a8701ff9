//! Handing rows to the producer, and what becomes of them.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{PURGE_TIMEOUT, Running, SENT_AT_ONCE};
use crate::fault_point;
use crate::outbox::held::concerns_destination;
use crate::outbox::pipeline::Sent;
use crate::outbox::row::RowId;
use crate::telemetry::names;
use crate::transport::ProduceError;

impl Running {
    /// Whether a producer is to be made, once it is time.
    pub(super) fn wants_producer(&self) -> bool {
        self.producer.is_none() && self.purging_until.is_none() && self.fitting.is_none() && self.stopping.is_none()
    }

    pub(super) fn make_producer(&mut self, now: Instant) {
        if !self.wants_producer() || now < self.make_at {
            return;
        }
        match self.producers.make() {
            Ok(producer) => self.producer = Some(producer),
            Err(error) => {
                self.make_at = now + self.make_backoff.next();
                tracing::error!(error = &*error as &dyn std::error::Error, "the relay has no producer");
            }
        }
    }

    pub(super) fn send(&mut self) {
        self.more_to_send = false;
        let most = self.pipeline.in_flight() + SENT_AT_ONCE;
        // Unless a row that is not taken ends everything, the others go on.
        while let (Some(producer), None) = (&self.producer, self.purging_until) {
            let before = self.pipeline.in_flight();
            let window = if self.suspects.is_empty() { self.options.max_in_flight_rows } else { 1 };
            let sent = self.pipeline.send(&Arc::clone(producer), window.min(most));
            if self.pipeline.in_flight() > before {
                fault_point::reach("after produce");
            }
            match sent {
                Ok(()) => {
                    self.more_to_send = most < window && self.pipeline.in_flight() >= most;
                    return;
                }
                Err(sent) => self.sent(sent),
            }
        }
    }

    pub(super) fn sent(&mut self, sent: Sent) {
        let mut next = Some(sent);
        let mut published = 0;
        // Whatever else is known by now: this is woken once for a batch, not once for a row.
        while let Some(Sent { row, result }) = next {
            match result {
                Ok(_) => {
                    published += 1;
                    self.taken(row);
                    self.suspects.remove(&row);
                    self.pipeline.acknowledged(row);
                }
                Err(error) => self.not_sent(row, &error),
            }
            next = self.pipeline.next().now_or_never();
        }
        if published > 0 {
            fault_point::reach("after ack");
            self.summary.published += published;
            self.make_backoff.reset();
            metrics::counter!(names::OUTBOX_PUBLISHED).increment(published);
        }
    }

    pub(super) fn not_sent(&mut self, row: RowId, error: &ProduceError) {
        let refusing = if concerns_destination(error) { self.pipeline.destination(row) } else { None };
        if self.purging_until.is_some() {
            // Of what fails while everything is thrown away, only a refusal means anything.
            if is_refusal(error) {
                self.suspect(row, error);
            }
            if let Some(destination) = refusing {
                self.held.hold(destination, error.to_string(), Instant::now());
            }
            self.pipeline.failed(row);
            return;
        }
        if let Some(destination) = refusing {
            self.suspects.remove(&row);
            self.hold_back(row, destination, error);
            return;
        }
        let taken = self.pipeline.was_taken(row);
        let alone = self.suspects.contains(&row) && self.pipeline.in_flight() == usize::from(taken);
        match error {
            // It was refused before it was taken: nothing else was touched.
            _ if is_refusal(error) && !taken => self.refuse(row, error),
            _ if is_refusal(error) && alone => self.refuse(row, error),
            _ => {
                if is_refusal(error) {
                    // A broker refuses a batch as a whole: the row may only have been in bad company.
                    self.suspect(row, error);
                }
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "a record was not written; the relay begins again"
                );
                self.pipeline.failed(row);
                self.begin_again(error.kind());
            }
        }
    }

    fn suspect(&mut self, row: RowId, error: &ProduceError) {
        self.suspects.insert(row);
        self.too_large.insert(row, error);
    }

    pub(super) fn refuse(&mut self, row: RowId, error: &(dyn std::error::Error + 'static)) {
        self.suspects.remove(&row);
        // This, too, is a step forward.
        self.make_backoff.reset();
        tracing::error!(bucket = row.bucket, id = row.id, error, "an event is refused; it is parked");
        self.pipeline.refused(row, error.to_string());
    }

    /// Throw away what is under way; when that is known to have ended, begin again from the table.
    pub(super) fn begin_again(&mut self, why: &'static str) {
        self.pipeline.clear_queue();
        self.settled.reset();
        if self.purging_until.is_some() {
            return;
        }
        self.summary.restarts += 1;
        metrics::counter!(names::OUTBOX_RESTARTS, names::ERROR_TYPE => why).increment(1);
        if let Some(producer) = &self.producer {
            producer.purge();
        }
        self.purging_until = Some(Instant::now() + PURGE_TIMEOUT);
    }

    pub(super) fn purged(&mut self, now: Instant) {
        self.purging_until = None;
        self.pipeline.abandon();
        self.order.clear();
        self.settled.reset();
        self.producer = None;
        self.start_fitting();
        self.make_at = now + self.make_backoff.next();
        self.poll_at = now;
    }
}

/// Whether Kafka will refuse this record again.
fn is_refusal(error: &ProduceError) -> bool {
    use ProduceError as E;
    matches!(error, E::TooLarge { .. } | E::Refused { retryable: false, .. })
}
