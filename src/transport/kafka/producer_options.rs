//! How a producer trades latency, throughput and safety.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;

use super::{KafkaError, KafkaOptions};
use crate::transport::Acks;

/// What a producer is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Profile {
    /// Send at once: no linger, no compression. Written `low-latency`.
    #[default]
    LowLatency,
    /// Fill batches: 10 ms of linger, LZ4, batches of up to 1 MB. Written `high-throughput`.
    HighThroughput,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4: cheap.
    Lz4,
    /// Zstandard: smaller, dearer.
    Zstd,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
}

/// How a producer trades latency, throughput and safety.
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `acks` | all, and then idempotent | |
/// | `profile` | low latency | |
/// | `linger` | the profile's: 0 or 10 | milliseconds |
/// | `compression` | the profile's: none or LZ4 | |
/// | `queue_records` | 100,000 | records |
/// | `queue_bytes` | 128 MiB | bytes |
/// | `delivery_timeout` | 30 s; zero waits for ever | |
/// | `max_in_flight` | 5, the most an idempotent producer keeps in order | requests a broker |
/// | `batch_bytes` | 1,000,000 | bytes |
/// | `max_record_bytes` | 1,000,000 | bytes |
/// | `gapless` | off | |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerOptions {
    acks: Acks,
    profile: Profile,
    linger: Option<Duration>,
    compression: Option<Compression>,
    queue_records: u32,
    queue_bytes: u64,
    delivery_timeout: Duration,
    max_in_flight: u32,
    batch_bytes: u32,
    max_record_bytes: u32,
    gapless: bool,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            profile: Profile::default(),
            linger: None,
            compression: None,
            queue_records: 100_000,
            queue_bytes: 128 << 20,
            delivery_timeout: Duration::from_secs(30),
            max_in_flight: 5,
            batch_bytes: 1_000_000,
            max_record_bytes: 1_000_000,
            gapless: false,
        }
    }
}

impl ProducerOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a relay: acknowledged by all replicas, without gaps, and never given up. The first record that fails stops the
    /// producer with [`ProduceError::Fatal`](crate::transport::ProduceError::Fatal) rather than letting its successors pass.
    /// `max_record_bytes` is all that the queue holds, 128 MiB: how large a record may be is for the brokers to say.
    pub fn relay() -> Self {
        let options = Self::default().gapless(true).delivery_timeout(Duration::ZERO);
        let all = u32::try_from(options.queue_bytes).unwrap_or(u32::MAX);
        options.max_record_bytes(all)
    }

    /// Who must have a record before it counts as written. Default: all.
    pub fn acks(mut self, acks: Acks) -> Self {
        self.acks = acks;
        self
    }

    /// What to tune for. Default: low latency.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// How long a record waits for company before its batch is sent. Default: the profile's.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// How batches are compressed. Default: the profile's.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }

    /// How many records may wait or be in flight. Default: 100,000.
    pub fn queue_records(mut self, records: u32) -> Self {
        self.queue_records = records;
        self
    }

    /// How many bytes may wait or be in flight. Default: 128 MiB.
    pub fn queue_bytes(mut self, bytes: u64) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// How long a record may take, retries included; zero waits for ever. Default: 30 s.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.delivery_timeout = timeout;
        self
    }

    /// How many requests a broker may have unanswered. Default and maximum with acks from all: 5.
    pub fn max_in_flight(mut self, requests: u32) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// The largest batch, in bytes before compression. Keep it below the topic's `max.message.bytes`: a broker refuses a
    /// larger batch with all its records. Default: 1,000,000.
    pub fn batch_bytes(mut self, bytes: u32) -> Self {
        self.batch_bytes = bytes;
        self
    }

    /// The largest record, in bytes. Default: 1,000,000.
    pub fn max_record_bytes(mut self, bytes: u32) -> Self {
        self.max_record_bytes = bytes;
        self
    }

    /// Batches and records that fit a topic whose `max.message.bytes` is `limit`.
    pub fn fitting(self, limit: u32) -> Self {
        self.batch_bytes(limit.min(1_000_000)).max_record_bytes(limit.max(1_000_000))
    }

    /// Whether a record that fails stops the producer instead of being skipped. Needs acks from all. Default: off.
    pub fn gapless(mut self, gapless: bool) -> Self {
        self.gapless = gapless;
        self
    }

    /// These options and `kafka` as a client's configuration.
    pub(crate) fn to_client_config(&self, kafka: &KafkaOptions) -> Result<rdkafka::ClientConfig, KafkaError> {
        self.refuse_contradictions(kafka)?;
        let properties = self.properties();
        let defaults: Vec<_> = properties.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(kafka.to_client_config(&defaults))
    }

    fn properties(&self) -> BTreeMap<&'static str, String> {
        let (linger, compression) = match self.profile {
            Profile::LowLatency => (Duration::ZERO, Compression::None),
            Profile::HighThroughput => (Duration::from_millis(10), Compression::Lz4),
        };
        let idempotent = self.acks == Acks::All;
        let max_in_flight = if idempotent { self.max_in_flight.min(5) } else { self.max_in_flight };
        // The client counts no bound as 0, which would be ours by mistake.
        let queue_records = self.queue_records.clamp(1, i32::MAX as u32);
        let mut properties = BTreeMap::from([
            ("acks", self.acks.as_property().to_owned()),
            ("enable.idempotence", idempotent.to_string()),
            ("enable.gapless.guarantee", (self.gapless && idempotent).to_string()),
            ("message.timeout.ms", self.delivery_timeout.as_millis().to_string()),
            ("partitioner", "murmur2_random".to_owned()),
            ("linger.ms", self.linger.unwrap_or(linger).as_millis().to_string()),
            ("compression.type", self.compression.unwrap_or(compression).as_property().to_owned()),
            ("queue.buffering.max.messages", queue_records.to_string()),
            ("queue.buffering.max.kbytes", (self.queue_bytes / 1024).clamp(1, i32::MAX as u64).to_string()),
            ("max.in.flight", max_in_flight.max(1).to_string()),
            ("batch.size", self.batch_bytes.max(1).to_string()),
            ("batch.num.messages", "10000".to_owned()),
            ("message.max.bytes", self.max_record_bytes.clamp(1000, 1_000_000_000).to_string()),
            // A topic that is missing stays missing: the broker would create it with its own number of partitions.
            ("allow.auto.create.topics", "false".to_owned()),
            // How long a missing topic is waited for. The default of 30 s hides a misspelt name for as long.
            ("topic.metadata.propagation.max.ms", "5000".to_owned()),
        ]);
        if self.gapless {
            // A relay tries missing topics again with the same client, which looks for them every five minutes by itself.
            properties.insert("topic.metadata.refresh.interval.ms", "5000".to_owned());
        }
        properties
    }

    /// Acknowledgements are chosen in code, per send. A property that says otherwise would weaken them behind its back.
    fn refuse_contradictions(&self, kafka: &KafkaOptions) -> Result<(), KafkaError> {
        let refuse =
            |property: &str, reason: String| Err(KafkaError::Property { property: property.to_owned(), reason });
        if let Some((name, value)) = kafka.user_property("acks")
            && value.parse() != Ok(self.acks)
        {
            return refuse(name, format!("it says {value} where the publisher asks for {}; remove it", self.acks));
        }
        for name in ["enable.idempotence", "enable.gapless.guarantee"] {
            let wanted = self.acks == Acks::All && (name == "enable.idempotence" || self.gapless);
            if let Some((name, value)) = kafka.user_property(name)
                && wanted
                && value != "true"
            {
                return refuse(name, format!("it says {value}, but records would be lost or reordered; remove it"));
            }
        }
        if self.gapless && self.acks != Acks::All {
            return refuse("enable.gapless.guarantee", format!("it needs acks from all, not {}", self.acks));
        }
        if let Some((name, value)) = kafka.user_property("partitioner")
            && value != "murmur2_random"
            && value != "murmur2"
        {
            tracing::warn!(property = name, value, "a key's events will share no partition with other clients' events");
        }
        Ok(())
    }
}

impl Compression {
    const fn as_property(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LowLatency => "low-latency",
            Self::HighThroughput => "high-throughput",
        })
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "low-latency" => Ok(Self::LowLatency),
            "high-throughput" => Ok(Self::HighThroughput),
            _ => Err(UnknownProfile(text.to_owned())),
        }
    }
}

/// A text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no profile: write low-latency or high-throughput")]
pub struct UnknownProfile(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn property(options: &ProducerOptions, kafka: &KafkaOptions, name: &str) -> Option<String> {
        options.to_client_config(kafka).unwrap().get(name).map(str::to_owned)
    }

    #[test]
    fn only_acks_from_all_are_idempotent() {
        let kafka = KafkaOptions::default();
        for (acks, expected) in [(Acks::None, "false"), (Acks::Leader, "false"), (Acks::All, "true")] {
            let options = ProducerOptions::new().acks(acks);
            assert_eq!(property(&options, &kafka, "enable.idempotence").as_deref(), Some(expected));
            options.to_client_config(&kafka).unwrap().create_native_config().unwrap();
        }
    }

    #[test]
    fn a_relay_neither_skips_nor_gives_up() {
        let (options, kafka) = (ProducerOptions::relay(), KafkaOptions::default());
        assert_eq!(property(&options, &kafka, "enable.gapless.guarantee").as_deref(), Some("true"));
        assert_eq!(property(&options, &kafka, "message.timeout.ms").as_deref(), Some("0"));
    }

    #[test]
    fn the_users_property_wins_where_it_weakens_nothing() {
        let kafka = KafkaOptions::default().property("queue.buffering.max.ms", "3").property("acks", "-1");
        let options = ProducerOptions::new();
        assert_eq!(property(&options, &kafka, "queue.buffering.max.ms").as_deref(), Some("3"));
        assert_eq!(property(&options, &kafka, "linger.ms"), None);
    }

    #[test]
    fn a_property_that_weakens_what_was_asked_for_is_refused() {
        for (name, value) in [("acks", "1"), ("request.required.acks", "0"), ("enable.idempotence", "false")] {
            let error = ProducerOptions::new().to_client_config(&KafkaOptions::default().property(name, value));
            assert!(matches!(error, Err(KafkaError::Property { property, .. }) if property == name));
        }
    }

    #[test]
    fn both_profiles_are_accepted_by_the_client() {
        for profile in ["low-latency", "high-throughput"] {
            let options = ProducerOptions::new().profile(profile.parse().unwrap());
            options.to_client_config(&KafkaOptions::default()).unwrap().create_native_config().unwrap();
        }
        assert!("fast".parse::<Profile>().is_err());
    }
}
