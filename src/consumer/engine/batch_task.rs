//! The task that runs a handler of batches.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};

use crate::consumer::attempt::{HandlerTimeout, panicked};
use crate::consumer::completions::{Completions, Report};
use crate::dispatch::{BatchFuture, Delivery, failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// Run a handler of batches, and what its deliveries ask for behind it, until `timeout` ends after `limit`.
pub(super) async fn run_batch(
    future: std::thread::Result<BatchFuture>,
    deliveries: Vec<Delivery>,
    limit: Duration,
    mut timeout: BoxFuture<'static, ()>,
) -> Vec<Outcome> {
    let timed_out = || HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
    let outcomes = match future {
        Ok(future) => match select(AssertUnwindSafe(future).catch_unwind(), &mut timeout).await {
            Either::Left((outcomes, _)) => outcomes,
            // As with a single event, what was to follow the handler does not.
            Either::Right(_) => return failed(timed_out(), deliveries.len()),
        },
        Err(panic) => Err(panic),
    };
    let mut outcomes =
        outcomes.unwrap_or_else(|panic| deliveries.iter().map(|_| panicked(&*panic)).collect::<Vec<_>>());
    let mut late = false;
    for (delivery, outcome) in deliveries.iter().zip(&mut outcomes) {
        for hook in delivery.take_completion_hooks().into_iter().rev() {
            if late {
                *outcome = timed_out().into();
                continue;
            }
            let before = mem::replace(outcome, Outcome::Done);
            let hooked = pin!(AssertUnwindSafe(async { hook(before).await }).catch_unwind());
            *outcome = match select(hooked, &mut timeout).await {
                Either::Left((Ok(outcome), _)) => outcome,
                Either::Left((Err(panic), _)) => panicked(&*panic),
                Either::Right(_) => {
                    late = true;
                    timed_out().into()
                }
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
