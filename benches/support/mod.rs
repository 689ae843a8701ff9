//! What benchmarks share: the cluster, the figures and how they are reported.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    unreachable_pub,
    reason = "each benchmark uses its own part, and may stop at the first surprise"
)]

use std::fs::{self, OpenOptions};
use std::io::Write as _;
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
        let admin: AdminClient<DefaultClientContext> = self.client_config().create().expect("an admin client");
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
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

    /// Write `count` events as tidings does, headers and all.
    pub async fn fill<E: Event>(&self, topic: &str, codec: &Codec, count: u64, event: impl Fn(u64) -> E) {
        let options = ProducerOptions::default().profile(Profile::HighThroughput);
        let producer = KafkaProducer::new(&KafkaOptions::new(&self.brokers), &options).expect("a producer");
        let clock = SystemClock::new();
        let service: Arc<str> = topic.into();
        let mut pending = std::collections::VecDeque::new();
        for index in 0..count {
            let prepared = PreparedEvent::new(&event(index), codec, &clock).expect("an event that encodes");
            let ready = prepared.ready(&service, codec, &clock).await.expect("a schema id");
            let record = OutgoingRecord {
                topic: Arc::clone(&service),
                partition: None,
                key: Some(ready.envelope.key.clone().into()),
                payload: Some(ready.payload),
                headers: ready.envelope.to_headers(),
                timestamp_ms: None,
            };
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

/// One figure beside its reference, measured in the same run.
pub struct Measurement {
    pub name: &'static str,
    pub ours: f64,
    pub reference: f64,
    pub unit: &'static str,
    pub target: Option<f64>,
}

impl Measurement {
    /// Print it, and append it as a JSON line to `target/bench/NAME.jsonl`.
    pub fn report(&self) {
        let ratio = self.ours / self.reference;
        let line = serde_json::json!({
            "name": self.name, "ours": self.ours, "reference": self.reference, "ratio": ratio, "unit": self.unit, "target": self.target,
        });
        let target = self.target.map(|target| format!(", target {target}")).unwrap_or_default();
        println!(
            "{}: ours {:.0} {unit}, reference {:.0} {unit}, ratio {ratio:.3}{target}",
            self.name,
            self.ours,
            self.reference,
            unit = self.unit
        );
        fs::create_dir_all("target/bench").expect("a folder for results");
        let path = format!("target/bench/{}.jsonl", self.name);
        let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file for results");
        writeln!(file, "{line}").expect("room for a line");
    }
}

pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// A number from the environment.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
