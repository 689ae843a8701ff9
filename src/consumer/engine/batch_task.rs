//! The task that runs a handler of batches.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use super::run::HandlerTimeout;
use crate::consumer::attempt::panicked;
use crate::consumer::completions::{Completions, Report};
use crate::dispatch::{BatchFuture, Delivery, failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// Run a handler of batches, and what its deliveries ask for behind it, within `limit`.
pub(super) async fn run_batch(
    future: std::thread::Result<BatchFuture>,
    deliveries: Vec<Delivery>,
    limit: Duration,
) -> Vec<Outcome> {
    let deadline = Instant::now() + limit;
    let timed_out = || HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
    let outcomes = match future {
        Ok(future) => timeout_at(deadline, AssertUnwindSafe(future).catch_unwind()).await,
        Err(panic) => Ok(Err(panic)),
    };
    let mut outcomes = match outcomes {
        Ok(Ok(outcomes)) => outcomes,
        Ok(Err(panic)) => deliveries.iter().map(|_| panicked(&*panic)).collect(),
        // As with a single event, what was to follow the handler does not.
        Err(_) => return failed(timed_out(), deliveries.len()),
    };
    for (delivery, outcome) in deliveries.iter().zip(&mut outcomes) {
        for hook in delivery.take_completion_hooks().into_iter().rev() {
            let before = mem::replace(outcome, Outcome::Done);
            let hooked = AssertUnwindSafe(async { hook(before).await }).catch_unwind();
            *outcome = match timeout_at(deadline, hooked).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(panic)) => panicked(&*panic),
                Err(_) => timed_out().into(),
            };
        }
    }
    outcomes
}

/// A batch's duty to report, as a key's task has it.
pub(super) struct BatchReport {
    completions: Arc<Completions>,
    id: u64,
    sent: bool,
}

impl BatchReport {
    pub(super) fn new(completions: Arc<Completions>, id: u64) -> Self {
        Self { completions, id, sent: false }
    }

    pub(super) fn finish(mut self, outcomes: Vec<Outcome>) {
        self.sent = true;
        self.completions.push(Report::Batch { id: self.id, outcomes: Some(outcomes) });
    }
}

impl Drop for BatchReport {
    fn drop(&mut self) {
        if !self.sent {
            self.completions.push(Report::Batch { id: self.id, outcomes: None });
        }
    }
}
