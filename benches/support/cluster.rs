//! The cluster benchmarks run on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tidings::Event;
use tidings::clock::SystemClock;
use tidings::publisher::PreparedEvent;
use tidings::schema::Codec;
use tidings::transport::kafka::{KafkaOptions, KafkaProducer, ProducerOptions, Profile};
use tidings::transport::{OutgoingRecord, Producer};

/// The brokers the environment names.
#[derive(Clone)]
pub struct Cluster {
    brokers: String,
}

impl Cluster {
    pub fn from_environment() -> Self {
        let brokers = std::env::var("TIDINGS_TEST_BROKERS");
        Self { brokers: brokers.expect("TIDINGS_TEST_BROKERS names no brokers; run `make bench`, which starts them") }
    }

    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// An empty topic.
    pub async fn recreate_topic(&self, topic: &str, partitions: i32) {
        let (admin, options) = self.admin();
        // It may not exist.
        let _ = admin.delete_topics(&[topic], &options).await;
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for _ in 0..100 {
            let created = admin.create_topics([&new], &options).await.expect("an answer");
            if created[0].is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("topic {topic} could not be created anew");
    }

    /// Leave nothing behind.
    pub async fn delete_topics(&self, topics: &[&str]) {
        let (admin, options) = self.admin();
        let _ = admin.delete_topics(topics, &options).await;
    }

    fn admin(&self) -> (AdminClient<DefaultClientContext>, AdminOptions) {
        let admin = self.client_config().create().expect("an admin client");
        (admin, AdminOptions::new().operation_timeout(Some(Duration::from_secs(30))))
    }

    /// Write `events` as tidings does, headers and all.
    pub async fn fill<E: Event>(&self, topic: &str, codec: &Codec, events: impl IntoIterator<Item = E>) {
        let options = ProducerOptions::default().profile(Profile::HighThroughput);
        let producer = KafkaProducer::new(&KafkaOptions::new(&self.brokers), &options).expect("a producer");
        let mut pending = VecDeque::new();
        for event in events {
            let record = outgoing(topic, codec, &event).await;
            pending.push_back(Producer::send(&producer, record));
            if pending.len() >= 10_000 {
                pending.pop_front().expect("a future").await.expect("an acknowledgement");
            }
        }
        for acknowledgement in pending {
            acknowledgement.await.expect("an acknowledgement");
        }
    }
}

/// The record that tidings would write.
pub async fn outgoing<E: Event>(topic: &str, codec: &Codec, event: &E) -> OutgoingRecord {
    let clock = SystemClock::new();
    let topic: Arc<str> = topic.into();
    let prepared = PreparedEvent::new(event, codec, &clock).expect("an event that encodes");
    let ready = prepared.ready(&topic, codec, &clock).await.expect("a schema id");
    OutgoingRecord {
        key: Some(ready.envelope.key.clone().into()),
        payload: Some(ready.payload),
        headers: ready.envelope.to_headers(),
        topic,
        partition: None,
        timestamp_ms: None,
    }
}
