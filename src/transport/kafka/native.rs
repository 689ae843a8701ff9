//! The calls into librdkafka that have no safe form: batches from a partition's own queue, its end as last heard, and commits whose
//! results are told.
//!
//! `rdkafka` reads a queue one message a call, its header accessors panic on a name that is not UTF-8, the results of its
//! asynchronous commits reach nobody, and a partition's end costs a round trip. All matter: the first for speed, the second because
//! anyone who may write to the topic could stop its consumers, the third because the next commit waits for the one before, the
//! fourth because the poll thread may not block to measure lag.
#![allow(unsafe_code, reason = "calls rdkafka-sys; see each SAFETY comment")]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::slice;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka_sys as sys;

use super::super::{Headers, Record, TopicPartition, Wake};
use super::{native_headers, raw_headers};

/// The messages one call can bring.
const BATCH: usize = 512;

/// Records are copied one behind the other into memory of this size: an allocation a chunk instead of three a record. A larger
/// record has its own. Whoever keeps a record detaches it.
const CHUNK: usize = 32 * 1024;

/// A partition's own queue.
pub(super) struct PartitionQueue<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    // The callback's argument: it must stay where it is while the queue lives.
    _wake: Box<Wake>,
    partition: TopicPartition,
    /// Its topic's name, as the client wants it.
    topic: CString,
    batch: Vec<*mut sys::rd_kafka_message_t>,
    chunk: BytesMut,
    raw_headers: bool,
    // The queue must go before the client.
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` on every use keeps it to one at a time.
unsafe impl<C: ConsumerContext + 'static> Send for PartitionQueue<C> {}

/// A problem that came in a message's place.
pub(super) struct MessageError {
    pub(super) code: RDKafkaErrorCode,
    pub(super) reason: String,
    /// Where in the partition; at its end, the offset of the next record.
    pub(super) offset: i64,
}

/// What a fetch makes of the messages it finds.
struct Messages<'a> {
    records: &'a mut Vec<Record>,
    ends: fn(RDKafkaErrorCode) -> bool,
    failure: Option<MessageError>,
    is_over: bool,
}

impl Messages<'_> {
    fn take(&mut self, message: Result<Record, MessageError>) {
        match message {
            _ if self.is_over => {}
            Ok(record) => self.records.push(record),
            Err(error) => {
                self.is_over = (self.ends)(error.code);
                self.failure = Some(error);
            }
        }
    }
}

impl<C: ConsumerContext + 'static> PartitionQueue<C> {
    /// Give `partition` a queue of its own that wakes `wake` when it stops being empty. `None` when there is no such partition.
    pub(super) fn split(consumer: &Arc<BaseConsumer<C>>, partition: &TopicPartition, wake: &Wake) -> Option<Self> {
        let topic = CString::new(&*partition.topic).ok()?;
        let wake = Box::new(Arc::clone(wake));
        // SAFETY: the client lives (we hold it), the name is a C string, and the queue is checked before use. The callback's
        // argument is boxed and outlives the queue: `drop` takes the callback away first.
        let queue = unsafe {
            let queue =
                sys::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition.partition);
            if queue.is_null() {
                return None;
            }
            sys::rd_kafka_queue_forward(queue, ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue, Some(nonempty), ptr::from_ref(&*wake).cast_mut().cast());
            queue
        };
        Some(Self {
            queue,
            _wake: wake,
            partition: partition.clone(),
            topic,
            batch: vec![ptr::null_mut(); BATCH],
            chunk: BytesMut::new(),
            raw_headers: raw_headers::is_verified(),
            consumer: Arc::clone(consumer),
        })
    }

    /// Move up to `most` waiting messages into `records`. Does not block. An error that `ends` it is the last that is seen: what the
    /// client has read behind it is thrown away, or it would be taken for all there is.
    pub(super) fn fetch(
        &mut self,
        most: usize,
        records: &mut Vec<Record>,
        ends: fn(RDKafkaErrorCode) -> bool,
    ) -> Result<(), MessageError> {
        let mut messages = Messages { records, ends, failure: None, is_over: false };
        let mut left = most;
        while left > 0 {
            let size = left.min(BATCH);
            // SAFETY: the array has room for `size` pointers, and the queue lives.
            let count = unsafe { sys::rd_kafka_consume_batch_queue(self.queue, 0, self.batch.as_mut_ptr(), size) };
            let Ok(count) = usize::try_from(count) else { break };
            for &message in &self.batch[..count] {
                // SAFETY: librdkafka wrote `count` valid messages, and each is read and destroyed once.
                unsafe {
                    messages.take(read_message(&*message, &self.partition, &mut self.chunk, self.raw_headers));
                    sys::rd_kafka_message_destroy(message);
                }
            }
            if count < size || messages.is_over {
                break;
            }
            left -= count;
        }
        messages.failure.map_or(Ok(()), Err)
    }

    /// Behind the newest record, as the broker's latest answer to a fetch had it; asks nobody. `None` before the first one.
    pub(super) fn end_offset(&self) -> Option<i64> {
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client lives (we hold it), the name is a C string, and both results are written to live variables.
        let error = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                self.consumer.client().native_ptr(),
                self.topic.as_ptr(),
                self.partition.partition,
                &raw mut low,
                &raw mut high,
            )
        };
        (error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }
}

impl<C: ConsumerContext + 'static> Drop for PartitionQueue<C> {
    fn drop(&mut self) {
        // SAFETY: the queue is ours and lives; without the callback nothing refers to `_wake` any more.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

unsafe extern "C" fn nonempty(_client: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `opaque` is the boxed `Wake` of a queue that lives; see `split`.
    let wake = unsafe { &*opaque.cast::<Wake>() };
    wake();
}

/// Begin to commit `offsets`; the result comes as an event of the consumer's queue, where the client's context is told of it.
///
/// `rdkafka`'s own asynchronous commit names no queue, and librdkafka then tells nobody.
pub(super) fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    offsets: &TopicPartitionList,
) -> Result<(), RDKafkaErrorCode> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client and the list live during the call, which copies the list; the queue is checked, and given back.
    let error = unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(client);
        if queue.is_null() {
            return Err(RDKafkaErrorCode::UnknownGroup);
        }
        let error = sys::rd_kafka_commit_queue(client, offsets.ptr(), queue, None, ptr::null_mut());
        sys::rd_kafka_queue_destroy(queue);
        error
    };
    match error {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
        error => Err(RDKafkaErrorCode::from(error)),
    }
}

/// Copy a message into `chunk`. The copy frees librdkafka's fetch buffer, which otherwise stays as long as its slowest message.
///
/// # Safety
/// `message` is valid, of a topic and partition as named; `raw_headers` only where [`raw_headers::is_verified`].
unsafe fn read_message(
    message: &sys::rd_kafka_message_t,
    partition: &TopicPartition,
    chunk: &mut BytesMut,
    raw_headers: bool,
) -> Result<Record, MessageError> {
    if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        let code = RDKafkaErrorCode::from(message.err);
        // SAFETY: the message is valid; librdkafka returns a C string or null.
        let reason = unsafe { text(sys::rd_kafka_message_errstr(message)) };
        let reason = reason.unwrap_or_else(|| code.to_string());
        return Err(MessageError { code, reason, offset: message.offset });
    }
    // SAFETY: in a message without an error, `payload` and `key` are null or valid for their lengths.
    let (payload, key) = unsafe { (bytes(message.payload, message.len), bytes(message.key, message.key_len)) };
    // SAFETY: as the caller says.
    let raw = if raw_headers { unsafe { raw_headers::as_written(message) } } else { None };
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is valid.
    let timestamp = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
    let known = kind != sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    let (key_bytes, payload_bytes) = (key.map_or(0, <[u8]>::len), payload.map_or(0, <[u8]>::len));
    let all = copied(chunk, [key.unwrap_or_default(), payload.unwrap_or_default(), raw.unwrap_or_default()]);
    let headers = match raw {
        // Malformed headers are none, as librdkafka has it.
        Some(_) => Headers::from_wire(all.slice(key_bytes + payload_bytes..)).unwrap_or_default(),
        // SAFETY: the message is valid.
        None => unsafe { native_headers::read(message) },
    };
    Ok(Record {
        topic: Arc::clone(&partition.topic),
        partition: partition.partition,
        offset: message.offset,
        timestamp_ms: known.then_some(timestamp),
        key: key.map(|_| all.slice(..key_bytes)),
        payload: payload.map(|_| all.slice(key_bytes..key_bytes + payload_bytes)),
        headers,
    })
}

/// `parts` one behind the other, in `chunk` while there is room.
fn copied(chunk: &mut BytesMut, parts: [&[u8]; 3]) -> Bytes {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if chunk.capacity() < length {
        // Takes the same memory again when all of its records are gone.
        chunk.reserve(length.max(CHUNK));
    }
    for part in parts {
        chunk.extend_from_slice(part);
    }
    chunk.split().freeze()
}

/// # Safety
/// `start` is null or valid for `length` bytes for as long as the result is used.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller says.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
}

/// # Safety
/// `start` is null or a C string.
unsafe fn text(start: *const c_char) -> Option<String> {
    // SAFETY: as the caller says.
    (!start.is_null()).then(|| unsafe { CStr::from_ptr(start) }.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64) -> Record {
        Record {
            topic: "accounts".into(),
            partition: 0,
            offset,
            timestamp_ms: None,
            key: None,
            payload: None,
            headers: Headers::new(),
        }
    }

    fn error(code: RDKafkaErrorCode) -> MessageError {
        MessageError { code, reason: code.to_string(), offset: -1 }
    }

    #[test]
    fn nothing_is_taken_behind_an_error_that_ends_it_and_no_later_error_takes_its_place() {
        use RDKafkaErrorCode as Code;
        let mut records = Vec::new();
        let ends = |code| code == Code::BadMessage;
        let mut messages = Messages { records: &mut records, ends, failure: None, is_over: false };
        messages.take(Ok(record(0)));
        messages.take(Err(error(Code::BrokerTransportFailure)));
        messages.take(Ok(record(1)));
        messages.take(Err(error(Code::BadMessage)));
        messages.take(Ok(record(9)));
        messages.take(Err(error(Code::BrokerTransportFailure)));
        assert!(messages.is_over);
        assert_eq!(messages.failure.map(|error| error.code), Some(Code::BadMessage));
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1]);
    }
}
