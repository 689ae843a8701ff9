//! A producer that keeps what it was sent.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use crate::transport::murmur2;
use crate::transport::{OutgoingRecord, ProduceError, Producer, Record, Written};

/// A producer that keeps what it was sent, in memory. Records are written when they are acknowledged: at once, or when
/// [`release`](Self::release) says so. It can be told to fail, and keeps the order Kafka would keep. A cheap handle.
#[derive(Clone)]
pub struct MemoryProducer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    waiting: watch::Sender<usize>,
}

struct State {
    partitions: u32,
    queue_records: usize,
    written: Vec<Record>,
    ends: HashMap<(Arc<str>, i32), i64>,
    // What is neither acknowledged nor failed, in order.
    waiting: VecDeque<Waiting>,
    holding: bool,
    // The errors of the next sends.
    failures: VecDeque<Failure>,
}

type Failure = Box<dyn FnOnce(&OutgoingRecord) -> ProduceError + Send>;
type Reply = oneshot::Sender<Result<Written, ProduceError>>;

struct Waiting {
    record: OutgoingRecord,
    failure: Option<ProduceError>,
    reply: Reply,
}

impl MemoryProducer {
    /// A producer whose topics all exist, with `partitions` partitions each.
    pub fn new(partitions: u32) -> Self {
        let state = State {
            partitions,
            queue_records: usize::MAX,
            written: Vec::new(),
            ends: HashMap::new(),
            waiting: VecDeque::new(),
            holding: false,
            failures: VecDeque::new(),
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), waiting: watch::Sender::new(0) }) }
    }

    /// Take at most `records` that are not yet acknowledged; more resolve to [`ProduceError::QueueFull`].
    pub fn queue_records(self, records: usize) -> Self {
        self.shared.state.lock().queue_records = records;
        self
    }

    /// What was written, in the order it was acknowledged.
    pub fn written(&self) -> Vec<Record> {
        self.shared.state.lock().written.clone()
    }

    /// How many records are neither acknowledged nor failed.
    pub fn outstanding(&self) -> usize {
        self.shared.state.lock().waiting.len()
    }

    /// Fail the next `count` records that are sent, each with the error `error` makes of it. They fail when they would
    /// have been acknowledged.
    pub fn fail_next<F>(&self, count: usize, error: F)
    where
        F: Fn(&OutgoingRecord) -> ProduceError + Clone + Send + 'static,
    {
        let mut state = self.shared.state.lock();
        state.failures.extend((0..count).map(|_| Box::new(error.clone()) as Failure));
    }

    /// Acknowledge nothing until released.
    pub fn hold(&self) {
        self.shared.state.lock().holding = true;
    }

    /// Acknowledge everything held, in order, and whatever follows.
    pub fn release(&self) {
        self.shared.state.lock().holding = false;
        self.acknowledge(usize::MAX);
    }

    /// Acknowledge the next `count` records held, in order.
    pub fn release_next(&self, count: usize) {
        self.acknowledge(count);
    }

    fn acknowledge(&self, count: usize) {
        let mut state = self.shared.state.lock();
        for _ in 0..count {
            let Some(Waiting { record, failure, reply }) = state.waiting.pop_front() else { break };
            let result = match failure {
                Some(error) => Err(error),
                None => Ok(state.write(record)),
            };
            // Nobody may be waiting.
            let _ = reply.send(result);
        }
        self.shared.waiting.send_replace(state.waiting.len());
    }
}

impl State {
    fn write(&mut self, record: OutgoingRecord) -> Written {
        let chosen = record.key.as_deref().map_or(0, |key| murmur2::partition(key, self.partitions));
        let partition = record.partition.unwrap_or_else(|| i32::try_from(chosen).unwrap_or(i32::MAX));
        let end = self.ends.entry((Arc::clone(&record.topic), partition)).or_default();
        let offset = *end;
        *end += 1;
        self.written.push(Record {
            topic: record.topic,
            partition,
            offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            payload: record.payload,
            headers: record.headers,
        });
        Written { partition, offset: Some(offset) }
    }
}

impl Producer for MemoryProducer {
    fn enqueue(
        &self,
        record: &OutgoingRecord,
    ) -> Result<BoxFuture<'static, Result<Written, ProduceError>>, ProduceError> {
        let (reply, replied) = oneshot::channel();
        let topic = Arc::clone(&record.topic);
        let holding = {
            let mut state = self.shared.state.lock();
            if state.waiting.len() >= state.queue_records {
                return Err(ProduceError::QueueFull { topic });
            }
            if record
                .partition
                .is_some_and(|partition| u32::try_from(partition).map_or(true, |p| p >= state.partitions))
            {
                return Err(ProduceError::UnknownPartition { topic });
            }
            let failure = state.failures.pop_front().map(|failure| failure(record));
            state.waiting.push_back(Waiting { record: record.clone(), failure, reply });
            state.holding
        };
        if !holding {
            self.acknowledge(usize::MAX);
        }
        Ok(replied.map(|result| result.unwrap_or(Err(ProduceError::Purged { topic }))).boxed())
    }

    fn flush(&self, deadline: Duration) -> BoxFuture<'static, usize> {
        let mut waiting = self.shared.waiting.subscribe();
        let shared = Arc::clone(&self.shared);
        async move {
            let none = waiting.wait_for(|_| shared.state.lock().waiting.is_empty());
            let _ = tokio::time::timeout(deadline, none).await;
            shared.state.lock().waiting.len()
        }
        .boxed()
    }

    fn purge(&self) {
        let purged = std::mem::take(&mut self.shared.state.lock().waiting);
        for Waiting { record, reply, .. } in purged {
            let _ = reply.send(Err(ProduceError::Purged { topic: record.topic }));
        }
        self.shared.waiting.send_replace(0);
    }
}

impl fmt::Debug for MemoryProducer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        formatter
            .debug_struct("MemoryProducer")
            .field("written", &state.written.len())
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transport::Headers;

    fn record(key: &'static str) -> OutgoingRecord {
        OutgoingRecord {
            topic: "accounts".into(),
            partition: None,
            key: Some(Bytes::from_static(key.as_bytes())),
            payload: None,
            headers: Headers::new(),
            timestamp_ms: None,
        }
    }

    #[tokio::test]
    async fn a_key_goes_where_java_would_send_it() {
        let producer = MemoryProducer::new(12);
        let first = producer.send(record("foobar")).await.unwrap();
        let second = producer.send(record("foobar")).await.unwrap();
        assert_eq!(first.partition, i32::try_from(murmur2::partition(b"foobar", 12)).unwrap());
        assert_eq!((first.offset, second.offset), (Some(0), Some(1)));
    }

    #[tokio::test]
    async fn what_is_held_is_written_in_order_when_released() {
        let producer = MemoryProducer::new(1);
        producer.hold();
        let first = producer.send(record("1"));
        let second = producer.send(record("2"));
        assert_eq!(producer.flush(Duration::ZERO).await, 2);
        assert!(producer.written().is_empty());
        producer.release_next(1);
        assert_eq!((first.await.unwrap().offset, producer.outstanding()), (Some(0), 1));
        producer.release();
        assert_eq!(second.await.unwrap().offset, Some(1));
        assert_eq!(producer.flush(Duration::from_mins(1)).await, 0);
    }

    #[tokio::test]
    async fn only_the_next_sends_fail_when_told_to() {
        let producer = MemoryProducer::new(1);
        producer.fail_next(1, |record| ProduceError::UnknownTopic { topic: Arc::clone(&record.topic) });
        assert!(matches!(producer.send(record("1")).await, Err(ProduceError::UnknownTopic { .. })));
        assert!(producer.send(record("2")).await.is_ok());
        assert_eq!(producer.written().len(), 1);
    }

    #[tokio::test]
    async fn a_full_queue_and_a_purge_are_told_apart() {
        let producer = MemoryProducer::new(1).queue_records(1);
        producer.hold();
        let taken = producer.send(record("1"));
        assert!(matches!(producer.send(record("2")).await, Err(ProduceError::QueueFull { .. })));
        producer.purge();
        assert!(matches!(taken.await, Err(ProduceError::Purged { .. })));
    }
}
