//! The handle a service publishes with.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use super::fire_and_forget::FireAndForget;
use super::observe::Taking;
use super::{
    DeliveryMode, PendingReceipt, PreparedEvent, PublishError, PublisherBuilder, PublisherOptions, ReadyEvent, Receipt,
    Recorder, StoredEvents,
};
use crate::clock::Clock;
use crate::event::Event;
use crate::fault_point;
use crate::schema::Codec;
use crate::telemetry::spans;
use crate::transport::Acks;

/// What the headers of a sequence and an epoch add to a record, in bytes.
const SEQUENCE_BYTES: usize = 64;

/// Publishes a service's events to the topic of its name. A cheap handle.
#[derive(Debug, Clone)]
pub struct Publisher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    service: Arc<str>,
    options: PublisherOptions,
    codec: Codec,
    clock: Arc<dyn Clock>,
    direct: FireAndForget,
    recorder: Option<Arc<dyn Recorder>>,
    store: Option<Arc<dyn StoredEvents>>,
}

impl Publisher {
    /// A publisher of `options`, to be completed.
    pub fn builder(options: PublisherOptions) -> PublisherBuilder {
        PublisherBuilder::new(options)
    }

    pub(super) fn new(
        service: Arc<str>,
        options: PublisherOptions,
        codec: Codec,
        clock: Arc<dyn Clock>,
        direct: FireAndForget,
        recorder: Option<Arc<dyn Recorder>>,
        store: Option<Arc<dyn StoredEvents>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { service, options, codec, clock, direct, recorder, store }) }
    }

    /// Publish `event` the way the publisher's [mode](DeliveryMode) says: straight to Kafka with the mode's acks, or
    /// recorded first, in a transaction of its own.
    ///
    /// # Errors
    /// It was not published; see [`PublishError`].
    pub async fn publish<E: Event>(&self, event: &E) -> Result<Receipt, PublishError> {
        let mode = self.mode();
        match (mode, &self.inner.recorder) {
            (DeliveryMode::Direct { acks }, _) => self.send(event, acks).await,
            (_, Some(recorder)) => {
                let ready = self.ready_to_record(self.prepare(event)?).await?;
                let id = ready.envelope.id;
                let target = mode.target().unwrap_or_default();
                recorder.record(ready, target).await.map_err(PublishError::NotRecorded)?;
                Ok(Receipt::recorded(id, self.inner.store.clone()))
            }
            (_, None) => {
                let advice = "give the builder a recorder, or publish inside a transaction";
                Err(PublishError::Mode { mode, advice })
            }
        }
    }

    /// Send `event` straight to Kafka and wait until it is acknowledged: fire-and-forget. With [`Acks::None`] that is when it
    /// was handed to the socket. Waits for room in the queue and for the acknowledgement, each at most until the
    /// [send deadline](PublisherOptions::send_deadline).
    ///
    /// # Errors
    /// It was not published, and was counted and reported as dropped; or the publisher's mode is not direct.
    pub async fn send<E: Event>(&self, event: &E, acks: Acks) -> Result<Receipt, PublishError> {
        self.enqueue(event, acks).await?.await
    }

    /// Take `event` into the queue, to be sent straight to Kafka, and hand out its receipt to be awaited: many events can
    /// be under way at once. Events taken one after the other keep that order. Waits only for room in the queue, at most
    /// until the [send deadline](PublisherOptions::send_deadline), and for the registry when an event's schema is new to it.
    ///
    /// # Errors
    /// It was not taken, and was counted and reported as dropped; or the publisher's mode is not direct. One whose future is dropped
    /// before the event is taken is counted and reported, too.
    pub async fn enqueue<E: Event>(&self, event: &E, acks: Acks) -> Result<PendingReceipt, PublishError> {
        let mode = self.mode();
        if !matches!(mode, DeliveryMode::Direct { .. }) {
            let advice = "`send` and `enqueue` would go round it; use `publish`, or publish inside a transaction";
            return Err(PublishError::Mode { mode, advice });
        }
        let prepared = self.prepare(event).inspect_err(|error| self.dropped("", E::NAME, error))?;
        self.enqueue_prepared(prepared, acks).await
    }

    /// Stop taking events, and wait until all that were taken are acknowledged, at most until `deadline`; what is left then
    /// is thrown away, counted and reported as dropped, for which the client's thread is given five seconds more. Returns how many those are.
    pub async fn close(&self, deadline: Duration) -> usize {
        self.inner.direct.close(deadline).await
    }

    /// The service's name, which is also its topic's.
    pub fn service(&self) -> &Arc<str> {
        &self.inner.service
    }

    /// Which way events go.
    pub fn mode(&self) -> DeliveryMode {
        self.inner.options.mode
    }

    /// What it was told.
    pub fn options(&self) -> &PublisherOptions {
        &self.inner.options
    }

    /// What encodes payloads.
    pub fn codec(&self) -> &Codec {
        &self.inner.codec
    }

    /// The clock that events are dated by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Take `event` for publishing, encoded, with its id and its cause.
    pub(crate) fn prepare<E: Event>(&self, event: &E) -> Result<PreparedEvent, PublishError> {
        Ok(PreparedEvent::new(event, &self.inner.codec, &*self.inner.clock)?)
    }

    /// Complete `event` with its schema's id.
    pub(crate) async fn ready(&self, event: PreparedEvent) -> Result<ReadyEvent, PublishError> {
        let Inner { service, codec, clock, .. } = &*self.inner;
        Ok(event.ready(service, codec, &**clock).await?)
    }

    /// Complete `event` for a mode that records it first, and refuse it now if its topic would refuse it later.
    pub(crate) async fn ready_to_record(&self, event: PreparedEvent) -> Result<ReadyEvent, PublishError> {
        let span = spans::create(&self.inner.service, event.name(), event.id());
        let ready = self.ready(event).instrument(span).await?;
        self.inner.direct.check_size(&ready, ready.to_record().size() + SEQUENCE_BYTES).await?;
        if self.mode() == DeliveryMode::Store {
            let (bytes, limit) = (ready.envelope.stored_bytes(&ready.payload), self.options().store_event_bytes);
            if bytes > limit {
                let (event, id) = (ready.name(), ready.envelope.id);
                return Err(PublishError::TooLargeForStore { event, id, bytes, limit });
            }
        }
        Ok(ready)
    }

    /// Take a prepared event into the queue, straight to Kafka.
    pub(crate) async fn enqueue_prepared(
        &self,
        event: PreparedEvent,
        acks: Acks,
    ) -> Result<PendingReceipt, PublishError> {
        let (id, name) = (event.id(), event.name());
        let span = spans::send_directly(&self.inner.service, name, id);
        let taking = Taking::begin(self.inner.direct.observe(), id, name);
        let taken = async {
            let ready = self.ready(event).instrument(span.clone()).await?;
            fault_point::reach("before send");
            let taken = self.inner.direct.enqueue(ready, acks, span.clone()).await;
            fault_point::reach("after send");
            taken
        };
        let taken = taken.await;
        taking.over();
        taken.inspect_err(|error| {
            spans::fail(&span, error.kind());
            self.dropped(&id.to_string(), name, error);
        })
    }

    fn dropped(&self, id: &str, event: &str, error: &PublishError) {
        // The callers of `publish` know what a `NotWritten` is about; the callback wants what happened.
        let told: &(dyn Error + 'static) =
            error.source().filter(|_| matches!(error, PublishError::NotWritten { .. })).unwrap_or(error);
        self.inner.direct.observe().dropped(id, event, error.kind(), told);
    }
}
