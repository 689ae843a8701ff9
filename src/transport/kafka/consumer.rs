//! A member of a Kafka consumer group.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError as RdKafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Message as _, Offset};
use rustc_hash::FxHashMap;

use super::committed::{LookUp, StartFrom};
use super::native::{PartitionQueue, commit};
use super::{KafkaError, KafkaOptions, client_context};
use crate::handoff::Bell;
use crate::transport::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, Record, StartOffset, TopicPartition, Wake,
};

/// How long leaving a partition to another queue may take.
const SEEK_TIMEOUT: Duration = Duration::from_secs(1);

/// The property that says what to do when an offset is not there, or no more.
const OFFSET_RESET: &str = "auto.offset.reset";

/// What tidings sets that librdkafka would set otherwise; the user's own properties win.
pub(crate) fn consumer_defaults(queue_bytes: usize) -> Vec<(&'static str, String)> {
    vec![
        ("enable.auto.commit", "false".into()),
        ("enable.auto.offset.store", "false".into()),
        // Where to begin is said for each partition; so what is left for a reset is an offset that retention overtook, and
        // going on elsewhere by itself would skip events, or repeat them.
        (OFFSET_RESET, "error".into()),
        ("allow.auto.create.topics", "false".into()),
        ("partition.assignment.strategy", "cooperative-sticky".into()),
        // How long a partition with a full queue is left alone. The default of 1,000 ms costs four fifths of the speed.
        ("fetch.queue.backoff.ms", "10".into()),
        // How long a broker may wait for more to come. A partition whose queue was full when it was asked is not read meanwhile: the
        // default of 500 ms is a pause of that length whenever the others have nothing left.
        ("fetch.wait.max.ms", "50".into()),
        ("fetch.error.backoff.ms", "100".into()),
        // The bound is a queue's, and each partition has one; the default of 64 MiB would be that much a partition.
        ("queued.max.messages.kbytes", (queue_bytes / 1024).max(64).to_string()),
        ("socket.nagle.disable", "true".into()),
    ]
}

/// What the client's callbacks leave for the poll thread. They only record: librdkafka calls them in the middle of its own work.
#[derive(Default)]
struct Inbox {
    events: Mutex<VecDeque<GroupEvent>>,
    membership: Mutex<VecDeque<Membership>>,
    closing: AtomicBool,
}

/// What the group did to this member, in its order.
enum Membership {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>),
    Lost(Vec<TopicPartition>),
}

pub(super) struct Context {
    inbox: Arc<Inbox>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client_context::log(level, facility, message);
    }

    fn error(&self, error: RdKafkaError, reason: &str) {
        let fatal = error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal);
        let problem = ConsumeError::Operation { operation: "reach the brokers", reason: reason.to_owned() };
        let event = if fatal { GroupEvent::Failed(problem) } else { GroupEvent::Warning(problem) };
        self.inbox.events.lock().push_back(event);
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let named = partition_names(partitions);
        if self.inbox.closing.load(Ordering::Acquire) {
            // Nobody polls for events any more, and librdkafka does not close while one is unanswered.
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "could not give the partitions back while closing");
            }
            return;
        }
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Membership::Assigned(named),
            _ if consumer.assignment_lost() => Membership::Lost(named),
            _ => Membership::Revoked(named),
        };
        self.inbox.membership.lock().push_back(event);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        // No offset to commit is not a failure: there was nothing to do.
        let result = match result {
            Err(RdKafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) | Ok(()) => Ok(()),
            Err(RdKafkaError::ConsumerCommit(RDKafkaErrorCode::OffsetMetadataTooLarge)) => {
                Err(ConsumeError::MetadataTooLarge)
            }
            Err(error) => Err(failed("commit offsets", &error)),
        };
        self.inbox.events.lock().push_back(GroupEvent::Committed(result));
    }
}

/// A member of a Kafka consumer group.
pub(crate) struct KafkaConsumer {
    // Partitions' queues go before the client: fields drop in this order.
    queues: FxHashMap<TopicPartition, PartitionQueue<Context>>,
    consumer: Arc<BaseConsumer<Context>>,
    inbox: Arc<Inbox>,
    start_from: StartFrom,
    look_up: Option<LookUp>,
    bell: Arc<Bell>,
    wake: Wake,
    /// Records that came outside their partitions' queues.
    strays: u64,
}

impl KafkaConsumer {
    /// A member of `group`, not yet subscribed. Partitions that it has not committed begin at `start_from`. Each partition's queue
    /// holds about `queue_bytes` that are fetched and not taken.
    pub(crate) fn new(
        options: &KafkaOptions,
        group: &str,
        start_from: StartFrom,
        queue_bytes: usize,
    ) -> Result<Self, ConsumeError> {
        let inbox = Arc::new(Inbox::default());
        let mut defaults = consumer_defaults(queue_bytes);
        if let Some((property, value)) = options.user_property(OFFSET_RESET) {
            return Err(ConsumeError::Client {
                reason: format!(
                    "the property {property} = {value} is not for groups that commit; set `start_from` instead"
                ),
            });
        }
        // The brokers assign then, and the client refuses to be told how.
        if options.brokers_coordinate_groups() {
            defaults.retain(|(name, _)| *name != "partition.assignment.strategy");
        }
        let defaults: Vec<_> = defaults.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut config = options.to_client_config(&defaults);
        config.set("group.id", group);
        config.set_log_level(client_context::log_level());
        let context = Context { inbox: Arc::clone(&inbox) };
        let mut consumer: BaseConsumer<Context> =
            config.create_with_context(context).map_err(|error| ConsumeError::Client {
                // Not rdkafka's own text, which shows the property's value.
                reason: KafkaError::from_configuration(&error).to_string(),
            })?;
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        let wake: Wake = Arc::new(move || ring.ring());
        let on_event = Arc::clone(&wake);
        consumer.set_nonempty_callback(move || on_event());
        let consumer = Arc::new(consumer);
        Ok(Self { queues: FxHashMap::default(), consumer, inbox, start_from, look_up: None, bell, wake, strays: 0 })
    }

    /// What the group did next. What it hands over waits until its offsets are known, and whatever follows waits behind it.
    fn next_membership(&mut self) -> Option<GroupEvent> {
        if let Some(look_up) = &self.look_up {
            let found = look_up.take()?;
            self.look_up = None;
            return Some(found.map_or_else(GroupEvent::Failed, GroupEvent::Assigned));
        }
        match self.inbox.membership.lock().pop_front()? {
            Membership::Assigned(partitions) if partitions.is_empty() => Some(GroupEvent::Assigned(Vec::new())),
            Membership::Assigned(partitions) => {
                match LookUp::start(&self.consumer, partitions, self.start_from, &self.wake) {
                    Ok(look_up) => self.look_up = Some(look_up),
                    Err(error) => return Some(GroupEvent::Failed(error)),
                }
                None
            }
            Membership::Revoked(partitions) => Some(GroupEvent::Revoked(partitions)),
            Membership::Lost(partitions) => Some(GroupEvent::Lost(partitions)),
        }
    }

    /// A message on the main queue would bypass its partition's queue: have it fetched again.
    fn put_back(&self, topic: &str, partition: i32, offset: i64) {
        tracing::warn!(
            topic,
            partition,
            offset,
            strays = self.strays,
            "a record came outside its partition's queue; it is fetched again"
        );
        if let Err(error) = self.consumer.seek(topic, partition, Offset::Offset(offset), SEEK_TIMEOUT) {
            let reason = error.to_string();
            let partition = TopicPartition { topic: topic.into(), partition };
            let failed = ConsumeError::Fetch { partition, reason, fatal: true };
            self.inbox.events.lock().push_back(GroupEvent::Failed(failed));
        }
    }
}

impl ConsumerTransport for KafkaConsumer {
    fn subscribe(&mut self, topics: &[Arc<str>]) -> Result<(), ConsumeError> {
        let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
        self.consumer.subscribe(&topics).map_err(|error| failed("subscribe", &error))
    }

    fn poll(&mut self) -> Option<GroupEvent> {
        if let Some(event) = self.inbox.events.lock().pop_front() {
            return Some(event);
        }
        match self.consumer.poll(Duration::ZERO) {
            None => {}
            Some(Ok(message)) => {
                self.strays += 1;
                self.put_back(message.topic(), message.partition(), message.offset());
            }
            Some(Err(RdKafkaError::MessageConsumptionFatal(code))) => {
                let reason = code.to_string();
                return Some(GroupEvent::Failed(ConsumeError::Operation { operation: "consume", reason }));
            }
            Some(Err(error)) => return Some(GroupEvent::Warning(failed("consume", &error))),
        }
        let event = self.inbox.events.lock().pop_front();
        event.or_else(|| self.next_membership())
    }

    fn assign(&mut self, assignments: &[Assignment]) -> Result<(), ConsumeError> {
        let mut list = TopicPartitionList::with_capacity(assignments.len());
        for Assignment { partition, start } in assignments {
            let offset = match start {
                StartOffset::Beginning => Offset::Beginning,
                StartOffset::End(offset) | StartOffset::Committed { offset, .. } => Offset::Offset(*offset),
            };
            let mut element = list.add_partition(&partition.topic, partition.partition);
            element.set_offset(offset).map_err(|error| failed("take partitions", &error))?;
            let queue =
                PartitionQueue::split(&self.consumer, partition, &self.wake).ok_or_else(|| ConsumeError::Fetch {
                    partition: partition.clone(),
                    reason: "there is no such partition".to_owned(),
                    fatal: true,
                })?;
            self.queues.insert(partition.clone(), queue);
        }
        // A user may choose an eager assignor; it hands over everything at once and takes it back so.
        let assigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Eager => self.consumer.assign(&list),
            _ => self.consumer.incremental_assign(&list),
        };
        assigned.map_err(|error| failed("take partitions", &error))
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        for partition in partitions {
            self.queues.remove(partition);
        }
        let unassigned = match self.consumer.rebalance_protocol() {
            RebalanceProtocol::Eager => self.consumer.unassign(),
            _ => self.consumer.incremental_unassign(&partition_list(partitions)),
        };
        unassigned.map_err(|error| failed("give partitions back", &error))
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        // Without a timeout it does not block; what the queue still holds of before is dropped by the client.
        self.consumer
            .seek(&partition.topic, partition.partition, Offset::Offset(offset), Duration::ZERO)
            .map_err(|error| failed("seek", &error))
    }

    fn fetch(
        &mut self,
        partition: &TopicPartition,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), ConsumeError> {
        let Some(queue) = self.queues.get_mut(partition) else { return Ok(()) };
        queue.fetch(most, records, is_fatal).map_err(|error| ConsumeError::Fetch {
            partition: partition.clone(),
            fatal: is_fatal(error.code),
            reason: match error.code {
                RDKafkaErrorCode::AutoOffsetReset => format!(
                    "the offset to go on from is not there: retention deleted it before it was handled, or the topic was made \
                     anew; reset the group's offset to go on from what is there ({})",
                    error.reason
                ),
                _ => error.reason,
            },
        })
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.queues.get(partition)?.end_offset()
    }

    fn commit(&mut self, offsets: &[CommitOffset]) -> Result<(), ConsumeError> {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for CommitOffset { partition, offset, metadata } in offsets {
            let mut element = list.add_partition(&partition.topic, partition.partition);
            element.set_offset(Offset::Offset(*offset)).map_err(|error| failed("commit offsets", &error))?;
            element.set_metadata(metadata);
        }
        commit(&self.consumer, &list).map_err(|code| failed("commit offsets", &RdKafkaError::ConsumerCommit(code)))
    }

    fn wait(&mut self, timeout: Duration) {
        self.bell.wait(timeout);
    }

    fn wake(&self) -> Wake {
        Arc::clone(&self.wake)
    }

    fn close(self) {}
}

impl Drop for KafkaConsumer {
    fn drop(&mut self) {
        // Also when the poll thread panics: closing waits for the answer that only the hook gives now.
        self.inbox.closing.store(true, Ordering::Release);
    }
}

/// Whether nobody may go on behind this. Starting over by itself would skip or repeat history; an operator must choose. And the client
/// skips a batch that is corrupt or that it cannot read: going on would commit past it.
const fn is_fatal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AutoOffsetReset
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::BadMessage
            | RDKafkaErrorCode::BadCompression
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::NotImplemented
    )
}

fn failed(operation: &'static str, error: &RdKafkaError) -> ConsumeError {
    ConsumeError::Operation { operation, reason: error.to_string() }
}

fn partition_names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition { topic: element.topic().into(), partition: element.partition() })
        .collect()
}

fn partition_list(partitions: &[TopicPartition]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    list
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
