//! Topics, their records and the offsets committed, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::group::Group;
use super::{MemoryBrokerProducer, MemoryConsumer};
use crate::transport::{
    Assignment, CommitOffset, ConsumeError, GroupEvent, Headers, Record, StartOffset, TopicPartition,
};

/// Topics, their records, consumer groups and what they have committed. A cheap handle.
///
/// [`member`](Self::member) makes a member of a group, and the broker spreads the partitions over a group's members. A
/// [`MemoryConsumer`] of no group is handed partitions by hand instead: [`assign`](Self::assign), [`revoke`](Self::revoke) and
/// [`lose`](Self::lose), and what [`committed`](Self::committed) says, are for one such consumer.
#[derive(Debug, Clone, Default)]
pub struct MemoryBroker {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    /// Rings for the consumer of no group when there may be something to do.
    pub(super) bell: Arc<Notify>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) records: BTreeMap<TopicPartition, Vec<Record>>,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    /// Those of members.
    pub(super) bells: Vec<Weak<Notify>>,
    pub(super) committed: BTreeMap<TopicPartition, CommitOffset>,
    pub(super) events: VecDeque<GroupEvent>,
    pub(super) commit_failures: usize,
    pub(super) commits: usize,
    /// Partitions that consumers read from the beginning again.
    pub(super) reset: Vec<TopicPartition>,
}

impl State {
    /// Spread every group's partitions over its members.
    pub(super) fn rebalance(&mut self) {
        let partitions: Vec<_> = self.records.keys().cloned().collect();
        for group in self.groups.values_mut() {
            group.rebalance(&partitions);
        }
    }
}

impl Shared {
    /// Wake all consumers: there may be something to do.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
        self.state.lock().bells.retain(|bell| bell.upgrade().map(|bell| bell.notify_one()).is_some());
    }
}

impl MemoryBroker {
    /// No topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new member of `group`; the broker hands it partitions of the topics it subscribes to.
    pub fn member(&self, group: &str) -> MemoryConsumer {
        MemoryConsumer::of_group(self, group)
    }

    /// A producer that writes here. Topics it does not know are made with `partitions` partitions.
    pub fn producer(&self, partitions: u32) -> MemoryBrokerProducer {
        MemoryBrokerProducer::new(self, partitions)
    }

    /// Wake all consumers, as after a clock of theirs has moved.
    pub fn ring(&self) {
        self.shared.ring();
    }

    /// A partition's records.
    pub fn records(&self, topic: &str, partition: i32) -> Vec<Record> {
        let name = TopicPartition { topic: topic.into(), partition };
        self.shared.state.lock().records.get(&name).cloned().unwrap_or_default()
    }

    /// What `group` last committed for a partition.
    pub fn commit_of_group(&self, group: &str, topic: &str, partition: i32) -> Option<CommitOffset> {
        let name = TopicPartition { topic: topic.into(), partition };
        self.shared.state.lock().groups.get(group)?.committed.get(&name).cloned()
    }

    /// Commit for `group`, as a tool would while it has no members.
    pub fn commit_for_group(&self, group: &str, commit: CommitOffset) {
        let mut state = self.shared.state.lock();
        let group = state.groups.entry(group.into()).or_default();
        group.committed.insert(commit.partition.clone(), commit);
    }

    /// Create a topic. Its partitions keep what they hold when it exists already.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let mut state = self.shared.state.lock();
        for partition in 0..partitions {
            state.records.entry(TopicPartition { topic: topic.into(), partition }).or_default();
        }
        state.rebalance();
        drop(state);
        self.ring();
    }

    /// How many partitions `topic` has; none when it does not exist.
    pub fn partitions(&self, topic: &str) -> u32 {
        let state = self.shared.state.lock();
        state.records.keys().filter(|name| *name.topic == *topic).count().try_into().unwrap_or(u32::MAX)
    }

    /// Append a record; returns its offset. An unknown partition is created.
    pub fn append(
        &self,
        topic: &str,
        partition: i32,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: Headers,
    ) -> i64 {
        let name = TopicPartition { topic: topic.into(), partition };
        self.append_record(Record {
            topic: name.topic,
            partition,
            offset: -1,
            timestamp_ms: None,
            key: key.map(Bytes::copy_from_slice),
            payload: payload.map(Bytes::copy_from_slice),
            headers,
        })
    }

    /// Append a record to its partition; its offset there is returned, whatever the record says.
    pub(crate) fn append_record(&self, mut record: Record) -> i64 {
        let name = TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition };
        let mut state = self.shared.state.lock();
        let is_new = !state.records.contains_key(&name);
        let records = state.records.entry(name).or_default();
        let offset = records.last().map_or(0, |record| record.offset + 1);
        record.offset = offset;
        records.push(record);
        if is_new {
            state.rebalance();
        }
        drop(state);
        self.ring();
        offset
    }

    /// Give the newest record of a partition a timestamp, in milliseconds since 1970: appended ones have none.
    pub fn stamp(&self, topic: &str, partition: i32, timestamp_ms: i64) {
        let name = TopicPartition { topic: topic.into(), partition };
        if let Some(record) = self.shared.state.lock().records.get_mut(&name).and_then(|log| log.last_mut()) {
            record.timestamp_ms = Some(timestamp_ms);
        }
    }

    /// Delete a partition's records and begin again at offset 0, as when a topic is created anew; consumers are reset to it.
    pub fn truncate(&self, topic: &str, partition: i32) {
        let name = TopicPartition { topic: topic.into(), partition };
        let mut state = self.shared.state.lock();
        state.records.insert(name.clone(), Vec::new());
        state.reset.push(name);
    }

    /// The offset committed for a partition: the first that is not complete.
    pub fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        self.commit_of(topic, partition).map(|commit| commit.offset)
    }

    /// What was last committed for a partition.
    pub fn commit_of(&self, topic: &str, partition: i32) -> Option<CommitOffset> {
        self.shared.state.lock().committed.get(&TopicPartition { topic: topic.into(), partition }).cloned()
    }

    /// Commit, as another member of the group would.
    pub fn commit(&self, commit: CommitOffset) {
        self.shared.state.lock().committed.insert(commit.partition.clone(), commit);
    }

    /// How many commits were made.
    pub fn commits(&self) -> usize {
        self.shared.state.lock().commits
    }

    /// Let the next `commits` fail.
    pub fn fail_commits(&self, commits: usize) {
        self.shared.state.lock().commit_failures = commits;
    }

    /// Hand partitions to the consumer; they begin where they were committed when it takes note.
    pub fn assign(&self, topic: &str, partitions: &[i32]) {
        let begin = |partition| Assignment { partition, start: StartOffset::Beginning };
        self.push(GroupEvent::Assigned(named(topic, partitions).into_iter().map(begin).collect()));
    }

    /// Ask the consumer to give partitions back.
    pub fn revoke(&self, topic: &str, partitions: &[i32]) {
        self.push(GroupEvent::Revoked(named(topic, partitions)));
    }

    /// Take partitions from the consumer, as when its session timed out.
    pub fn lose(&self, topic: &str, partitions: &[i32]) {
        self.push(GroupEvent::Lost(named(topic, partitions)));
    }

    /// Make the client fail for good.
    pub fn fail(&self, reason: &str) {
        self.push(GroupEvent::Failed(ConsumeError::Operation { operation: "consume", reason: reason.to_owned() }));
    }

    fn push(&self, event: GroupEvent) {
        self.shared.state.lock().events.push_back(event);
        self.ring();
    }
}

fn named(topic: &str, partitions: &[i32]) -> Vec<TopicPartition> {
    partitions.iter().map(|partition| TopicPartition { topic: topic.into(), partition: *partition }).collect()
}
