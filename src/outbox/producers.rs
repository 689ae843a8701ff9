//! Where a relay gets its producers: it drops one that failed and makes another.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use parking_lot::Mutex;

use crate::publisher::Publisher;
use crate::transport::kafka::topics::{self, TopicState};
use crate::transport::kafka::{KafkaOptions, KafkaProducer, ProducerOptions};
use crate::transport::{Producer, Target};

/// How long the brokers may take to say how durable topics are.
const ASKING: Duration = Duration::from_secs(5);
/// The largest batch, in bytes.
const LARGEST_BATCH: u32 = 1_000_000;

/// Makes producers for a relay.
///
/// They must acknowledge from all replicas, keep the order of the calls, and **fail rather than let the successors of a failed
/// record pass**. A closure that returns an `Arc<dyn Producer>` is one, for tests.
pub trait ProducerFactory: Send + Sync + 'static {
    /// A new producer. Does not block.
    ///
    /// # Errors
    /// It cannot be made; the relay tries again, later and later.
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>>;

    /// Where its producers can go. Rows for other targets are left to other relays. Default: Kafka.
    fn targets(&self) -> &'static [Target] {
        &[Target::Kafka]
    }

    /// Asked once, before the first producer is made: look at the topics, and say what about them cannot keep the outbox's
    /// promise. Default: nothing.
    fn prepare(&self) -> BoxFuture<'_, Vec<String>> {
        ready(Vec::new()).boxed()
    }

    /// Asked before another producer is made, where a broker refused records for `topics` as too large: how much each of them takes at
    /// once, in bytes, where that is known. The next producer fits its batches to that. Default: nothing is known.
    fn fit(&self, topics: Vec<String>) -> BoxFuture<'_, BTreeMap<String, u32>> {
        drop(topics);
        ready(BTreeMap::new()).boxed()
    }
}

impl<F: Fn() -> Arc<dyn Producer> + Send + Sync + 'static> ProducerFactory for F {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self())
    }
}

/// Producers that write to Kafka without gaps: [`ProducerOptions::relay`].
#[derive(Debug)]
pub struct KafkaProducers {
    kafka: KafkaOptions,
    topics: Vec<String>,
    /// How much each topic takes at once, in bytes, as far as that was asked.
    limits: Mutex<BTreeMap<String, u32>>,
}

impl KafkaProducers {
    /// Producers for the brokers of `kafka`. Name the [topics](Self::topic) that are written to, as far as they are known.
    pub fn new(kafka: KafkaOptions) -> Self {
        Self { kafka, topics: Vec::new(), limits: Mutex::default() }
    }

    /// Producers for the brokers and the topic of `publisher`.
    pub fn of(publisher: &Publisher) -> Self {
        Self::new(publisher.options().brokers().clone()).topic(&**publisher.service())
    }

    /// Fit batches to what `topic` takes, and check how durable it is. The relay asks the brokers when it starts. What others take it
    /// asks when a batch of theirs was too large; until then 1 MB is assumed, which is less than Kafka's default.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    fn learn(&self, topics: &[TopicState]) {
        let known = topics.iter().filter_map(|topic| Some((topic.name.clone(), topic.max_message_bytes?)));
        self.limits.lock().extend(known);
    }

    fn options(&self) -> ProducerOptions {
        // A batch must fit the topic that takes least. Records are the brokers' to judge, who know their limits of today.
        let least = self.limits.lock().values().copied().min();
        ProducerOptions::relay().batch_bytes(least.unwrap_or(LARGEST_BATCH).min(LARGEST_BATCH))
    }
}

impl ProducerFactory for KafkaProducers {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Arc::new(KafkaProducer::new(&self.kafka, &self.options())?))
    }

    fn prepare(&self) -> BoxFuture<'_, Vec<String>> {
        async {
            if self.topics.is_empty() {
                return Vec::new();
            }
            match topics::show(&self.kafka, &self.topics, ASKING).await {
                Ok(states) => {
                    self.learn(&states);
                    states.iter().filter_map(weakness).collect()
                }
                Err(error) => vec![format!("the topics' settings could not be read: {error}")],
            }
        }
        .boxed()
    }

    fn fit(&self, topics: Vec<String>) -> BoxFuture<'_, BTreeMap<String, u32>> {
        async move {
            match topics::show(&self.kafka, &topics, ASKING).await {
                Ok(states) => self.learn(&states),
                Err(error) => tracing::warn!(%error, "how much topics take could not be asked"),
            }
            let limits = self.limits.lock();
            topics.into_iter().filter_map(|topic| limits.get(&topic).copied().map(|limit| (topic, limit))).collect()
        }
        .boxed()
    }
}

fn weakness(topic: &TopicState) -> Option<String> {
    let TopicState { name, replication, min_insync_replicas, .. } = topic;
    if *replication < 2 {
        return Some(format!("topic {name} has one replica: losing its broker loses events"));
    }
    let least = min_insync_replicas.filter(|least| *least < 2)?;
    Some(format!("min.insync.replicas of topic {name} is {least}: acknowledged events can be lost with one broker"))
}
