//! What a publisher is told.

use std::time::Duration;

use serde::Deserialize;

use super::DeliveryMode;
use crate::transport::Acks;
use crate::transport::kafka::{Compression, KafkaOptions, ProducerOptions, Profile};

/// What a publisher is told. A service may read them from a file of its own, by the same names.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `service` | none: it must be given; also the topic's name | |
/// | `kafka` | `localhost:9092` | |
/// | `mode` | `direct`, with acks from all | |
/// | `profile` | `low-latency` | |
/// | `linger_ms` | the profile's: 0 or 10 | milliseconds |
/// | `compression` | the profile's: `none` or `lz4` | |
/// | `queue_records` | 100,000 for each kind of acks | records |
/// | `queue_bytes` | 128 MiB for each kind of acks | bytes |
/// | `send_deadline_ms` | 30,000; then the event failed | milliseconds |
/// | `connect_deadline_ms` | 10,000; then the brokers do not answer | milliseconds |
/// | `check_topic` | true: the topic must exist when the publisher is made | |
/// | `store_event_bytes` | 1,048,576: the largest event that the event store takes | bytes |
///
/// ```
/// use tidings::publisher::PublisherOptions;
/// use tidings::transport::kafka::KafkaOptions;
///
/// let options = PublisherOptions::new("accounts").kafka(KafkaOptions::new("broker-1:9092"));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherOptions {
    pub(super) service: String,
    pub(super) kafka: KafkaOptions,
    pub(super) mode: DeliveryMode,
    pub(super) profile: Profile,
    #[serde(rename = "linger_ms", deserialize_with = "crate::milliseconds::optional::deserialize")]
    pub(super) linger: Option<Duration>,
    pub(super) compression: Option<Compression>,
    pub(super) queue_records: u32,
    pub(super) queue_bytes: u64,
    #[serde(rename = "send_deadline_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(super) send_deadline: Duration,
    #[serde(rename = "connect_deadline_ms", deserialize_with = "crate::milliseconds::deserialize")]
    pub(super) connect_deadline: Duration,
    pub(super) check_topic: bool,
    pub(super) store_event_bytes: usize,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            service: String::new(),
            kafka: KafkaOptions::default(),
            mode: DeliveryMode::default(),
            profile: Profile::default(),
            linger: None,
            compression: None,
            queue_records: 100_000,
            queue_bytes: 128 << 20,
            send_deadline: Duration::from_secs(30),
            connect_deadline: Duration::from_secs(10),
            check_topic: true,
            store_event_bytes: 1_048_576,
        }
    }
}

impl PublisherOptions {
    /// The defaults, for the service `service`; its events go to the topic of that name.
    pub fn new(service: impl Into<String>) -> Self {
        Self { service: service.into(), ..Self::default() }
    }

    /// How to reach the brokers.
    pub fn kafka(mut self, kafka: KafkaOptions) -> Self {
        self.kafka = kafka;
        self
    }

    /// Which way events go. Default: straight to Kafka, acknowledged by all replicas.
    pub fn mode(mut self, mode: DeliveryMode) -> Self {
        self.mode = mode;
        self
    }

    /// The largest event that the event store takes, its `max_event_bytes`: in that mode a larger one is refused before its transaction
    /// commits. Default: 1,048,576 bytes.
    pub fn store_event_bytes(mut self, bytes: usize) -> Self {
        self.store_event_bytes = bytes;
        self
    }

    /// What to tune for. Default: low latency.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long an event waits for company before its batch is sent. Default: the profile's.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// How batches are compressed. Default: the profile's.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// How many events may wait or be in flight, for each kind of acks. Default: 100,000.
    pub fn queue_records(mut self, records: u32) -> Self {
        self.queue_records = records;
        self
    }

    /// How many bytes may wait or be in flight, for each kind of acks. Default: 128 MiB.
    pub fn queue_bytes(mut self, bytes: u64) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long an event may wait for room in the queue, and then again for its acknowledgement. Default: 30 s.
    pub fn send_deadline(mut self, deadline: Duration) -> Self {
        self.send_deadline = deadline;
        self
    }

    /// How long the brokers may take to answer when the publisher is made. Default: 10 s.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.connect_deadline = deadline;
        self
    }

    /// Whether the topic must exist when the publisher is made. Default: true.
    pub fn check_topic(mut self, check: bool) -> Self {
        self.check_topic = check;
        self
    }

    /// How the brokers are reached.
    pub fn kafka_options(&self) -> &KafkaOptions {
        &self.kafka
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) const fn brokers(&self) -> &KafkaOptions {
        &self.kafka
    }

    /// A producer's options for events acknowledged by `acks`, to a topic that takes `limit` bytes.
    pub(super) fn producer(&self, acks: Acks, limit: u32) -> ProducerOptions {
        let options = ProducerOptions::new()
            .acks(acks)
            .profile(self.profile)
            .queue_records(self.queue_records)
            .queue_bytes(self.queue_bytes)
            // Zero would wait for ever.
            .delivery_timeout(self.send_deadline.max(Duration::from_millis(1)))
            .fitting(limit);
        let options = self.linger.into_iter().fold(options, ProducerOptions::linger);
        self.compression.into_iter().fold(options, ProducerOptions::compression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_by_the_names_documented() {
        let options: PublisherOptions = serde_json::from_str(
            r#"{"service": "accounts", "mode": "outbox", "profile": "high-throughput", "linger_ms": 2,
                "send_deadline_ms": 1500, "compression": "zstd", "kafka": {"brokers": "b:1"}}"#,
        )
        .unwrap();
        let expected = PublisherOptions::new("accounts")
            .mode(DeliveryMode::Outbox)
            .profile(Profile::HighThroughput)
            .linger(Duration::from_millis(2))
            .send_deadline(Duration::from_millis(1500))
            .compression(Compression::Zstd)
            .kafka(KafkaOptions::new("b:1"));
        assert_eq!(options, expected);
        assert!(serde_json::from_str::<PublisherOptions>(r#"{"servcie": "accounts"}"#).is_err());
    }
}
