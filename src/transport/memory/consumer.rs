//! A member of a group on the in-memory broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::MemoryBroker;
use crate::transport::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, Record, StartOffset, TopicPartition, Wake,
};

/// A member of a group on the in-memory broker. It is driven by a task, not a thread: [`MemoryConsumer::bell`] is what the
/// task waits for, and [`ConsumerTransport::wait`] returns at once.
#[derive(Debug)]
pub struct MemoryConsumer {
    broker: MemoryBroker,
    positions: BTreeMap<TopicPartition, i64>,
    commit_results: usize,
    failed_commits: usize,
}

impl MemoryConsumer {
    /// A member on `broker`.
    pub fn new(broker: &MemoryBroker) -> Self {
        Self { broker: broker.clone(), positions: BTreeMap::new(), commit_results: 0, failed_commits: 0 }
    }

    /// Rings when there may be something to do.
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.broker.shared.bell)
    }
}

impl ConsumerTransport for MemoryConsumer {
    fn subscribe(&mut self, _topics: &[Arc<str>]) -> Result<(), ConsumeError> {
        Ok(())
    }

    fn poll(&mut self) -> Option<GroupEvent> {
        if self.failed_commits > 0 {
            self.failed_commits -= 1;
            let reason = "the commit was made to fail".to_owned();
            return Some(GroupEvent::Committed(Err(ConsumeError::Operation { operation: "commit offsets", reason })));
        }
        if self.commit_results > 0 {
            self.commit_results -= 1;
            return Some(GroupEvent::Committed(Ok(())));
        }
        let mut state = self.broker.shared.state.lock();
        let mut event = state.events.pop_front()?;
        if let GroupEvent::Assigned(assignments) = &mut event {
            for assignment in assignments {
                if let Some(commit) = state.committed.get(&assignment.partition) {
                    let CommitOffset { offset, metadata, .. } = commit.clone();
                    assignment.start = StartOffset::Committed { offset, metadata };
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
        for offset in offsets {
            state.committed.insert(offset.partition.clone(), offset.clone());
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
