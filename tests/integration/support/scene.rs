//! A topic and a service that one test has for itself.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tidings::consumer::ConsumerOptions;
use tidings::publisher::{DeliveryMode, Publisher, PublisherOptions};
use tidings::schema::{Codec, ConfluentRegistry, RegistryOptions};
use tidings::transport::kafka::{KafkaOptions, TopicSpec, topics};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::setting;

const LONG: Duration = Duration::from_secs(30);

/// Names nobody else uses. Dropping it deletes the topics and the groups that carry them.
pub(crate) struct Scene {
    id: String,
    partitions: i32,
    /// A client that knows nothing of tidings, once it is needed.
    stranger: OnceLock<FutureProducer>,
}

/// A record's header, as a client that knows nothing of tidings writes it.
pub(crate) type RawHeader<'a> = (&'a str, Option<&'a [u8]>);

impl Scene {
    /// A scene whose topic has `partitions` partitions.
    pub(crate) async fn new(partitions: i32) -> Self {
        Self::with(partitions, &[]).await
    }

    /// A scene whose topic has `partitions` partitions, and these properties.
    pub(crate) async fn with(partitions: i32, config: &[(&str, &str)]) -> Self {
        log_as_asked();
        let scene = Self { id: Uuid::new_v4().simple().to_string(), partitions, stranger: OnceLock::new() };
        let topic = TopicSpec::new(scene.topic(), u32::try_from(partitions).unwrap());
        let topic = config.iter().fold(topic, |topic, (name, value)| topic.config(*name, *value));
        topics::ensure(&kafka(), &[topic], LONG).await.unwrap();
        scene
    }

    /// The source: the publishing service's name and its topic's.
    pub(crate) fn topic(&self) -> String {
        format!("scores-{}", self.id)
    }

    pub(crate) const fn partitions(&self) -> i32 {
        self.partitions
    }

    /// A name for something of this scene's own, such as a group or another service.
    pub(crate) fn name(&self, stem: &str) -> String {
        format!("{stem}-{}", self.id)
    }

    /// Options of the consuming service; it commits often, so that tests need not wait.
    pub(crate) fn consumer(&self) -> ConsumerOptions {
        ConsumerOptions::new(self.name("boards")).kafka(kafka()).commit_interval(Duration::from_millis(50))
    }

    /// The consuming service's group for the dispatcher `name`.
    pub(crate) fn group(&self, name: &str) -> String {
        format!("{}.{name}", self.name("boards"))
    }

    /// Publishes straight to Kafka, with a codec of its own.
    pub(crate) async fn publisher(&self) -> Publisher {
        self.publisher_in(DeliveryMode::default()).await
    }

    pub(crate) async fn publisher_in(&self, mode: DeliveryMode) -> Publisher {
        let options = PublisherOptions::new(self.topic()).kafka(kafka()).mode(mode);
        Publisher::builder(options).codec(codec()).build().await.unwrap()
    }

    /// Write a record as a client that knows nothing of tidings does; its partition and its offset.
    pub(crate) async fn write(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: &[RawHeader<'_>],
    ) -> (i32, i64) {
        let producer = self.stranger.get_or_init(|| {
            let mut config = ClientConfig::new();
            config.set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).set("partitioner", "murmur2_random");
            config.create().unwrap()
        });
        let topic = self.topic();
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (name, value)| headers.insert(Header { key: name, value: *value }));
        let record = FutureRecord { key, payload, ..FutureRecord::to(&topic).headers(headers) };
        let written = producer.send(record, LONG).await.unwrap();
        (written.partition, written.offset)
    }
}

/// Delete the records of the first partition below `offset`, as retention would.
pub(crate) async fn delete_records(scene: &Scene, offset: i64) {
    let created = ClientConfig::new().set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).create();
    let admin: AdminClient<DefaultClientContext> = created.unwrap();
    let mut below = TopicPartitionList::new();
    below.add_partition_offset(&scene.topic(), 0, Offset::Offset(offset)).unwrap();
    admin.delete_records(&below, &AdminOptions::new()).await.unwrap();
}

/// Delete a topic, as an operator would.
pub(crate) async fn delete_topic(topic: &str) {
    let created = ClientConfig::new().set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS")).create();
    let admin: AdminClient<DefaultClientContext> = created.unwrap();
    admin.delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
}

impl Drop for Scene {
    fn drop(&mut self) {
        let id = self.id.clone();
        // Leftovers harm nobody: a test has succeeded or failed already.
        let _ = thread::spawn(move || clean(&id)).join();
    }
}

fn clean(id: &str) {
    // Without brokers there is nothing to clean, and the test has said so.
    let Ok(brokers) = std::env::var("TIDINGS_TEST_BROKERS") else { return };
    let created = ClientConfig::new().set("bootstrap.servers", brokers).create();
    let admin: AdminClient<DefaultClientContext> = created.unwrap();
    let Ok(metadata) = admin.inner().fetch_metadata(None, LONG) else { return };
    let topics: Vec<_> =
        metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name).filter(|name| name.contains(id)).collect();
    let Ok(list) = admin.inner().fetch_group_list(None, LONG) else { return };
    let groups: Vec<_> =
        list.groups().iter().map(rdkafka::groups::GroupInfo::name).filter(|name| name.contains(id)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _ = admin.delete_topics(&topics, &AdminOptions::new()).await;
        let _ = admin.delete_groups(&groups, &AdminOptions::new()).await;
    });
}

/// With `RUST_LOG` set, show the log, among the output of whichever test is running.
fn log_as_asked() {
    if let Ok(filter) = EnvFilter::try_from_default_env() {
        // Another test may have been first.
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
    }
}

/// The brokers.
pub(crate) fn kafka() -> KafkaOptions {
    KafkaOptions::new(setting("TIDINGS_TEST_BROKERS"))
}

/// A codec of the real registry, with nothing remembered.
pub(crate) fn codec() -> Codec {
    let options = RegistryOptions::new(setting("TIDINGS_TEST_REGISTRY"));
    Codec::new(std::sync::Arc::new(ConfluentRegistry::new(&options).unwrap()))
}
