//! A partition that is ours: its offsets, its keys and their queues.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::commit_metadata::CommitMetadata;
use super::key::{KeyId, KeyQueue, KeyState, Task};
use super::offsets::OffsetTracker;
use super::parked::ParkRequest;
use crate::transport::{CommitOffset, TopicPartition};

/// How far a skip has come that may be interrupted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Skip {
    #[default]
    NotBegun,
    /// The store was told that the event of this offset is skipped. It has not answered, but may have taken note.
    Tried(i64),
    /// It has: only the event is left to be removed.
    Noted(i64),
}

/// A key whose events wait in the parked store.
#[derive(Debug, Default)]
pub(crate) struct ParkedState {
    /// How many there are.
    pub(crate) records: u64,
    /// Whether the store has said so since the last one was added.
    pub(crate) counted: bool,
    /// What is being done about it.
    pub(crate) request: Option<ParkRequest>,
    /// How far the skip of its first event has come, if one is asked for.
    pub(crate) skip: Arc<Mutex<Skip>>,
    /// The look at operators' requests that was under way when the last one was done; 0 for none.
    pub(crate) answered_in: u64,
}

impl ParkedState {
    pub(crate) fn of(records: u64) -> Self {
        Self { records, counted: true, ..Self::default() }
    }
}

/// A partition that is ours, under one assignment.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) name: TopicPartition,
    /// Where its topic's plan stands.
    pub(crate) plan: usize,
    /// Fences completions of an earlier assignment.
    pub(crate) epoch: u64,
    pub(crate) offsets: OffsetTracker,
    /// Keys with work under way or waiting; a key with nothing to do is not here. The hash is seeded: keys come from strangers.
    pub(crate) keys: HashMap<KeyId, KeyQueue, RandomState>,
    /// Keys whose first event can start, in the order they came to be.
    pub(crate) ready: VecDeque<KeyId>,
    /// How many keys wait for their tenants' turns instead.
    pub(crate) lined_up: usize,
    /// Whether nothing new may start, because the partition is being given back.
    pub(crate) draining: bool,
    /// Whether nothing new may start, because somebody asked for a pause.
    pub(crate) paused: bool,
    /// Whether nothing may start, because it may be somebody else's by now.
    pub(crate) doubtful: bool,
    /// Whether nothing may start yet, because it is not known which keys are parked.
    pub(crate) loading: bool,
    /// Whether nothing may start yet, because tasks of before, which were cancelled, may still be at it.
    pub(crate) succeeding: bool,
    /// Keys whose events wait in the parked store.
    pub(crate) parked: HashMap<Bytes, ParkedState, RandomState>,
    /// How many of them are being released, skipped or discarded.
    pub(crate) unparking: usize,
    /// Tasks under way, also those that wait for a place.
    pub(crate) running: usize,
    /// Whether its tasks were told that nothing more is to begin.
    pub(crate) stopped: bool,
    /// Bytes held for it.
    pub(crate) buffered_bytes: usize,
    /// Whether there is something to commit, be it only above the committed offset.
    pub(crate) changed: bool,
    pub(crate) committed: Option<i64>,
}

impl Partition {
    pub(crate) fn new(name: TopicPartition, plan: usize, epoch: u64, offsets: OffsetTracker) -> Self {
        Self {
            name,
            plan,
            epoch,
            offsets,
            keys: HashMap::default(),
            ready: VecDeque::new(),
            lined_up: 0,
            draining: false,
            paused: false,
            doubtful: false,
            loading: false,
            succeeding: false,
            parked: HashMap::default(),
            unparking: 0,
            running: 0,
            stopped: false,
            buffered_bytes: 0,
            changed: false,
            committed: None,
        }
    }

    /// Whether its events may start.
    pub(crate) fn is_open(&self) -> bool {
        !self.draining && !self.paused && !self.loading && !self.doubtful && !self.succeeding
    }

    /// What is known of `key`, if it is parked.
    pub(crate) fn parked(&mut self, key: &KeyId) -> Option<&mut ParkedState> {
        match key {
            KeyId::Key(key) if !self.parked.is_empty() => self.parked.get_mut(&**key),
            _ => None,
        }
    }

    /// The record at `offset` is done with.
    pub(crate) fn complete(&mut self, offset: i64) {
        self.changed |= self.offsets.complete(offset);
    }

    /// What to commit, if anything is complete that was not; it counts as committed from here on. `limit` is in bytes, of the
    /// metadata.
    pub(crate) fn take_commit(&mut self, fingerprint: u64, limit: usize) -> Option<CommitOffset> {
        let offset = self.offsets.watermark()?;
        if !mem::take(&mut self.changed) && self.committed == Some(offset) {
            return None;
        }
        self.committed = Some(offset);
        let metadata = CommitMetadata::encode(fingerprint, offset, &self.offsets.completed_runs(), limit);
        Some(CommitOffset { partition: self.name.clone(), offset, metadata })
    }

    /// A commit failed: the next one names this partition again.
    pub(crate) fn forget_commit(&mut self) {
        self.changed = true;
        self.committed = None;
    }

    /// `key` waits at no gate any more, but for its partition to start something.
    pub(crate) fn leave_gate(&mut self, key: &KeyId) {
        let Some(queue) = self.keys.get_mut(key).filter(|queue| matches!(queue.state, KeyState::AtGate)) else {
            return;
        };
        queue.state = KeyState::Ready;
        if let Some(work) = queue.waiting.front_mut() {
            // Others of its tenant may start meanwhile.
            work.place = None;
        }
        self.ready.push_back(key.clone());
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
    pub(crate) fn abort(&self) {
        self.tasks().for_each(Task::cancel);
    }

    /// Let the tasks under way begin nothing more.
    pub(crate) fn stop_tasks(&self) {
        self.tasks().for_each(Task::stop);
    }

    fn tasks(&self) -> impl Iterator<Item = &Task> {
        self.keys.values().filter_map(|queue| match &queue.state {
            KeyState::Running { task, .. } => Some(task),
            _ => None,
        })
    }
}

/// However it goes, its tasks go too: an engine that panics is started again, and would work beside them.
impl Drop for Partition {
    fn drop(&mut self) {
        self.abort();
    }
}
