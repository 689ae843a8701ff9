//! One attempt of a handler, as a future.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tracing::Span;

use crate::causality;
use crate::dispatch::{Delivery, HandlerFuture};
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::telemetry::spans;

/// One attempt of a handler: its causality in force, its panics caught, its completion hooks run.
///
/// Written by hand so that it is `Unpin`: the poll thread polls it once where it stands and moves it into a task only when it
/// is not ready.
pub(crate) struct Attempt {
    delivery: Delivery,
    span: Span,
    stage: Stage,
}

enum Stage {
    Handler(HandlerFuture),
    Hooks(HandlerFuture),
}

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than its timeout of {0:?}")]
pub(crate) struct HandlerTimeout(pub(crate) Duration);

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct HandlerPanic(String);

impl Attempt {
    /// An attempt at `delivery`; `handle` makes the handler's future.
    pub(crate) fn new(delivery: Delivery, handle: impl FnOnce(Delivery) -> HandlerFuture) -> Self {
        let of_handler = delivery.clone();
        let future = catch_unwind(AssertUnwindSafe(|| handle(of_handler)));
        let future = future.unwrap_or_else(|panic| {
            let outcome = panicked(&*panic);
            Box::pin(async { outcome })
        });
        Self { delivery, span: Span::none(), stage: Stage::Handler(future) }
    }

    /// The same attempt, inside `span`.
    pub(crate) fn in_span(mut self, span: Span) -> Self {
        self.span = span;
        self
    }
}

impl Drop for Attempt {
    /// Hooks hold on to what they complete. A handler that is cancelled must let go of it, whoever still has its delivery.
    fn drop(&mut self) {
        drop(self.delivery.take_completion_hooks());
    }
}

impl Future for Attempt {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        let _span = this.span.enter();
        if let Stage::Handler(handler) = &mut this.stage {
            let outcome = ready!(poll_guarded(&this.delivery, handler, context));
            let hooks = this.delivery.take_completion_hooks();
            if hooks.is_empty() {
                return Poll::Ready(told(&this.span, outcome));
            }
            this.stage = Stage::Hooks(Box::pin(async move {
                let mut outcome = outcome;
                for hook in hooks.into_iter().rev() {
                    outcome = hook(outcome).await;
                }
                outcome
            }));
        }
        match &mut this.stage {
            Stage::Handler(future) | Stage::Hooks(future) => {
                poll_guarded(&this.delivery, future, context).map(|outcome| told(&this.span, outcome))
            }
        }
    }
}

/// Tell `span` what came of the attempt.
fn told(span: &Span, outcome: Outcome) -> Outcome {
    if !span.is_disabled()
        && let Some(error) = spans::error_type(&outcome)
    {
        spans::fail(span, error);
    }
    outcome
}

fn poll_guarded(delivery: &Delivery, future: &mut HandlerFuture, context: &mut Context<'_>) -> Poll<Outcome> {
    let poll = AssertUnwindSafe(|| causality::handling(delivery, || future.as_mut().poll(context)));
    catch_unwind(poll).unwrap_or_else(|panic| Poll::Ready(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> Outcome {
    panic_error(panic).into()
}

/// What a handler's panic says.
pub(crate) fn panic_error(panic: &(dyn Any + Send)) -> HandlerError {
    HandlerError::new(ErrorClass::Panic, HandlerPanic(panic_text(panic)))
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "with something other than text".to_owned())
}
