//! Straight to Kafka, with the acknowledgement the caller asks for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tracing::Span;

use super::observe::Observe;
use super::{PendingReceipt, PublishError, PublisherOptions, ReadyEvent};
use crate::transport::kafka::{KafkaProducer, topics};
use crate::transport::{Acks, ProduceError, Producer};

/// Kafka's default `max.message.bytes`, assumed where the broker does not tell.
const DEFAULT_LIMIT: u32 = 1_048_588;
/// What a batch of one adds to its record, in bytes.
const BATCH_OVERHEAD: usize = 61;
/// How often room is looked for in a full queue.
const ROOM: Duration = Duration::from_millis(2);
/// How long the client's thread may take to report what was thrown away.
const REPORTS: Duration = Duration::from_secs(5);

/// The producers, one for each kind of acknowledgement, made when first used.
pub(super) struct FireAndForget {
    topic: Arc<str>,
    options: PublisherOptions,
    observe: Arc<Observe>,
    limit: OnceCell<u32>,
    // `None` once closed.
    producers: Mutex<Option<Producers>>,
    // Made by the caller, for tests: it does not know the observer.
    foreign: bool,
}

type Producers = [Option<Arc<dyn Producer>>; 3];

impl FireAndForget {
    pub(super) fn new(
        topic: Arc<str>,
        options: PublisherOptions,
        observe: Arc<Observe>,
        limit: Option<u32>,
        producer: Option<Arc<dyn Producer>>,
    ) -> Self {
        let foreign = producer.is_some();
        let limit = limit.or(foreign.then_some(DEFAULT_LIMIT));
        Self {
            topic,
            options,
            observe,
            limit: OnceCell::new_with(limit),
            producers: Mutex::new(Some([producer.clone(), producer.clone(), producer])),
            foreign,
        }
    }

    pub(super) fn observe(&self) -> &Observe {
        &self.observe
    }

    /// The largest batch the topic takes, in bytes; asked for once.
    pub(super) async fn limit(&self) -> u32 {
        let ask = async || {
            let name = self.topic.to_string();
            match topics::show(&self.options.kafka, &[name], self.options.connect_deadline).await {
                Ok(states) => states.first().and_then(|state| state.max_message_bytes).unwrap_or(DEFAULT_LIMIT),
                Err(error) => {
                    tracing::warn!(
                        topic = &*self.topic,
                        error = &error as &dyn std::error::Error,
                        limit = DEFAULT_LIMIT,
                        "the topic's max.message.bytes is not known; Kafka's default is assumed"
                    );
                    DEFAULT_LIMIT
                }
            }
        };
        *self.limit.get_or_init(ask).await
    }

    /// Refuse an event that its topic would refuse.
    pub(super) async fn check_size(&self, event: &ReadyEvent, bytes: usize) -> Result<(), PublishError> {
        let (bytes, limit) = (bytes + BATCH_OVERHEAD, self.limit().await as usize);
        if bytes <= limit {
            return Ok(());
        }
        let topic = Arc::clone(&event.topic);
        Err(PublishError::TooLarge { event: event.name(), id: event.envelope.id, topic, bytes, limit })
    }

    /// Take `event` into the queue, waiting for room there until the deadline.
    pub(super) async fn enqueue(
        &self,
        event: ReadyEvent,
        acks: Acks,
        span: Span,
    ) -> Result<PendingReceipt, PublishError> {
        let started = Instant::now();
        let (name, id) = (event.name(), event.envelope.id);
        let record = event.to_record();
        self.check_size(&event, record.size()).await?;
        let producer = self.producer(acks).await?;
        let mut written = loop {
            match producer.enqueue(&record) {
                Ok(written) => break written,
                Err(ProduceError::QueueFull { .. }) if started.elapsed() < self.options.send_deadline => {
                    tokio::time::sleep(ROOM).await;
                }
                Err(source) => {
                    if matches!(source, ProduceError::Fatal { .. }) {
                        self.forget(acks, &producer);
                    }
                    return Err(PublishError::NotWritten { event: name, id, source });
                }
            }
        };
        if self.foreign {
            let observe = Arc::clone(&self.observe);
            written = written.inspect(move |result| observe.ended(&record, result)).boxed();
        }
        let duration = self.observe.duration.clone();
        Ok(PendingReceipt { id, event: name, started, duration, span, written })
    }

    async fn producer(&self, acks: Acks) -> Result<Arc<dyn Producer>, PublishError> {
        if let Some(producer) = self.made(acks)? {
            return Ok(producer);
        }
        let options = self.options.producer(acks, self.limit().await);
        let mut producers = self.producers.lock();
        let slot = &mut producers.as_mut().ok_or(PublishError::Closed)?[acks as usize];
        if let Some(producer) = slot {
            return Ok(Arc::clone(producer));
        }
        let observer = Arc::clone(&self.observe);
        let producer: Arc<dyn Producer> =
            Arc::new(KafkaProducer::observed(&self.options.kafka, &options, Some(observer))?);
        *slot = Some(Arc::clone(&producer));
        Ok(producer)
    }

    /// A producer that failed for good is made again for the next event.
    fn forget(&self, acks: Acks, failed: &Arc<dyn Producer>) {
        if let Some(producers) = self.producers.lock().as_mut()
            && !self.foreign
            && producers[acks as usize].as_ref().is_some_and(|producer| Arc::ptr_eq(producer, failed))
        {
            producers[acks as usize] = None;
        }
    }

    fn made(&self, acks: Acks) -> Result<Option<Arc<dyn Producer>>, PublishError> {
        Ok(self.producers.lock().as_ref().ok_or(PublishError::Closed)?[acks as usize].clone())
    }

    /// Wait for all acknowledgements, at most until the deadline; then throw away what is left, and say how many those were.
    pub(super) async fn close(&self, deadline: Duration) -> usize {
        let Some(producers) = self.producers.lock().take() else { return 0 };
        let mut producers: Vec<_> = producers.into_iter().flatten().collect();
        producers.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let left = join_all(producers.iter().map(|producer| producer.flush(deadline))).await.iter().sum();
        if left > 0 {
            for producer in &producers {
                producer.purge();
            }
            // A process that ends now would tell nobody what it threw away.
            join_all(producers.iter().map(|producer| producer.flush(REPORTS))).await;
        }
        left
    }
}

impl fmt::Debug for FireAndForget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FireAndForget").field("topic", &self.topic).finish_non_exhaustive()
    }
}
