//! Where a relay gets its producers: it drops one that failed and makes another.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::transport::Producer;
use crate::transport::kafka::topics::{self, TopicState};
use crate::transport::kafka::{KafkaOptions, KafkaProducer, ProducerOptions};

/// How long the brokers may take to say how durable topics are.
const ASKING: Duration = Duration::from_secs(5);

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

    /// What about the topics cannot keep the outbox's promise, asked once at startup. Default: nothing.
    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        ready(Vec::new()).boxed()
    }
}

impl<F: Fn() -> Arc<dyn Producer> + Send + Sync + 'static> ProducerFactory for F {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self())
    }
}

/// Producers that write to Kafka without gaps: [`ProducerOptions::relay`].
#[derive(Debug, Clone)]
pub struct KafkaProducers {
    kafka: KafkaOptions,
    options: ProducerOptions,
    topics: Vec<String>,
}

impl KafkaProducers {
    /// Producers for the brokers of `kafka`.
    pub fn new(kafka: KafkaOptions) -> Self {
        Self { kafka, options: ProducerOptions::relay(), topics: Vec::new() }
    }

    /// Check at startup how durable `topic` is.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// Producers whose batches and records fit topics that take `limit` bytes (`max.message.bytes`).
    pub fn fitting(mut self, limit: u32) -> Self {
        self.options = self.options.fitting(limit);
        self
    }
}

impl ProducerFactory for KafkaProducers {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        let producer = KafkaProducer::new(&self.kafka, &self.options)?;
        Ok(Arc::new(producer))
    }

    fn warnings(&self) -> BoxFuture<'_, Vec<String>> {
        async {
            if self.topics.is_empty() {
                return Vec::new();
            }
            match topics::show(&self.kafka, &self.topics, ASKING).await {
                Ok(states) => states.iter().filter_map(weakness).collect(),
                Err(error) => vec![format!("the topics' durability settings could not be read: {error}")],
            }
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
