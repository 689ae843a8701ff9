//! Makes a publisher.

use std::fmt;
use std::sync::Arc;

use super::fire_and_forget::FireAndForget;
use super::observe::{Observe, OnDrop};
use super::{DroppedEvent, Publisher, PublisherError, PublisherOptions, Recorder, StoredEvents};
use crate::clock::{Clock, SystemClock};
use crate::schema::Codec;
use crate::transport::Producer;
use crate::transport::kafka::{TopicSpec, topic_name, topics};

/// Makes a [`Publisher`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct PublisherBuilder {
    options: PublisherOptions,
    codec: Codec,
    clock: Arc<dyn Clock>,
    topic: Option<TopicSpec>,
    producer: Option<Arc<dyn Producer>>,
    recorder: Option<Arc<dyn Recorder>>,
    store: Option<Arc<dyn StoredEvents>>,
    on_drop: Option<OnDrop>,
}

impl PublisherBuilder {
    pub(super) fn new(options: PublisherOptions) -> Self {
        Self {
            options,
            codec: Codec::default(),
            clock: Arc::new(SystemClock::new()),
            topic: None,
            producer: None,
            recorder: None,
            store: None,
            on_drop: None,
        }
    }

    /// What encodes payloads. Default: one without a registry.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The clock that events are dated by. Default: the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The declaration of the service's topic, to be compared with the topic there is. Default: the topic need only exist.
    pub fn topic(mut self, topic: TopicSpec) -> Self {
        self.topic = Some(topic);
        self
    }

    /// Write through `producer` whatever the acks, and ask no broker anything: for tests. What becomes of events is noticed
    /// only where their receipts are awaited.
    pub fn producer(mut self, producer: Arc<dyn Producer>) -> Self {
        self.producer = Some(producer);
        self
    }

    /// What [`Publisher::publish`] hands events to when the mode is not direct.
    pub fn recorder(mut self, recorder: Arc<dyn Recorder>) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// The event store that [`Receipt::stored`](super::Receipt::stored) asks. Default: none.
    pub fn event_store(mut self, store: Arc<dyn StoredEvents>) -> Self {
        self.store = Some(store);
        self
    }

    /// Tell `callback` of every event that was to be published and was not. It is called where the failure is noticed, the
    /// client's own thread among them: it must not block.
    pub fn on_drop(mut self, callback: impl Fn(&DroppedEvent<'_>) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Arc::new(callback));
        self
    }

    /// Make the publisher: checks the service's name and its topic.
    ///
    /// # Errors
    /// The service's name cannot be a topic's; the topic is missing or differs from its declaration; no broker answers within
    /// [`connect_deadline`](PublisherOptions::connect_deadline).
    pub async fn build(self) -> Result<Publisher, PublisherError> {
        if let Some(reason) = topic_name::fault(&self.options.service) {
            return Err(PublisherError::Service { service: self.options.service, reason });
        }
        let service: Arc<str> = self.options.service.as_str().into();
        let limit = if self.options.check_topic && self.producer.is_none() { self.check_topic().await? } else { None };
        let observe = Arc::new(Observe::new(Arc::clone(&service), self.on_drop));
        let direct = FireAndForget::new(Arc::clone(&service), self.options.clone(), observe, limit, self.producer);
        Ok(Publisher::new(service, self.options, self.codec, self.clock, direct, self.recorder, self.store))
    }

    async fn check_topic(&self) -> Result<Option<u32>, PublisherError> {
        let PublisherOptions { service, kafka, connect_deadline, .. } = &self.options;
        let states = match &self.topic {
            Some(topic) => topics::check(kafka, std::slice::from_ref(topic), *connect_deadline).await?,
            None => topics::show(kafka, std::slice::from_ref(service), *connect_deadline).await?,
        };
        Ok(states.first().and_then(|state| state.max_message_bytes))
    }
}

impl fmt::Debug for PublisherBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PublisherBuilder").field("options", &self.options).finish_non_exhaustive()
    }
}
