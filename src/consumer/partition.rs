//! A partition that is ours: its offsets, its keys and their queues.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::key::{KeyId, KeyQueue, KeyState};
use super::offsets::OffsetTracker;
use crate::transport::{CommitOffset, TopicPartition};

/// A partition that is ours, under one assignment.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) name: TopicPartition,
    /// Fences completions of an earlier assignment.
    pub(crate) epoch: u64,
    pub(crate) offsets: OffsetTracker,
    /// Keys with work under way or waiting; a key with nothing to do is not here. The hash is seeded: keys come from strangers.
    pub(crate) keys: HashMap<KeyId, KeyQueue, RandomState>,
    /// Keys whose first event can start, in the order they came to be.
    pub(crate) ready: VecDeque<KeyId>,
    /// Whether nothing new may start, because the partition is being given back.
    pub(crate) draining: bool,
    /// Tasks under way.
    pub(crate) running: usize,
    /// Bytes held for it.
    pub(crate) buffered_bytes: usize,
    committed: Option<i64>,
}

impl Partition {
    pub(crate) fn new(name: TopicPartition, epoch: u64) -> Self {
        Self {
            name,
            epoch,
            offsets: OffsetTracker::default(),
            keys: HashMap::default(),
            ready: VecDeque::new(),
            draining: false,
            running: 0,
            buffered_bytes: 0,
            committed: None,
        }
    }

    /// The offset to commit, if it has moved; it counts as committed from here on.
    pub(crate) fn take_commit(&mut self) -> Option<CommitOffset> {
        let offset = self.offsets.watermark()?;
        let moved = self.committed.is_none_or(|committed| committed < offset);
        moved.then(|| {
            self.committed = Some(offset);
            CommitOffset { partition: self.name.clone(), offset, metadata: String::new() }
        })
    }

    /// A commit failed: the next one names this partition again.
    pub(crate) fn forget_commit(&mut self) {
        self.committed = None;
    }

    /// `key` waits for a place, or is forgotten when it has nothing to do.
    pub(crate) fn rest(&mut self, key: KeyId) {
        match self.keys.get(&key) {
            Some(queue) if queue.waiting.is_empty() => {
                self.keys.remove(&key);
            }
            Some(_) => self.ready.push_back(key),
            None => {}
        }
    }

    /// Cancel the tasks under way. Their events are not complete and will be delivered again.
    pub(crate) fn abort(&mut self) {
        for queue in self.keys.values() {
            if let KeyState::Running { task: Some(task), .. } = &queue.state {
                task.abort();
            }
        }
    }
}
