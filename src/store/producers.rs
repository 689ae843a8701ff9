//! The store as where a relay takes its events.
//!
//! A stream's events go through one lane, which has one request under way at a time and sends it again until it is answered: so
//! they arrive in their order through any number of replicas and connections, and what gathers meanwhile goes together.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::offering::{Item, lane};
use super::{EventStore, NewEvent};
use crate::outbox::{ProducerFactory, bucket_of};
use crate::transport::{OutgoingRecord, ProduceError, Producer, Target, Written};

/// How many requests are under way at once.
const LANES: usize = 8;

/// Producers that take events to a store; and, where they are given others for that, to Kafka too.
///
/// ```no_run
/// # async fn example(database: tidings::database::Database, publisher: tidings::publisher::Publisher)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use tidings::outbox::{KafkaProducers, Relay};
/// use tidings::store::{StoreClient, StoreClientOptions, StoreProducers};
///
/// let store = StoreClient::new(StoreClientOptions::new("https://store.example:7433")).await?;
/// let producers = StoreProducers::new(Arc::new(store)).and(KafkaProducers::of(&publisher));
/// let relay = Relay::new(&database, producers).spawn();
/// # relay.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct StoreProducers {
    store: Arc<dyn EventStore>,
    kafka: Option<Box<dyn ProducerFactory>>,
}

impl StoreProducers {
    /// Take events to `store`. Those that are to go straight to Kafka are left to other relays.
    pub fn new(store: Arc<dyn EventStore>) -> Self {
        Self { store, kafka: None }
    }

    /// Take events that are to go straight to Kafka there, through producers of `kafka`.
    pub fn and(mut self, kafka: impl ProducerFactory) -> Self {
        self.kafka = Some(Box::new(kafka));
        self
    }
}

impl ProducerFactory for StoreProducers {
    fn make(&self) -> Result<Arc<dyn Producer>, Box<dyn std::error::Error + Send + Sync>> {
        let kafka = self.kafka.as_ref().map(|kafka| kafka.make()).transpose()?;
        Ok(Arc::new(StoreProducer::new(&self.store, kafka)))
    }

    fn targets(&self) -> &'static [Target] {
        if self.kafka.is_some() { &[Target::Kafka, Target::Store] } else { &[Target::Store] }
    }

    fn prepare(&self) -> BoxFuture<'_, Vec<String>> {
        match &self.kafka {
            Some(kafka) => kafka.prepare(),
            None => ready(Vec::new()).boxed(),
        }
    }

    fn fit(&self, topics: Vec<String>) -> BoxFuture<'_, BTreeMap<String, u32>> {
        match &self.kafka {
            Some(kafka) => kafka.fit(topics),
            None => ready(BTreeMap::new()).boxed(),
        }
    }
}

impl fmt::Debug for StoreProducers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreProducers").field("store", &self.store).finish_non_exhaustive()
    }
}

/// Takes events to a store.
struct StoreProducer {
    lanes: Vec<(mpsc::UnboundedSender<Item>, JoinHandle<()>)>,
    under_way: watch::Sender<usize>,
    kafka: Option<Arc<dyn Producer>>,
}

impl StoreProducer {
    fn new(store: &Arc<dyn EventStore>, kafka: Option<Arc<dyn Producer>>) -> Self {
        let lanes = (0..LANES).map(|_| {
            let (sender, items) = mpsc::unbounded_channel();
            (sender, tokio::spawn(lane(Arc::clone(store), items)))
        });
        Self { lanes: lanes.collect(), under_way: watch::Sender::new(0), kafka }
    }
}

impl Producer for StoreProducer {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let Some(kafka) = &self.kafka else {
            let reason = "this relay goes to the event store only".to_owned();
            return Err(ProduceError::Refused { topic: Arc::clone(&record.topic), reason, retryable: true });
        };
        kafka.enqueue(record)
    }

    fn enqueue_to(
        &self,
        target: Target,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        if target != Target::Store {
            return self.enqueue(record);
        }
        let topic = Arc::clone(&record.topic);
        let refused = |reason| ProduceError::Refused { topic: Arc::clone(&topic), reason, retryable: false };
        let event = NewEvent::of_record(record).map_err(refused)?;
        let lane = usize::from(bucket_of(event.envelope.stream.as_str())) % self.lanes.len();
        let (answer, answered) = oneshot::channel();
        let purged = |topic: &Arc<str>| ProduceError::Purged { topic: Arc::clone(topic) };
        self.lanes[lane].0.send(Item { event, answer }).map_err(|_| purged(&topic))?;
        self.under_way.send_modify(|count| *count += 1);
        let under_way = self.under_way.clone();
        let written = async move {
            let answer = answered.await;
            under_way.send_modify(|count| *count -= 1);
            match answer {
                // The store knows no partitions.
                Ok(Ok(())) => Ok(Written { partition: -1, offset: None }),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(purged(&topic)),
            }
        };
        Ok(written.boxed())
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        let mut under_way = self.under_way.subscribe();
        let kafka = self.kafka.as_ref().map(|kafka| kafka.flush(deadline));
        async move {
            let left = async {
                // Counted where the answers are awaited.
                let _ = tokio::time::timeout(deadline, under_way.wait_for(|count| *count == 0)).await;
                *under_way.borrow()
            };
            match kafka {
                Some(kafka) => {
                    let (left, more) = futures_util::future::join(left, kafka).await;
                    left + more
                }
                None => left.await,
            }
        }
        .boxed()
    }

    fn purge(&self) {
        for (_, lane) in &self.lanes {
            lane.abort();
        }
        if let Some(kafka) = &self.kafka {
            kafka.purge();
        }
    }
}

impl fmt::Debug for StoreProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StoreProducer").field("kafka", &self.kafka).finish_non_exhaustive()
    }
}
