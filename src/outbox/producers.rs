//! Where a relay gets its producers: it drops one that failed and makes another.

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
    options: Mutex<ProducerOptions>,
}

impl KafkaProducers {
    /// Producers for the brokers of `kafka`. Name the [topics](Self::topic) that are written to.
    pub fn new(kafka: KafkaOptions) -> Self {
        Self { kafka, topics: Vec::new(), options: Mutex::new(ProducerOptions::relay()) }
    }

    /// Producers for the brokers and the topic of `publisher`.
    pub fn of(publisher: &Publisher) -> Self {
        Self::new(publisher.options().brokers().clone()).topic(&**publisher.service())
    }

    /// Fit batches and records to what `topic` takes, and check how durable it is. The relay asks the brokers when it starts;
    /// where they do not answer, Kafka's defaults are assumed.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    fn learn(&self, topics: &[TopicState]) {
        let limits = || topics.iter().filter_map(|topic| topic.max_message_bytes);
        if let (Some(least), Some(most)) = (limits().min(), limits().max()) {
            let mut options = self.options.lock();
            // A batch must fit the topic that takes least; a record may be for the one that takes most.
            *options = options.clone().fitting(most).batch_bytes(least.min(LARGEST_BATCH));
        }
    }
}

impl ProducerFactory for KafkaProducers {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Arc::new(KafkaProducer::new(&self.kafka, &self.options.lock())?))
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
}

fn weakness(topic: &TopicState) -> Option<String> {
    let TopicState { name, replication, min_insync_replicas, .. } = topic;
    if *replication < 2 {
        return Some(format!("topic {name} has one replica: losing its broker loses events"));
    }
    let least = min_insync_replicas.filter(|least| *least < 2)?;
    Some(format!("min.insync.replicas of topic {name} is {least}: acknowledged events can be lost with one broker"))
}
