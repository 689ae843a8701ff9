//! Offering events to a store until it answers, and giving up on one that is away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::client::Backoff;
use super::service::with_causes;
use super::{EventStore, NewEvent, Refusal, Relayed, StoreError};
use crate::transport::ProduceError;

/// The most events of one request.
const AT_ONCE: usize = 512;
/// About the most bytes of one request.
const BYTES_AT_ONCE: usize = 2 * 1_024 * 1_024;
/// How long a store that takes nothing is asked again and again before its events are held back.
const PATIENCE: Duration = Duration::from_secs(10);
/// Within what time the relay has heard that a lane gave up: less than its pause before it tries again.
const HEARD: Duration = Duration::from_millis(500);

/// An event for the store, and who waits for its word.
pub(super) struct Item {
    pub(super) event: NewEvent,
    pub(super) answer: oneshot::Sender<Result<(), ProduceError>>,
}

/// Take what comes to the store, a batch at a time.
pub(super) async fn lane(store: Arc<dyn EventStore>, mut items: mpsc::UnboundedReceiver<Item>) {
    let mut gave_up: Option<(Arc<StoreError>, Instant)> = None;
    while let Some(first) = items.recv().await {
        // What the relay sent before it heard that the store takes nothing: it must not come before what was given up.
        if let Some((error, at)) = &gave_up
            && at.elapsed() < HEARD
        {
            first.answer(Err(Arc::clone(error)));
            continue;
        }
        let mut bytes = first.event.bytes();
        let mut batch = vec![first];
        while batch.len() < AT_ONCE && bytes < BYTES_AT_ONCE {
            let Ok(item) = items.try_recv() else { break };
            bytes += item.event.bytes();
            batch.push(item);
        }
        gave_up = take(&*store, batch).await.map(|error| (error, Instant::now()));
    }
}

/// Take a batch there. The error, where the store takes nothing.
async fn take(store: &dyn EventStore, batch: Vec<Item>) -> Option<Arc<StoreError>> {
    let error = match offer(store, &batch).await {
        Ok(results) => {
            for (item, result) in batch.into_iter().zip(results) {
                item.answer(Ok(result));
            }
            return None;
        }
        Err(error) => error,
    };
    // The store takes a request as a whole or not at all: one event that it cannot take must not hold the others.
    if !is_about_the_store(&error) && batch.len() > 1 {
        let mut gave_up: Option<Arc<StoreError>> = None;
        for item in batch {
            if let Some(error) = &gave_up {
                item.answer(Err(Arc::clone(error)));
                continue;
            }
            match offer(store, std::slice::from_ref(&item)).await {
                // As many answers as events.
                Ok(results) => {
                    if let Some(result) = results.into_iter().next() {
                        item.answer(Ok(result));
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    gave_up = is_about_the_store(&error).then(|| Arc::clone(&error));
                    item.answer(Err(error));
                }
            }
        }
        return gave_up;
    }
    let error = Arc::new(error);
    for item in batch {
        item.answer(Err(Arc::clone(&error)));
    }
    is_about_the_store(&error).then_some(error)
}

/// Whether it is not about an event.
fn is_about_the_store(error: &StoreError) -> bool {
    !matches!(error, StoreError::Invalid { .. })
}

/// Send `batch` again and again until it is answered: what was stored is recognised. A store that takes nothing for [`PATIENCE`] is left
/// alone for a while, so that the relay goes on with what goes elsewhere.
async fn offer(store: &dyn EventStore, batch: &[Item]) -> Result<Vec<Relayed>, StoreError> {
    let mut backoff = Backoff::new();
    let mut failures = 0_u32;
    let until = Instant::now() + PATIENCE;
    loop {
        let events = batch.iter().map(|item| item.event.clone()).collect();
        let answered = tokio::time::timeout_at(until, store.relay(events)).await;
        let error = match answered.unwrap_or(Err(StoreError::Deadline)) {
            Ok(results) if results.len() == batch.len() => return Ok(results),
            Ok(results) => {
                // No word against any of them.
                let reason = format!("the store gave {} answers for {} events", results.len(), batch.len());
                StoreError::Unavailable(reason.into())
            }
            Err(error) => error,
        };
        let again = Instant::now() + backoff.next();
        if !error.is_retryable() || again >= until {
            return Err(error);
        }
        failures += 1;
        if failures.is_power_of_two() {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, failures, events = batch.len(), "the event store has not taken events yet");
        }
        tokio::time::sleep_until(again).await;
    }
}

impl Item {
    fn answer(self, result: Result<Relayed, Arc<StoreError>>) {
        let topic: Arc<str> = (&*self.event.envelope.source).into();
        let refused = |reason| Err(ProduceError::Refused { topic: Arc::clone(&topic), reason, retryable: false });
        let result = match result {
            Ok(Relayed::Stored | Relayed::Repeated) => Ok(()),
            // About the token: the events of this source wait, and the others go on.
            Ok(Relayed::Refused(refusal @ Refusal::Forbidden { .. })) => {
                Err(ProduceError::TopicRefused { topic, reason: refusal.to_string() })
            }
            Ok(Relayed::Refused(refusal)) => refused(refusal.to_string()),
            // Only what is wrong with the event itself makes it one to be parked.
            Err(error) if !is_about_the_store(&error) => refused(error.to_string()),
            // The store takes nothing: what goes there waits, and what goes elsewhere does not.
            Err(error) => Err(ProduceError::TopicRefused { topic, reason: with_causes(&*error) }),
        };
        // The relay may have gone.
        let _ = self.answer.send(result);
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use chrono::DateTime;
    use futures_util::future::{BoxFuture, ready};
    use futures_util::stream::{BoxStream, empty};
    use futures_util::{FutureExt as _, StreamExt as _};
    use uuid::Uuid;

    use super::*;
    use crate::store::event::tests::event;
    use crate::store::{Append, Appended, Notice, StoredEvent, StreamQuery, Subscription};

    /// What the store makes of its first request, its second and so on.
    type Script = fn(usize) -> Option<StoreError>;

    #[derive(Debug)]
    struct Scripted(Script, AtomicUsize);

    impl EventStore for Scripted {
        fn append(&self, _: Append) -> BoxFuture<'_, Result<Appended, StoreError>> {
            ready(Err(StoreError::Closed)).boxed()
        }

        fn relay(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Relayed>, StoreError>> {
            let answer = (self.0)(self.1.fetch_add(1, Ordering::Relaxed));
            ready(answer.map_or_else(|| Ok(vec![Relayed::Stored; events.len()]), Err)).boxed()
        }

        fn stored(&self, _: Uuid) -> BoxFuture<'_, Result<(), StoreError>> {
            ready(Err(StoreError::Closed)).boxed()
        }

        fn read(&self, _: StreamQuery) -> BoxStream<'static, Result<StoredEvent, StoreError>> {
            empty().boxed()
        }

        fn subscribe(&self, _: Subscription) -> BoxStream<'static, Result<Notice, StoreError>> {
            empty().boxed()
        }
    }

    async fn answer_of(script: Script) -> (ProduceError, Duration) {
        let (answer, answered) = oneshot::channel();
        let begun = Instant::now();
        take(&Scripted(script, AtomicUsize::new(0)), vec![Item { event: event(DateTime::UNIX_EPOCH), answer }]).await;
        (answered.await.unwrap().unwrap_err(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_store_takes_nothing_of_is_held_back_and_says_why() {
        let away = |_| Some(StoreError::Unavailable(io::Error::from(io::ErrorKind::ConnectionRefused).into()));
        let (error, after) = answer_of(away).await;
        assert!(matches!(&error, ProduceError::TopicRefused { topic, .. } if &**topic == "accounts"), "{error:?}");
        assert!(error.to_string().contains("connection refused"), "{error}");
        assert!((PATIENCE / 2..=PATIENCE).contains(&after), "it may have been away for a moment: {after:?}");
        let (error, after) =
            answer_of(|_| Some(StoreError::Unauthenticated { reason: "it has expired".to_owned() })).await;
        assert!(matches!(error, ProduceError::TopicRefused { .. }), "{error:?}");
        assert_eq!(after, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_that_was_sent_behind_what_a_lane_gave_up_comes_before_it() {
        let fails_once: Script =
            |request| (request == 0).then(|| StoreError::Unauthenticated { reason: "not yet".to_owned() });
        let (sender, items) = mpsc::unbounded_channel();
        let lane = tokio::spawn(lane(Arc::new(Scripted(fails_once, AtomicUsize::new(0))), items));
        let send = || {
            let (answer, answered) = oneshot::channel();
            sender.send(Item { event: event(DateTime::UNIX_EPOCH), answer }).unwrap();
            answered
        };
        assert!(send().await.unwrap().is_err());
        assert!(send().await.unwrap().is_err(), "the store would have taken it");
        tokio::time::advance(HEARD).await;
        assert!(send().await.unwrap().is_ok());
        lane.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_no_store_takes_is_refused_for_good() {
        let (error, _) = answer_of(|_| Some(StoreError::Invalid { reason: "it names no stream".to_owned() })).await;
        assert!(matches!(error, ProduceError::Refused { retryable: false, .. }), "{error:?}");
    }
}
