//! Reads a topic from chosen offsets, as a member of no group.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as RdKafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::{Message as _, Offset};
use rustc_hash::FxHashMap;
use tokio::sync::Notify;

use super::client_context::{self, ClientEvents};
use super::native::PartitionQueue;
use super::{KafkaError, KafkaOptions};
use crate::transport::{Record, TopicPartition, Wake};

/// How long one request for metadata may take before events are looked at: a refused password shows only there.
const METADATA_TURN: Duration = Duration::from_millis(500);
/// How long going back to a record may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);
/// What all partitions together may have fetched ahead, in kilobytes.
const AHEAD_KBYTES: usize = 16 * 1024;

/// A topic could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ReadError {
    /// No client, no broker, or no access to the cluster.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// There is no such topic.
    #[error("topic {topic} does not exist: check its name, or create it with `tidings topics ensure`")]
    Missing {
        /// The topic.
        topic: String,
    },
    /// The brokers do not let it be read.
    #[error("topic {topic} cannot be read: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the broker says.
        reason: String,
    },
}

/// A partition, and the offsets of what it holds: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) partition: i32,
    pub(crate) start: i64,
    /// The offset the next record will have.
    pub(crate) end: i64,
}

/// What came of a look into a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// There may be more.
    More,
    /// The partition's end was reached, as it is now.
    End,
}

/// Reads a topic from chosen offsets. Its calls do not block, but for [`open`](Self::open) and
/// [`offsets_at`](Self::offsets_at), and dropping it: all of these belong on a thread that may.
pub(crate) struct KafkaReader {
    // Partitions' queues go before the client: fields drop in this order.
    queues: FxHashMap<i32, PartitionQueue<ReaderContext>>,
    consumer: Arc<BaseConsumer<ReaderContext>>,
    topic: Arc<str>,
    brokers: String,
    woken: Arc<Notify>,
    extents: Vec<Extent>,
    /// The ends that were reached, by partition: the offset of the next record there.
    ends: FxHashMap<i32, i64>,
}

#[derive(Default)]
struct ReaderContext(ClientEvents);

impl ClientContext for ReaderContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_context::log(level, facility, message);
    }

    fn error(&self, error: RdKafkaError, reason: &str) {
        self.0.error(error, reason);
    }
}

impl ConsumerContext for ReaderContext {}

impl KafkaReader {
    /// Find `topic` and how far its partitions reach. Blocks, at most for about `deadline`.
    pub(crate) fn open(options: &KafkaOptions, topic: &str, deadline: Duration) -> Result<Self, ReadError> {
        Self::open_with(options, topic, deadline, &[])
    }

    /// As [`open`](Self::open), with properties of the client's that win over its own.
    pub(crate) fn open_with(
        options: &KafkaOptions,
        topic: &str,
        deadline: Duration,
        more: &[(&str, &str)],
    ) -> Result<Self, ReadError> {
        let queued_kbytes = (AHEAD_KBYTES / 8).to_string();
        let defaults = [
            // librdkafka wants one for `assign`; nothing joins it and nothing is committed to it.
            ("group.id", "tidings-reader"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("allow.auto.create.topics", "false"),
            // Retention may overtake a reader; it goes on with what is left.
            ("auto.offset.reset", "earliest"),
            ("fetch.queue.backoff.ms", "10"),
            ("queued.max.messages.kbytes", &queued_kbytes),
            ("reconnect.backoff.max.ms", "1000"),
        ];
        let defaults = defaults.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
        let config = options.to_client_config(&defaults.chain(more).copied().collect::<Vec<_>>());
        let consumer = config.create_with_context(ReaderContext::default());
        let mut consumer: BaseConsumer<ReaderContext> =
            consumer.map_err(|error| KafkaError::from_configuration(&error))?;
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        consumer.set_nonempty_callback(move || wake.notify_one());
        let mut reader = Self {
            queues: FxHashMap::default(),
            consumer: Arc::new(consumer),
            topic: topic.into(),
            brokers: options.brokers().to_owned(),
            woken,
            extents: Vec::new(),
            ends: FxHashMap::default(),
        };
        let end = Instant::now() + deadline;
        for partition in reader.partitions(end)? {
            let extent = reader.extent(partition, end)?;
            reader.extents.push(extent);
        }
        // An address that did not answer is no trouble where another one did.
        reader.recovered();
        Ok(reader)
    }

    /// How far the partitions reached when the topic was found, by number.
    pub(crate) fn extents(&self) -> &[Extent] {
        &self.extents
    }

    fn partitions(&self, end: Instant) -> Result<Vec<i32>, ReadError> {
        loop {
            let turn = self.left(end)?.min(METADATA_TURN);
            let answer = self.consumer.client().fetch_metadata(Some(&self.topic), turn);
            self.serve();
            let reason = match answer {
                Ok(metadata) => {
                    let Some(found) = metadata.topics().first() else { return Err(self.missing()) };
                    match found.error().map(Code::from) {
                        None => {
                            let mut partitions: Vec<_> =
                                found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id).collect();
                            partitions.sort_unstable();
                            return Ok(partitions);
                        }
                        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Err(self.missing()),
                        // A new topic, or a broker on its way out.
                        Some(Code::LeaderNotAvailable) => continue,
                        Some(code) => code.to_string(),
                    }
                }
                Err(RdKafkaError::Nul(_)) => "its name contains a zero byte".to_owned(),
                Err(error) => match error.rdkafka_error_code() {
                    Some(code) if passes(code) && self.events().authentication_failure().is_none() => continue,
                    Some(code) if passes(code) => return Err(self.unanswered()),
                    _ => error.to_string(),
                },
            };
            return Err(self.refused(reason));
        }
    }

    fn extent(&self, partition: i32, end: Instant) -> Result<Extent, ReadError> {
        loop {
            match self.consumer.fetch_watermarks(&self.topic, partition, self.left(end)?.min(METADATA_TURN)) {
                Ok((start, end)) => return Ok(Extent { partition, start, end }),
                Err(error) => match error.rdkafka_error_code() {
                    Some(code) if passes(code) => self.serve(),
                    _ => return Err(self.refused(error.to_string())),
                },
            }
        }
    }

    /// The first offset of each partition whose record is not older than `timestamp_ms`; the partition's end where all are.
    /// Blocks, at most for `deadline`.
    pub(crate) fn offsets_at(&self, timestamp_ms: i64, deadline: Duration) -> Result<FxHashMap<i32, i64>, ReadError> {
        let mut times = TopicPartitionList::with_capacity(self.extents.len());
        for extent in &self.extents {
            times
                .add_partition_offset(&self.topic, extent.partition, Offset::Offset(timestamp_ms))
                .map_err(|error| self.refused(error.to_string()))?;
        }
        let found = self.consumer.offsets_for_times(times, deadline).map_err(|error| {
            let passing = error.rdkafka_error_code().is_some_and(passes);
            if passing { self.unanswered() } else { self.refused(error.to_string()) }
        })?;
        let offset_of =
            |extent: &Extent| match found.find_partition(&self.topic, extent.partition).map(|element| element.offset())
            {
                Some(Offset::Offset(offset)) => offset,
                _ => extent.end,
            };
        Ok(self.extents.iter().map(|extent| (extent.partition, offset_of(extent))).collect())
    }

    /// Begin to read these partitions, each from its offset. To be called once.
    pub(crate) fn start(&mut self, from: &[(i32, i64)]) -> Result<(), ReadError> {
        let mut list = TopicPartitionList::with_capacity(from.len());
        for &(partition, offset) in from {
            let woken = Arc::clone(&self.woken);
            let wake: Wake = Arc::new(move || woken.notify_one());
            let name = TopicPartition { topic: Arc::clone(&self.topic), partition };
            let queue = PartitionQueue::split(&self.consumer, &name, &wake)
                .ok_or_else(|| self.refused(format!("there is no partition {partition}")))?;
            self.queues.insert(partition, queue);
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))
                .map_err(|error| self.refused(error.to_string()))?;
        }
        self.consumer.assign(&list).map_err(|error| self.refused(error.to_string()))
    }

    /// Move at most `most` fetched records of `partition` into `records`.
    pub(crate) fn fetch(
        &mut self,
        partition: i32,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Result<Fetched, ReadError> {
        self.serve();
        let Some(queue) = self.queues.get_mut(&partition) else { return Ok(Fetched::End) };
        match queue.fetch(most, records, |code| code != Code::PartitionEOF && !passes(code)) {
            Ok(()) => Ok(Fetched::More),
            Err(error) if error.code == Code::PartitionEOF => {
                self.ends.insert(partition, error.offset);
                Ok(Fetched::End)
            }
            // librdkafka goes on by itself.
            Err(error) if passes(error.code) => Ok(Fetched::More),
            Err(error) => Err(self.refused(error.reason)),
        }
    }

    /// The end of `partition` that was last reached: the offset of the next record there.
    pub(crate) fn end_reached(&self, partition: i32) -> Option<i64> {
        self.ends.get(&partition).copied()
    }

    /// The end of `partition` as its leader has it now. Blocks, at most for about `deadline`.
    pub(crate) fn end_of(&self, partition: i32, deadline: Duration) -> Result<i64, ReadError> {
        self.extent(partition, Instant::now() + deadline).map(|extent| extent.end)
    }

    /// Go on reading `partition`, which is being read, at `offset`. Blocks, at most for about a second.
    pub(crate) fn seek(&mut self, partition: i32, offset: i64) -> Result<(), ReadError> {
        self.ends.remove(&partition);
        let sought = self.consumer.seek(&self.topic, partition, Offset::Offset(offset), SEEK_TIMEOUT);
        sought.map_err(|error| match error.rdkafka_error_code() {
            Some(code) if passes(code) => self.unanswered(),
            _ => self.refused(error.to_string()),
        })
    }

    /// The error of a reader that waited long enough for records that are there.
    pub(crate) fn silent(&self) -> ReadError {
        self.unanswered()
    }

    /// Stop reading `partition`.
    pub(crate) fn stop(&mut self, partition: i32) {
        self.queues.remove(&partition);
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(&self.topic, partition);
        // Fails only where it is not read; what is still fetched of it goes nowhere.
        let _ = self.consumer.pause(&list);
    }

    /// Resolves when there may be something to fetch.
    pub(crate) fn ready(&self) -> impl Future<Output = ()> + Send + use<> {
        let woken = Arc::clone(&self.woken);
        // It borrows nothing: a reader may not be shared among threads, and whoever waits may move.
        async move { woken.notified().await }
    }

    /// Why nothing comes, if the client knows: the brokers went away.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.events().last_reason()
    }

    /// Forget [`trouble`](Self::trouble): records come again.
    pub(crate) fn recovered(&self) {
        self.events().recovered();
    }

    /// Let the client report what it has to report.
    fn serve(&self) {
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            match event {
                // A message on the main queue would be skipped: have it fetched again.
                Ok(message) => {
                    let (partition, offset) = (message.partition(), message.offset());
                    if let Err(error) = self.consumer.seek(&self.topic, partition, Offset::Offset(offset), SEEK_TIMEOUT)
                    {
                        tracing::warn!(%error, partition, offset, "a record was skipped");
                    }
                }
                // The context has the reason.
                Err(error) => tracing::debug!(%error, "the client reports a problem"),
            }
        }
    }

    fn events(&self) -> &ClientEvents {
        &self.consumer.client().context().0
    }

    fn left(&self, end: Instant) -> Result<Duration, ReadError> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(self.unanswered()) } else { Ok(left) }
    }

    fn missing(&self) -> ReadError {
        ReadError::Missing { topic: self.topic.to_string() }
    }

    fn refused(&self, reason: String) -> ReadError {
        ReadError::Refused { topic: self.topic.to_string(), reason }
    }

    fn unanswered(&self) -> ReadError {
        ReadError::Kafka(self.events().unanswered(&self.brokers))
    }
}

/// Whether a problem is one that goes away, or shows its cause elsewhere.
const fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::AllBrokersDown
            | Code::RequestTimedOut
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::Resolve
            | Code::WaitingForCoordinator
            | Code::Authentication
    )
}
