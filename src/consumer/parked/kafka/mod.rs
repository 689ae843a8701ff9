//! Parked events in a compacted topic.
//!
//! The topic has one partition, so its records have one order: what is parked, removed and asked for is what they say when they are
//! read from the first to the last. A record's key names the group, the topic, the partition, the key and the offset of an event, so
//! that compaction keeps each event; its value is the event's payload, its headers are the event's own and, behind them, why it is
//! parked. A tombstone removes it. A request is a record, too.

mod first;
mod index;
mod reading;
mod stored;
mod topic;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use self::reading::{Answer, Question, Reading, Unread};
use self::stored::Subject;
use self::topic::largest_record;
pub use self::topic::{ParkedTopicError, ensure_parked_topic, parked_topic};
use super::{ParkCause, ParkError, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore};
use crate::transport::kafka::{KafkaError, KafkaOptions, KafkaProducer, ProducerOptions};
use crate::transport::{OutgoingRecord, Producer, TopicPartition};

/// How a [`KafkaParkedStore`] reads and writes.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `topic` | the group's name and `.parked` | |
/// | `largest_record` | 1 MiB | bytes |
/// | `patience` | 15 s | |
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct KafkaParkedOptions {
    topic: Option<String>,
    largest_record: u32,
    patience: Duration,
}

impl KafkaParkedOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The topic. Default: the group's name and `.parked`.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// The largest record of the topics whose events are parked, in bytes: their `max.message.bytes`. Default: 1 MiB.
    pub fn largest_record(mut self, bytes: u32) -> Self {
        self.largest_record = bytes;
        self
    }

    /// How long the brokers may say nothing before a call fails; while records come, reading goes on. Default: 15 s.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.max(Duration::from_millis(1));
        self
    }
}

impl Default for KafkaParkedOptions {
    fn default() -> Self {
        Self { topic: None, largest_record: 1024 * 1024, patience: Duration::from_secs(15) }
    }
}

/// Keeps parked events in a compacted topic, which [`ensure_parked_topic`] creates. A cheap handle.
///
/// Where each event stands in the topic is kept in memory, by every member of the group: about 50 bytes an event and 200 a key, beside
/// the keys themselves. The events are not; they are read again when they are wanted. The topic is read to its end when something
/// is first asked, and every answer has seen all that was written before. Records that make no sense are ignored and
/// [counted](Self::ignored).
#[derive(Clone)]
pub struct KafkaParkedStore {
    shared: Arc<Shared>,
}

struct Shared {
    kafka: KafkaOptions,
    options: KafkaParkedOptions,
    producer: KafkaProducer,
    ignored: Arc<AtomicU64>,
    topics: Mutex<FxHashMap<Arc<str>, mpsc::UnboundedSender<Question>>>,
}

/// The thread that reads the topic has ended.
#[derive(Debug, thiserror::Error)]
#[error("the thread that reads parked events has ended; this is a bug in tidings")]
struct Ended;

impl KafkaParkedStore {
    /// The parked events on these brokers. Connects when something is first asked.
    ///
    /// # Errors
    /// A property of the client cannot be used.
    pub fn new(kafka: &KafkaOptions, options: KafkaParkedOptions) -> Result<Self, KafkaError> {
        let producer = ProducerOptions::new().fitting(largest_record(options.largest_record));
        let producer = KafkaProducer::new(kafka, &producer)?;
        let (ignored, topics) = (Arc::default(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { kafka: kafka.clone(), options, producer, ignored, topics }) })
    }

    /// How many records of the topic were ignored, because they made no sense.
    pub fn ignored(&self) -> u64 {
        self.shared.ignored.load(Ordering::Relaxed)
    }

    fn topic(&self, group: &str) -> Arc<str> {
        let named = self.shared.options.topic.as_deref();
        named.map_or_else(|| parked_topic(group).into(), Into::into)
    }

    /// Whoever reads the topic of `group`.
    fn reading(&self, group: &str) -> Result<mpsc::UnboundedSender<Question>, Unread> {
        let topic = self.topic(group);
        let mut topics = self.shared.topics.lock();
        if let Some(reading) = topics.get(&topic).filter(|reading| !reading.is_closed()) {
            return Ok(reading.clone());
        }
        let Shared { kafka, options, ignored, .. } = &*self.shared;
        let reading = Reading::new(kafka.clone(), Arc::clone(&topic), options.patience, Arc::clone(ignored)).start()?;
        topics.insert(topic, reading.clone());
        Ok(reading)
    }

    async fn ask<T>(
        &self,
        operation: &'static str,
        group: &str,
        question: impl FnOnce(Answer<T>) -> Question,
    ) -> Result<T, ParkError> {
        let failed = |error: Unread| ParkError::new(operation, error);
        let (answer, answered) = oneshot::channel();
        let ended = |_| ParkError::new(operation, Ended);
        self.reading(group).map_err(failed)?.send(question(answer)).map_err(|_| ParkError::new(operation, Ended))?;
        answered.await.map_err(ended)?.map_err(failed)
    }

    async fn write(&self, operation: &'static str, records: Vec<OutgoingRecord>) -> Result<(), ParkError> {
        let written = records.into_iter().map(|record| self.shared.producer.send(record));
        try_join_all(written).await.map(drop).map_err(|error| ParkError::new(operation, error))
    }

    /// The offsets of a key's events; `None` when it is not parked.
    async fn offsets(&self, operation: &'static str, key: &ParkedKeyId) -> Result<Option<Vec<i64>>, ParkError> {
        let of_key = key.clone();
        self.ask(operation, &key.group, |answer| Question::Offsets { key: of_key, answer }).await
    }

    /// Why an event is parked, if it is.
    async fn cause(&self, key: ParkedKeyId, offset: i64) -> Result<Option<ParkCause>, ParkError> {
        let group = Arc::clone(&key.group);
        self.ask("keep", &group, |answer| Question::Cause { key, offset, answer }).await
    }

    /// What is asked of a key.
    async fn asked(&self, operation: &'static str, key: &ParkedKeyId) -> Result<Option<ParkRequest>, ParkError> {
        let (group, partitions) = (Arc::clone(&key.group), vec![key.partition.clone()]);
        let keys = self.ask(operation, &key.group, |answer| Question::Keys { group, partitions, answer }).await?;
        Ok(keys.into_iter().find(|parked| parked.key == key.key).and_then(|parked| parked.request))
    }

    async fn forget_if_empty(&self, key: ParkedKeyId) -> Result<(), ParkError> {
        if self.offsets("remove", &key).await?.is_none_or(|offsets| !offsets.is_empty()) {
            return Ok(());
        }
        let topic = self.topic(&key.group);
        self.write("remove", vec![Subject::request(key).tombstone(&topic)]).await
    }

    async fn discard_all(&self, key: ParkedKeyId) -> Result<(), ParkError> {
        let topic = self.topic(&key.group);
        // In this order: what is parked by somebody else from here on is not discarded, whatever is asked for by then.
        let offsets = self.offsets("remove", &key).await?;
        if self.asked("remove", &key).await? != Some(ParkRequest::Discard) {
            return Ok(());
        }
        // First the events: the request to discard them is gone only with the last one.
        let events = offsets.unwrap_or_default().into_iter().map(|offset| Subject::event(key.clone(), offset));
        self.write("remove", events.map(|event| event.tombstone(&topic)).collect()).await?;
        self.write("remove", vec![Subject::request(key).tombstone(&topic)]).await
    }

    async fn ask_for(&self, key: ParkedKeyId, request: Option<ParkRequest>) -> Result<bool, ParkError> {
        if self.offsets("ask about", &key).await?.is_none() {
            return Ok(false);
        }
        let topic = self.topic(&key.group);
        let record = match request {
            Some(request) => stored::write_request(&topic, key, request),
            None => Subject::request(key).tombstone(&topic),
        };
        self.write("ask about", vec![record]).await.map(|()| true)
    }
}

impl ParkedStore for KafkaParkedStore {
    fn keys(
        &self,
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'static, Result<Vec<ParkedKey>, ParkError>> {
        let store = self.clone();
        async move {
            let of_group = Arc::clone(&group);
            store.ask("list", &of_group, |answer| Question::Keys { group, partitions, answer }).await
        }
        .boxed()
    }

    fn park(&self, group: Arc<str>, mut record: ParkedRecord) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move {
            let topic = store.topic(&group);
            let key = ParkedKeyId { group, partition: record.partition.clone(), key: record.key.clone() };
            if record.cause.is_none() {
                // Compaction takes the record away that it replaces, so the new one says why, too.
                record.cause = store.cause(key.clone(), record.offset).await?;
            }
            store.write("keep", vec![stored::write_event(&topic, key, &record)]).await
        }
        .boxed()
    }

    fn records(&self, key: ParkedKeyId, limit: usize) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        let store = self.clone();
        async move {
            let group = Arc::clone(&key.group);
            store.ask("read", &group, |answer| Question::Records { key, limit, bytes: usize::MAX, answer }).await
        }
        .boxed()
    }

    fn records_within(
        &self,
        key: ParkedKeyId,
        limit: usize,
        bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        let store = self.clone();
        async move {
            let group = Arc::clone(&key.group);
            store.ask("read", &group, |answer| Question::Records { key, limit, bytes, answer }).await
        }
        .boxed()
    }

    fn remove(&self, key: ParkedKeyId, offset: i64) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move {
            let topic = store.topic(&key.group);
            store.write("remove", vec![Subject::event(key, offset).tombstone(&topic)]).await
        }
        .boxed()
    }

    fn forget(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.forget_if_empty(key).await }.boxed()
    }

    fn discard(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.discard_all(key).await }.boxed()
    }

    fn answer(
        &self,
        key: ParkedKeyId,
        asked: ParkRequest,
        then: Option<ParkRequest>,
    ) -> BoxFuture<'static, Result<bool, ParkError>> {
        let store = self.clone();
        async move {
            if store.asked("ask about", &key).await? == Some(asked) {
                store.ask_for(key, then).await
            } else {
                Ok(false)
            }
        }
        .boxed()
    }

    fn request(&self, key: ParkedKeyId, request: Option<ParkRequest>) -> BoxFuture<'static, Result<bool, ParkError>> {
        let store = self.clone();
        async move { store.ask_for(key, request).await }.boxed()
    }
}

impl fmt::Debug for KafkaParkedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaParkedStore")
            .field("options", &self.shared.options)
            .field("ignored", &self.ignored())
            .finish_non_exhaustive()
    }
}
