//! A member of a group on the in-memory broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::MemoryBroker;
use super::group::Group;
use crate::transport::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, Record, StartOffset, TopicPartition, Wake,
};

/// A consumer on the in-memory broker: a member of a group, or of none and handed partitions by hand. It is driven by a task, not a thread: [`MemoryConsumer::bell`] is what the
/// task waits for, and [`ConsumerTransport::wait`] returns at once.
#[derive(Debug)]
pub struct MemoryConsumer {
    broker: MemoryBroker,
    member: Option<Member>,
    start_at_end: bool,
    bell: Arc<Notify>,
    positions: BTreeMap<TopicPartition, i64>,
    commit_results: usize,
    failed_commits: usize,
}

/// Who it is in its group.
#[derive(Debug)]
struct Member {
    group: Arc<str>,
    id: u64,
}

impl MemoryConsumer {
    /// A consumer of no group on `broker`.
    pub fn new(broker: &MemoryBroker) -> Self {
        Self::with(broker, None, Arc::clone(&broker.shared.bell))
    }

    pub(super) fn of_group(broker: &MemoryBroker, group: &str) -> Self {
        let bell = Arc::new(Notify::new());
        let group: Arc<str> = group.into();
        let mut state = broker.shared.state.lock();
        state.bells.push(Arc::downgrade(&bell));
        let id = state.groups.entry(Arc::clone(&group)).or_default().join();
        drop(state);
        Self::with(broker, Some(Member { group, id }), bell)
    }

    fn with(broker: &MemoryBroker, member: Option<Member>, bell: Arc<Notify>) -> Self {
        let broker = broker.clone();
        Self {
            broker,
            member,
            start_at_end: false,
            bell,
            positions: BTreeMap::new(),
            commit_results: 0,
            failed_commits: 0,
        }
    }

    /// Whether partitions that nobody of the group has committed begin behind their newest record. Default: at the oldest.
    pub fn start_at_end(mut self, end: bool) -> Self {
        self.start_at_end = end;
        self
    }

    /// Takes the partitions from this member without asking, as when its session timed out. Nothing without a group.
    pub fn loses_partitions(&self) -> impl Fn() + Send + Sync + use<> {
        let member = self.member.as_ref().map(|member| (Arc::clone(&member.group), member.id));
        let broker = self.broker.clone();
        move || {
            let Some((group, id)) = &member else { return };
            let mut state = broker.shared.state.lock();
            if let Some(group) = state.groups.get_mut(group) {
                group.lose(*id);
            }
            state.rebalance();
            drop(state);
            broker.ring();
        }
    }

    /// Rings when there may be something to do.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Change what the group knows of this member, and spread its partitions anew.
    fn change(&self, change: impl FnOnce(&mut Group, u64)) {
        let Some(Member { group, id }) = &self.member else { return };
        let mut state = self.broker.shared.state.lock();
        if let Some(group) = state.groups.get_mut(group) {
            change(group, *id);
        }
        state.rebalance();
        drop(state);
        self.broker.ring();
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.change(Group::leave);
    }
}

impl ConsumerTransport for MemoryConsumer {
    fn subscribe(&mut self, topics: &[Arc<str>]) -> Result<(), ConsumeError> {
        self.change(|group, member| group.subscribe(member, topics));
        Ok(())
    }

    fn poll(&mut self) -> Option<GroupEvent> {
        if self.failed_commits > 0 {
            self.failed_commits -= 1;
            let reason = "the broker refused it".to_owned();
            return Some(GroupEvent::Committed(Err(ConsumeError::Operation { operation: "commit offsets", reason })));
        }
        if self.commit_results > 0 {
            self.commit_results -= 1;
            return Some(GroupEvent::Committed(Ok(())));
        }
        let mut state = self.broker.shared.state.lock();
        let mut event = match &self.member {
            None => state.events.pop_front()?,
            Some(Member { group, id }) => state.groups.get_mut(group)?.next_event(*id)?,
        };
        if let GroupEvent::Assigned(assignments) = &mut event {
            let committed = match &self.member {
                None => &state.committed,
                Some(Member { group, .. }) => &state.groups.get(group)?.committed,
            };
            for Assignment { partition, start } in assignments {
                if let Some(CommitOffset { offset, metadata, .. }) = committed.get(partition) {
                    *start = StartOffset::Committed { offset: *offset, metadata: metadata.clone() };
                } else if self.start_at_end {
                    let records = state.records.get(partition).and_then(|records| records.last());
                    *start = StartOffset::End(records.map_or(0, |record| record.offset + 1));
                }
            }
        }
        Some(event)
    }

    fn assign(&mut self, assignments: &[Assignment]) -> Result<(), ConsumeError> {
        for Assignment { partition, start } in assignments {
            let position = match start {
                StartOffset::Beginning => 0,
                StartOffset::End(offset) | StartOffset::Committed { offset, .. } => *offset,
            };
            self.positions.insert(partition.clone(), position);
        }
        Ok(())
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        if let Some(position) = self.positions.get_mut(partition) {
            *position = offset;
        }
        Ok(())
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        for partition in partitions {
            self.positions.remove(partition);
        }
        self.change(|group, member| group.give_back(member, partitions));
        Ok(())
    }

    fn fetch(
        &mut self,
        partition: &TopicPartition,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), ConsumeError> {
        let Some(position) = self.positions.get_mut(partition) else { return Ok(()) };
        let mut state = self.broker.shared.state.lock();
        if let Some(index) = state.reset.iter().position(|reset| reset == partition) {
            state.reset.swap_remove(index);
            *position = 0;
        }
        let log = state.records.get(partition).map(Vec::as_slice).unwrap_or_default();
        let start = log.partition_point(|record| record.offset < *position);
        for record in log[start..].iter().take(most) {
            records.push(record.clone());
            *position = record.offset + 1;
        }
        Ok(())
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.broker.shared.state.lock();
        state.records.get(partition).map(|log| log.last().map_or(0, |record| record.offset + 1))
    }

    fn commit(&mut self, offsets: &[CommitOffset]) -> Result<(), ConsumeError> {
        let mut state = self.broker.shared.state.lock();
        state.commits += 1;
        if state.commit_failures > 0 {
            state.commit_failures -= 1;
            self.failed_commits += 1;
            return Ok(());
        }
        let committed = match &self.member {
            None => &mut state.committed,
            Some(Member { group, id }) => {
                let Some(group) = state.groups.get_mut(group) else { return Ok(()) };
                if !offsets.iter().all(|offset| group.owns(*id, &offset.partition)) {
                    // As Kafka refuses whoever is no longer of the group's generation.
                    self.failed_commits += 1;
                    return Ok(());
                }
                &mut group.committed
            }
        };
        for offset in offsets {
            committed.insert(offset.partition.clone(), offset.clone());
        }
        self.commit_results += 1;
        Ok(())
    }

    fn wait(&mut self, _timeout: Duration) {}

    fn wake(&self) -> Wake {
        let bell = self.bell();
        Arc::new(move || bell.notify_one())
    }

    fn close(self) {}
}
