//! Reads a topic with a client that knows nothing of tidings.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// A record as a stranger sees it.
#[allow(dead_code, reason = "each test program looks at what it needs")]
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Seen {
    /// The text headers, by name.
    pub(crate) fn text_headers(&self) -> BTreeMap<&str, &str> {
        let texts = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), std::str::from_utf8(value.as_deref()?).ok()?)));
        texts.collect()
    }
}

/// A client that reads all partitions of `topic` from their beginning.
pub(crate) fn stranger(brokers: &str, topic: &str, partitions: i32) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "a-stranger")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    consumer
}

/// The first `count` records of `topic`; fails when they do not come within two minutes.
pub(crate) fn read(brokers: &str, topic: &str, partitions: i32, count: usize) -> Vec<Seen> {
    let consumer = stranger(brokers, topic, partitions);
    let (mut seen, start) = (Vec::new(), Instant::now());
    while seen.len() < count {
        assert!(start.elapsed() < Duration::from_secs(120), "{} of {count} records came", seen.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().map(|headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        seen.push(Seen {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
            timestamp_ms: message.timestamp().to_millis(),
            headers: headers.unwrap_or_default(),
        });
    }
    seen
}
