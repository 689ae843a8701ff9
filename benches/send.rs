//! `send` and `send-high-throughput`: events sent with acks from all, many under way at once, beside a bare `rdkafka`
//! producer with the same properties that writes records of the same key, payload and headers, made beforehand.
//!
//! Needs `TIDINGS_TEST_BROKERS`; `make bench` sets it. `TIDINGS_BENCH_RECORDS` (default 300,000) and `TIDINGS_BENCH_ROUNDS`
//! (default 5) size the run.
#![allow(missing_docs, clippy::expect_used, clippy::cast_precision_loss, clippy::print_stderr, reason = "a benchmark")]

mod support;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::{Deserialize, Serialize};
use support::{Cluster, Measurement, median, number, processor_time};
use tidings::Event;
use tidings::publisher::{Acks, Publisher, PublisherOptions};
use tidings::transport::kafka::{KafkaOptions, Profile};

const TOPIC: &str = "bench-send";
const PARTITIONS: i32 = 8;
const KEYS: u64 = 10_000;
/// How many may be under way.
const WINDOW: usize = 10_000;

#[derive(Serialize, Deserialize, Clone)]
struct ScoreChanged {
    player: i64,
    score: i64,
    board: String,
    note: String,
}

impl Event for ScoreChanged {
    const NAME: &'static str = "bench.ScoreChanged";
    const VERSION: &'static str = "1.0.0";
    const SCHEMA: &'static str = include_str!("support/ScoreChanged.avsc");
    const ENTITY: &'static str = "Player";

    fn key(&self) -> Cow<'_, str> {
        self.player.to_string().into()
    }
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let records = number("TIDINGS_BENCH_RECORDS", 300_000);
    let rounds = number("TIDINGS_BENCH_ROUNDS", 5);
    let cluster = Cluster::from_environment();
    let sample = ScoreChanged { player: 0, score: 7, board: "weekly".into(), note: "x".repeat(270) };
    for (name, profile) in [("send", Profile::LowLatency), ("send-high-throughput", Profile::HighThroughput)] {
        cluster.recreate_topic(TOPIC, PARTITIONS).await;
        let options = PublisherOptions::new(TOPIC).kafka(KafkaOptions::new(cluster.brokers())).profile(profile);
        let publisher = Publisher::builder(options).build().await.expect("a publisher");
        let bare = bare_producer(&cluster, profile);
        publisher.send(&sample, Acks::All).await.expect("a first event");
        let written = first_record(&cluster);
        let (mut ours, mut reference) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let before = processor_time();
            let reference_rate = bare_round(&bare, &written, records).await;
            let between = processor_time();
            let our_rate = our_round(&publisher, &sample, records).await;
            let after = processor_time();
            // The first round warms the broker up.
            if round > 0 {
                reference.push(reference_rate);
                ours.push(our_rate);
                let ratio = our_rate / reference_rate;
                let each = |time: Duration| time.as_secs_f64() * 1e6 / records as f64;
                eprintln!(
                    "{name} {round}: ours {our_rate:.0}/s, reference {reference_rate:.0}/s, ratio {ratio:.3}; \
                     processor time a record: ours {:.2} µs, reference {:.2} µs",
                    each(after.saturating_sub(between)),
                    each(between.saturating_sub(before)),
                );
            }
        }
        let (ours, reference) = (median(&ours), median(&reference));
        Measurement { name, ours, reference, unit: "records/s", target: Some(0.95) }.report();
    }
}

async fn our_round(publisher: &Publisher, sample: &ScoreChanged, records: u64) -> f64 {
    let start = Instant::now();
    let mut under_way = VecDeque::with_capacity(WINDOW);
    for index in 0..records {
        let event = ScoreChanged { player: (index % KEYS).cast_signed(), ..sample.clone() };
        under_way.push_back(publisher.enqueue(&event, Acks::All).await.expect("room in the queue"));
        if under_way.len() == WINDOW {
            under_way.pop_front().expect("a receipt").await.expect("an acknowledgement");
        }
    }
    for receipt in under_way {
        receipt.await.expect("an acknowledgement");
    }
    records as f64 / start.elapsed().as_secs_f64()
}

/// The same properties as ours: see `ProducerOptions`.
fn bare_producer(cluster: &Cluster, profile: Profile) -> FutureProducer {
    let mut config: ClientConfig = cluster.client_config();
    config
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.messages", "100000")
        .set("queue.buffering.max.kbytes", "131072");
    match profile {
        Profile::HighThroughput => config.set("linger.ms", "10").set("compression.type", "lz4"),
        _ => config.set("linger.ms", "0"),
    };
    config.create().expect("a bare producer")
}

async fn bare_round(producer: &FutureProducer, written: &OwnedMessage, records: u64) -> f64 {
    let payload = written.payload().expect("a payload");
    let headers = written.headers().expect("headers");
    let start = Instant::now();
    let mut under_way = VecDeque::with_capacity(WINDOW);
    for index in 0..records {
        let mut copied = OwnedHeaders::new_with_capacity(headers.count());
        for header in headers.iter() {
            copied = copied.insert(Header { key: header.key, value: header.value });
        }
        let key = (index % KEYS).to_string();
        let record = FutureRecord::to(TOPIC).key(key.as_bytes()).payload(payload).headers(copied);
        under_way.push_back(producer.send_result(record).map_err(|(error, _)| error).expect("room in the queue"));
        if under_way.len() == WINDOW {
            let delivered = under_way.pop_front().expect("a delivery").await.expect("a producer");
            delivered.map_err(|(error, _)| error).expect("an acknowledgement");
        }
    }
    for delivery in under_way {
        delivery.await.expect("a producer").map_err(|(error, _)| error).expect("an acknowledgement");
    }
    records as f64 / start.elapsed().as_secs_f64()
}

/// What ours wrote, to be written again as it is.
fn first_record(cluster: &Cluster) -> OwnedMessage {
    let consumer: BaseConsumer = cluster
        .client_config()
        .set("group.id", format!("bench-send-{}", uuid::Uuid::new_v4()))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[TOPIC]).expect("a subscription");
    loop {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            return message.expect("a record").detach();
        }
    }
}
