//! Bare `rdkafka` consumers that decode, as a careful user tunes them.
#![allow(unsafe_code, reason = "batches have no safe form in rdkafka; see each SAFETY comment")]

use std::ffi::CStr;
use std::ptr;
use std::slice;
use std::time::{Duration, Instant};

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka_sys as sys;
use tidings::Event as _;

use super::Cluster;
use super::score::ScoreChanged;

/// The messages one call can bring.
const BATCH: usize = 1_000;
const EVENT_NAME: &CStr = c"ce_type";
const VERSION: &CStr = c"ce_schemaversion";

/// How a bare loop takes its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Take {
    /// `BaseConsumer::poll`, one at a time.
    Poll,
    /// `rd_kafka_consume_batch_queue` on the consumer's queue.
    Batch,
    /// The same, reading the headers that say which event it is, in which version.
    BatchWithHeaders,
}

/// A consumer of a group of its own, subscribed to `topic`.
pub fn consumer(cluster: &Cluster, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = cluster
        .client_config()
        .set("group.id", format!("bare-{}", uuid::Uuid::new_v4()))
        .set("enable.auto.commit", "true")
        // Longer than a drain: `rd_kafka_consume_batch_queue` aborts the process when the event of a commit comes to its queue.
        .set("auto.commit.interval.ms", "600000")
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.min.messages", "1000000")
        .set("queued.max.messages.kbytes", "262144")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[topic]).expect("a subscription");
    consumer
}

pub fn schema() -> Schema {
    Schema::parse_str(ScoreChanged::SCHEMA).expect("the schema parses")
}

/// Read and decode `count` records; returns records a second, from the first record on.
pub fn drain(cluster: &Cluster, topic: &str, count: u64, take: Take) -> f64 {
    let schema = schema();
    let reader = GenericDatumReader::builder(&schema).build().expect("a reader");
    let decode = |payload: &[u8]| -> i64 {
        let event: ScoreChanged = reader.read_deser(&mut &payload[5..]).expect("a payload that decodes");
        event.player
    };
    let consumer = consumer(cluster, topic);
    let elapsed = match take {
        Take::Poll => poll(&consumer, count, decode),
        Take::Batch => batches(&consumer, count, false, decode),
        Take::BatchWithHeaders => batches(&consumer, count, true, decode),
    };
    count as f64 / elapsed.as_secs_f64()
}

fn poll(consumer: &BaseConsumer, count: u64, decode: impl Fn(&[u8]) -> i64) -> Duration {
    let (mut start, mut seen, mut sum) = (None, 0, 0);
    while seen < count {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.expect("a record");
        start.get_or_insert_with(Instant::now);
        sum += decode(message.payload().expect("a payload"));
        seen += 1;
    }
    assert!(sum > 0);
    start.expect("a first record").elapsed()
}

fn batches(consumer: &BaseConsumer, count: u64, with_headers: bool, decode: impl Fn(&[u8]) -> i64) -> Duration {
    // SAFETY: the client lives as long as `consumer`, which outlives the queue; it is given back below.
    let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    assert!(!queue.is_null(), "a consumer has a queue");
    let mut batch = vec![ptr::null_mut(); BATCH];
    // The first comes by `poll`, which alone answers the group's hand-over.
    let first = consumer.iter().next().expect("a consumer does not end").expect("a record");
    let start = Instant::now();
    let (mut seen, mut sum) = (1, decode(first.payload().expect("a payload")));
    drop(first);
    while seen < count {
        // SAFETY: the array has room for `BATCH` pointers, and the queue lives.
        let taken = unsafe { sys::rd_kafka_consume_batch_queue(queue, 100, batch.as_mut_ptr(), BATCH) };
        let taken = usize::try_from(taken).expect("a batch");
        for &message in &batch[..taken] {
            // SAFETY: librdkafka wrote `taken` valid messages; each is read and destroyed once.
            unsafe {
                assert_eq!((*message).err, sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
                if with_headers {
                    sum += i64::from(header(message, EVENT_NAME) == b"bench.ScoreChanged");
                    sum += i64::from(header(message, VERSION) == b"1.0.0");
                }
                sum += decode(slice::from_raw_parts((*message).payload.cast(), (*message).len));
                sys::rd_kafka_message_destroy(message);
            }
        }
        seen += taken as u64;
    }
    let elapsed = start.elapsed();
    // SAFETY: the queue is ours, and not used again.
    unsafe { sys::rd_kafka_queue_destroy(queue) };
    assert!(sum > 0);
    elapsed
}

/// The value of a message's header; empty when it has none.
///
/// # Safety
/// `message` is valid, and outlives the result.
unsafe fn header<'a>(message: *const sys::rd_kafka_message_t, name: &CStr) -> &'a [u8] {
    let (mut headers, mut value, mut length) = (ptr::null_mut(), ptr::null(), 0);
    // SAFETY: the message is valid, as the caller says, and what is returned lives as long as it does.
    unsafe {
        let found = sys::rd_kafka_message_headers(message, &raw mut headers);
        if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return &[];
        }
        let found = sys::rd_kafka_header_get_last(headers, name.as_ptr(), &raw mut value, &raw mut length);
        if found != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return &[];
        }
        slice::from_raw_parts(value.cast(), length)
    }
}
