//! The task that runs a handler of batches.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, select};

use crate::consumer::attempt::{HandlerTimeout, panic_error};
use crate::consumer::completions::{Completions, Report};
use crate::dispatch::{BatchFuture, Delivery, failed};
use crate::outcome::{ErrorClass, HandlerError, Outcome};

/// The deliveries of a batch that runs. Their hooks hold on to what they complete: a handler that is cancelled must let go of it,
/// whoever still has its deliveries.
struct Hooked(Vec<Delivery>);

impl Drop for Hooked {
    fn drop(&mut self) {
        drop(Delivery::take_batch_hook(&self.0));
        for delivery in &self.0 {
            drop(delivery.take_completion_hooks());
        }
    }
}

/// Run a handler of batches, and what its deliveries ask for behind it, until `timeout` ends after `limit`.
pub(super) async fn run_batch(
    future: std::thread::Result<BatchFuture>,
    deliveries: Vec<Delivery>,
    limit: Duration,
    mut timeout: BoxFuture<'static, ()>,
) -> Vec<Outcome> {
    let deliveries = Hooked(deliveries);
    let events = deliveries.0.len();
    let timed_out = || HandlerError::new(ErrorClass::Timeout, HandlerTimeout(limit));
    let outcomes = match future {
        Ok(future) => match select(AssertUnwindSafe(future).catch_unwind(), &mut timeout).await {
            Either::Left((outcomes, _)) => outcomes,
            // As with a single event, what was to follow the handler does not.
            Either::Right(_) => return failed(timed_out(), events),
        },
        Err(panic) => Err(panic),
    };
    let mut outcomes = outcomes.unwrap_or_else(|panic| failed(panic_error(&*panic), events));
    let mut late = false;
    for (delivery, outcome) in deliveries.0.iter().zip(&mut outcomes) {
        for hook in delivery.take_completion_hooks().into_iter().rev() {
            if late {
                *outcome = timed_out().into();
                continue;
            }
            let before = mem::replace(outcome, Outcome::Done);
            let hooked = pin!(AssertUnwindSafe(async { hook(before).await }).catch_unwind());
            *outcome = match select(hooked, &mut timeout).await {
                Either::Left((Ok(outcome), _)) => outcome,
                Either::Left((Err(panic), _)) => panic_error(&*panic).into(),
                Either::Right(_) => {
                    late = true;
                    timed_out().into()
                }
            };
        }
    }
    let Some(hook) = Delivery::take_batch_hook(&deliveries.0) else { return outcomes };
    if late {
        // What it would have completed ends with it.
        return failed(timed_out(), events);
    }
    let hooked = pin!(AssertUnwindSafe(async { hook(outcomes).await }).catch_unwind());
    match select(hooked, &mut timeout).await {
        Either::Left((Ok(outcomes), _)) => outcomes,
        Either::Left((Err(panic), _)) => failed(panic_error(&*panic), events),
        Either::Right(_) => failed(timed_out(), events),
    }
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
