//! Letters written by hand, and what becomes of them.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tidings::dead_letters::{DeadLetters, header};
use tidings::transport::kafka::{KafkaProducer, ProducerOptions, TopicSpec, topics};
use tidings::transport::{Headers, OutgoingRecord, Producer as _};

use crate::kafka::LONG;
use crate::reader::Seen;
use crate::setting;
use crate::support::scene::{Scene, kafka};

/// The group of letters written by hand.
pub(super) const GROUP: &str = "boards.Boards";

/// A dead-letter topic of the scene's own.
pub(super) async fn letter_topic(scene: &Scene, partitions: u32) -> String {
    let topic = scene.name("letters");
    topics::ensure(&kafka(), &[TopicSpec::new(&topic, partitions)], LONG).await.unwrap();
    topic
}

pub(super) fn dead_letters(topic: &str) -> DeadLetters {
    DeadLetters::in_topic(kafka(), topic).timeout(LONG)
}

/// A letter of a record of `original`.
pub(super) fn letter(topic: &str, original: &str, key: &str, payload: &[u8], more: &[(&str, &str)]) -> OutgoingRecord {
    let mut headers = Headers::new();
    headers.push_str("ce_type", "scores.ScorePosted");
    headers.push_str(header::TOPIC, original);
    headers.push_str(header::PARTITION, "0");
    headers.push_str(header::OFFSET, "0");
    headers.push_str(header::GROUP, GROUP);
    headers.push_str(header::CLASS, "terminal");
    for (name, value) in more {
        headers.push_str(name, value);
    }
    raw(topic, key, payload, headers)
}

/// A record for `topic`.
pub(super) fn raw(topic: &str, key: &str, payload: &[u8], headers: Headers) -> OutgoingRecord {
    OutgoingRecord {
        topic: topic.into(),
        partition: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        payload: Some(Bytes::copy_from_slice(payload)),
        headers,
        timestamp_ms: None,
    }
}

pub(super) async fn write(records: impl IntoIterator<Item = OutgoingRecord>) {
    let producer = KafkaProducer::new(&kafka(), &ProducerOptions::new()).unwrap();
    let pending: Vec<_> = records.into_iter().map(|record| producer.enqueue(&record).unwrap()).collect();
    futures_util::future::try_join_all(pending).await.unwrap();
}

/// Everything that is committed on `topic` now, as a client sees it that knows nothing of tidings.
pub(super) async fn everything(topic: &str, partitions: i32) -> Vec<Seen> {
    let consumer = stranger(topic, partitions, "read_committed");
    tokio::task::spawn_blocking(move || read_to_the_end(&consumer, partitions)).await.unwrap()
}

/// The same, with what transactions wrote that were undone.
pub(super) async fn all_written(topic: &str, partitions: i32) -> Vec<Seen> {
    let consumer = stranger(topic, partitions, "read_uncommitted");
    tokio::task::spawn_blocking(move || read_to_the_end(&consumer, partitions)).await.unwrap()
}

/// A client that knows nothing of tidings, at the beginning of `topic`.
pub(super) fn stranger(topic: &str, partitions: i32, isolation: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", setting("TIDINGS_TEST_BROKERS"))
        .set("group.id", "a-stranger")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", isolation)
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&assignment).unwrap();
    consumer
}

fn read_to_the_end(consumer: &BaseConsumer, partitions: i32) -> Vec<Seen> {
    let (mut seen, mut ended, start) = (Vec::new(), 0, Instant::now());
    while ended < partitions {
        assert!(start.elapsed() < Duration::from_secs(180), "{ended} of {partitions} partitions were read");
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::OperationTimedOut)),
            Some(Ok(message)) => {
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
        }
    }
    seen
}

/// Keys and numbers of records whose payload is a number: each key's numbers in the order they stand in.
pub(super) fn numbers(seen: &[Seen]) -> std::collections::BTreeMap<String, Vec<u32>> {
    let mut numbers = std::collections::BTreeMap::<String, Vec<u32>>::new();
    for record in seen {
        let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
        numbers.entry(text(&record.key)).or_default().push(text(&record.payload).parse().unwrap());
    }
    numbers
}

/// `count` letters of `keys` keys in turns; a key's payloads are the numbers 0, 1, 2….
pub(super) fn numbered(topic: &str, original: &str, keys: u32, count: u32) -> Vec<OutgoingRecord> {
    let one = |index: u32| {
        let (key, number) = (format!("key-{}", index % keys), (index / keys).to_string());
        letter(topic, original, &key, number.as_bytes(), &[])
    };
    (0..count).map(one).collect()
}
