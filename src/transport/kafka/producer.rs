//! Writes records to Kafka.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext, PurgeConfig};
use tokio::sync::Notify;

use super::client_context::{self, ClientEvents};
use super::delivery::{Acknowledged, Acknowledgement};
use super::produce_error::produce_error;
use super::{KafkaError, KafkaOptions, ProducerOptions, native_flush, native_headers};
use crate::transport::{DeliveryObserver, Headers, OutgoingRecord, ProduceError, Producer, Written};

/// How long one turn of the client's thread waits for events; also how long it may take to notice that it is to end.
const POLL: Duration = Duration::from_millis(100);
/// How long a dropped producer waits for the results of what it threw away.
const PURGE: Duration = Duration::from_secs(5);

/// Writes records to Kafka through librdkafka. A cheap handle.
///
/// A thread of its own takes the acknowledgements. Dropping the last handle throws away what is not yet acknowledged, and
/// resolves it to [`ProduceError::Purged`]; [`flush`](Producer::flush) first. Dropping does not block: the client ends on
/// its own thread.
#[derive(Clone)]
pub struct KafkaProducer {
    handle: Arc<Handle>,
}

struct Handle {
    // The order matters: see `End`.
    client: Arc<BaseProducer<Deliveries>>,
    _end: End,
}

impl KafkaProducer {
    /// A producer. Connects in the background: brokers that are away show when records are sent.
    ///
    /// # Errors
    /// A property is unknown, malformed, or weakens what `options` ask for.
    pub fn new(kafka: &KafkaOptions, options: &ProducerOptions) -> Result<Self, KafkaError> {
        Self::observed(kafka, options, None)
    }

    /// A producer whose results `observer` is told of, whether or not someone awaits them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn observed(
        kafka: &KafkaOptions,
        options: &ProducerOptions,
        observer: Option<Arc<dyn DeliveryObserver>>,
    ) -> Result<Self, KafkaError> {
        let config = options.to_client_config(kafka)?;
        let context = Deliveries {
            events: ClientEvents::default(),
            observer,
            outstanding: AtomicUsize::new(0),
            none_outstanding: Notify::new(),
        };
        let client: BaseProducer<Deliveries> =
            config.create_with_context(context).map_err(|error| KafkaError::from_configuration(&error))?;
        let client = Arc::new(client);
        let ended = Arc::new(AtomicBool::new(false));
        let thread = {
            let (client, ended) = (Arc::clone(&client), Arc::clone(&ended));
            std::thread::Builder::new().name("tidings-producer".to_owned()).spawn(move || serve(client, &ended))
        };
        thread.map_err(|error| KafkaError::Client { reason: format!("its thread could not start: {error}") })?;
        Ok(Self { handle: Arc::new(Handle { client, _end: End(ended) }) })
    }

    /// How many records are not yet acknowledged.
    pub fn outstanding(&self) -> usize {
        self.handle.client.context().outstanding.load(Ordering::Acquire)
    }

    /// Why this producer failed for good, if it did: it must be made again.
    pub fn fatal_error(&self) -> Option<String> {
        self.handle.client.client().fatal_error().map(|(_, reason)| reason)
    }
}

impl Producer for KafkaProducer {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let client = &self.handle.client;
        let deliveries = client.context();
        let acknowledgement = Acknowledgement::new(Arc::clone(&record.topic), record.size());
        let mut outgoing = BaseRecord::with_opaque_to(&record.topic, Arc::clone(&acknowledgement));
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.payload.as_deref();
        outgoing.partition = record.partition;
        outgoing.timestamp = record.timestamp_ms;
        outgoing.headers = native_headers::write(&record.headers);
        deliveries.outstanding.fetch_add(1, Ordering::AcqRel);
        let Err((error, _)) = client.send(outgoing) else { return Ok(Acknowledged(acknowledgement).boxed()) };
        deliveries.one_done();
        if deliveries.events.fatal().is_none()
            && let Some(reason) = self.fatal_error()
        {
            deliveries.events.record(RDKafkaErrorCode::Fatal, &reason);
        }
        Err(produce_error(&error, &record.topic, acknowledgement.bytes, &deliveries.events))
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        let handle = Arc::clone(&self.handle);
        async move {
            let deliveries = handle.client.context();
            if deliveries.outstanding.load(Ordering::Acquire) > 0 {
                let handle = Arc::clone(&handle);
                let thread = std::thread::Builder::new().name("tidings-flush".to_owned());
                // Without it records are sent all the same, once they have lingered.
                let _ = thread.spawn(move || native_flush::flush(&handle.client, deadline));
            }
            let _ = tokio::time::timeout(deadline, deliveries.wait_for_none()).await;
            deliveries.outstanding.load(Ordering::Acquire)
        }
        .boxed()
    }

    fn purge(&self) {
        self.handle.client.purge(PurgeConfig::default().queue().inflight());
    }
}

impl fmt::Debug for KafkaProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KafkaProducer").field("outstanding", &self.outstanding()).finish_non_exhaustive()
    }
}

/// The client's thread: takes acknowledgements until the last handle is gone, then ends the client, which blocks.
fn serve(client: Arc<BaseProducer<Deliveries>>, ended: &AtomicBool) {
    while !ended.load(Ordering::Acquire) {
        client.poll(POLL);
    }
    client.purge(PurgeConfig::default().queue().inflight());
    let start = Instant::now();
    while client.in_flight_count() > 0 && start.elapsed() < PURGE {
        client.poll(POLL);
    }
    drop(client);
}

/// Tells the client's thread to end. Dropped after the handle's own reference, so that the thread holds the last one.
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What the client's thread is told.
struct Deliveries {
    events: ClientEvents,
    observer: Option<Arc<dyn DeliveryObserver>>,
    outstanding: AtomicUsize,
    none_outstanding: Notify,
}

impl Deliveries {
    fn one_done(&self) {
        if self.outstanding.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none_outstanding.notify_waiters();
        }
    }

    async fn wait_for_none(&self) {
        loop {
            let mut notified = std::pin::pin!(self.none_outstanding.notified());
            notified.as_mut().enable();
            if self.outstanding.load(Ordering::Acquire) == 0 {
                return;
            }
            notified.await;
        }
    }

    fn observe(&self, headers: impl FnOnce() -> Headers, topic: &str, result: &Result<Written, ProduceError>) {
        let Some(observer) = &self.observer else { return };
        // A panic here would end the thread that all acknowledgements need.
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match result {
            Ok(_) => observer.written(topic),
            Err(error) => observer.failed(topic, &headers(), error),
        }));
        if told.is_err() {
            tracing::error!(topic, "the observer of deliveries panicked");
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_context::log(level, facility, message);
    }

    fn error(&self, error: RdKafkaError, reason: &str) {
        self.events.error(error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Acknowledgement>;

    fn delivery(&self, result: &DeliveryResult<'_>, acknowledgement: Arc<Acknowledgement>) {
        let outcome = match result {
            Ok(message) => {
                self.events.recovered();
                Ok(Written {
                    partition: message.partition(),
                    offset: Some(message.offset()).filter(|offset| *offset >= 0),
                })
            }
            Err((error, _)) => Err(produce_error(error, &acknowledgement.topic, acknowledgement.bytes, &self.events)),
        };
        let headers = || match result {
            Ok(message) | Err((_, message)) => native_headers::of(message),
        };
        self.observe(headers, &acknowledgement.topic, &outcome);
        acknowledgement.complete(outcome);
        self.one_done();
    }
}
