//! Handlers of batches: many events at once, an outcome each.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Delivery, FromDelivery, State};
use crate::outcome::{ErrorClass, HandlerError, IntoOutcome, Outcome};

/// What a handler of batches is while it runs: an outcome for each delivery, in their order.
pub type BatchFuture = Pin<Box<dyn Future<Output = Vec<Outcome>> + Send>>;

/// A value a handler of batches can take behind its events: a `Vec` of what a handler of single events can take, or shared state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from a batch of deliveries",
    label = "a handler of batches cannot take this behind its events",
    note = "use `Vec<Message>` or another `Vec` of what `FromDelivery` is implemented for, or `State<T>`"
)]
pub trait FromDeliveries: Sized + Send {
    /// Whether taking it opens the batch's `Transaction`; see [`FromDelivery::USES_TRANSACTION`]. Default: `false`.
    const USES_TRANSACTION: bool = false;

    /// Take the value.
    fn from_deliveries(deliveries: &[Delivery]) -> impl Future<Output = Result<Self, HandlerError>> + Send;
}

impl<T: FromDelivery> FromDeliveries for Vec<T> {
    /// Not one for each event: each would wait for the other's lock where two events have one stream.
    const USES_TRANSACTION: bool = {
        assert!(
            !T::USES_TRANSACTION,
            "a handler of batches has one transaction for all of its events: take `tx: Transaction`, not a `Vec` of what opens one"
        );
        false
    };

    async fn from_deliveries(deliveries: &[Delivery]) -> Result<Self, HandlerError> {
        let mut values = Self::with_capacity(deliveries.len());
        for delivery in deliveries {
            values.push(T::from_delivery(delivery).await?);
        }
        Ok(values)
    }
}

impl<T: Send + Sync + 'static> FromDeliveries for State<T> {
    async fn from_deliveries(deliveries: &[Delivery]) -> Result<Self, HandlerError> {
        match deliveries.first() {
            Some(delivery) => Self::from_delivery(delivery).await,
            None => Err(HandlerError::new(ErrorClass::Terminal, "a batch without deliveries")),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "the handler was given {events} events and returned {outcomes} outcomes; return one for each event, in their order"
)]
pub(crate) struct OutcomesMissing {
    pub(crate) events: usize,
    pub(crate) outcomes: usize,
}

/// An error that all events of a batch share: nobody knows which of them it is about.
#[derive(Debug, Clone)]
struct SharedError(Arc<HandlerError>);

impl std::fmt::Display for SharedError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source().source()
    }
}

/// The transaction of the batch was rolled back for another of its events, or for nobody knows which: this one has to be handled
/// again.
#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
#[derive(Debug, thiserror::Error)]
#[error("the batch was rolled back because another of its events failed")]
pub(crate) struct RolledBack;

/// Whether an event has this error only because its batch was rolled back.
#[cfg(feature = "consumer")]
pub(crate) fn is_rolled_back(error: &HandlerError) -> bool {
    error.source().is::<RolledBack>()
}

/// Some of a batch's events are not to be handled: the batch is put together anew, without them.
#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
#[derive(Debug, thiserror::Error)]
#[error(
    "the batch has events that were handled before, or that cannot be handled once; it is put together again without them"
)]
pub(crate) struct TakenOut;

/// Whether an event has this error only because others of its batch were taken out.
#[cfg(feature = "consumer")]
pub(crate) fn is_taken_out_for(error: &HandlerError) -> bool {
    shared(error).unwrap_or(error).source().is::<TakenOut>()
}

/// What a handler of batches may return: nothing or `Ok(())` when all events are done, an error when none is, or an outcome for
/// each event, in their order.
///
/// **An error for all of them blames none.** The events are tried again one by one, each in a batch of its own, and nothing is held
/// against them: only what fails by itself has used up an attempt. So one poisoned event is found, and given up alone. A panic, a
/// timeout and an extractor's error are such errors, too; one that says `Unavailable` has all of them tried again together.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an outcome of a batch",
    label = "a handler of batches cannot return this",
    note = "return `tidings::Result<()>`, `Result<(), E>`, `Vec<Outcome>`, `Result<Vec<Outcome>, E>` or `()`"
)]
pub trait IntoOutcomes {
    /// What becomes of the `events` deliveries.
    fn into_outcomes(self, events: usize) -> Vec<Outcome>;
}

impl IntoOutcomes for () {
    fn into_outcomes(self, events: usize) -> Vec<Outcome> {
        (0..events).map(|_| Outcome::Done).collect()
    }
}

impl<T: IntoOutcome> IntoOutcomes for Vec<T> {
    fn into_outcomes(self, events: usize) -> Vec<Outcome> {
        let outcomes = self.len();
        if outcomes == events {
            return self.into_iter().map(IntoOutcome::into_outcome).collect();
        }
        failed(HandlerError::new(ErrorClass::Retryable, OutcomesMissing { events, outcomes }), events)
    }
}

impl<T: IntoOutcomes, E: Into<HandlerError>> IntoOutcomes for Result<T, E> {
    fn into_outcomes(self, events: usize) -> Vec<Outcome> {
        match self {
            Ok(value) => value.into_outcomes(events),
            Err(error) => failed(error.into(), events),
        }
    }
}

/// The error that a batch shares, where `error` is one.
#[cfg(any(feature = "consumer", feature = "mysql", feature = "sqlite"))]
pub(crate) fn shared(error: &HandlerError) -> Option<&HandlerError> {
    error.source().downcast_ref::<SharedError>().map(|shared| &*shared.0)
}

/// The same error for each of the events.
pub(crate) fn failed(error: HandlerError, events: usize) -> Vec<Outcome> {
    let class = error.class();
    let error = SharedError(Arc::new(error));
    (0..events).map(|_| Outcome::from(HandlerError::new(class, error.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_is_the_outcome_of_every_event_and_keeps_its_class() {
        let error: Result<(), _> = Err(HandlerError::from("away").terminal());
        let outcomes = error.into_outcomes(3);
        assert_eq!(outcomes.len(), 3);
        for outcome in outcomes {
            let Outcome::Retry { error, .. } = outcome else { panic!("{outcome:?}") };
            assert_eq!((error.is_terminal(), error.chain()), (true, "away".to_owned()));
            assert!(shared(&error).is_some());
        }
    }

    #[test]
    fn outcomes_that_are_not_as_many_as_events_fail_all_of_them() {
        let outcomes = vec![Outcome::Done].into_outcomes(2);
        assert_eq!(outcomes.len(), 2);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Retry { .. })));
    }
}
