//! The engine: one thread that owns a group's assignment, its offsets and its keys' queues.
//!
//! Everything here is touched by that thread alone, so there is no lock on the way of a record. Handlers that are ready at once
//! run where they stand; the others run as tasks and report back through [`Completions`]. The engine is a state machine without
//! a clock or a thread of its own: whoever drives it calls [`Engine::turn`] and waits as it says.

mod admit;
mod handover;
mod observe;
mod run;
mod settle;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tokio::runtime::Handle;

use super::completions::{Completion, Completions};
use super::error::StopReason;
use super::key::KeyId;
use super::options::ConsumerOptions;
use super::partition::Partition;
use super::plan::{GroupPlan, TopicPlan};
use super::stats::Counters;
use crate::clock::Clock;
use crate::dispatch::{DeliveryContext, Extensions};
use crate::schema::Codec;
use crate::transport::{ConsumerTransport, GroupEvent, Producer, Record, TopicPartition};
use handover::{Revocation, Stopping};
use observe::Observed;

/// The longest wait between two turns: the membership needs polling however quiet it is.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// What the engine works with.
pub(crate) struct Parts {
    pub(crate) plan: GroupPlan,
    pub(crate) options: ConsumerOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) codec: Codec,
    pub(crate) extensions: Extensions,
    /// Writes dead letters.
    pub(crate) producer: Arc<dyn Producer>,
    /// Runs handlers.
    pub(crate) runtime: Handle,
    pub(crate) counters: Arc<Counters>,
    /// Set to make the engine stop.
    pub(crate) shutdown: Arc<AtomicBool>,
}

/// What to do after a turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is more to do: turn again.
    Again,
    /// Nothing to do before something wakes the transport, or this much time has passed.
    Wait(Duration),
    /// The engine has stopped.
    Finished(Result<(), StopReason>),
}

pub(crate) struct Engine<T> {
    transport: T,
    parts: Parts,
    completions: Arc<Completions>,
    /// What deliveries share.
    context: Arc<DeliveryContext>,
    /// Partitions by slot; a slot is used again, which is what epochs are for.
    partitions: Vec<Option<Partition>>,
    slots: FxHashMap<TopicPartition, usize>,
    next_epoch: u64,
    /// The slot to look at first, so that none is always first.
    rotation: usize,
    timers: BinaryHeap<Reverse<Timer>>,
    /// Handlers running as tasks.
    in_flight: usize,
    buffered_bytes: usize,
    /// Completed since the last commit.
    uncommitted: usize,
    last_commit: Duration,
    commits_under_way: usize,
    /// When the latest failed commit failed.
    commit_failed: Option<Duration>,
    /// What may travel with a committed offset.
    metadata_bytes: usize,
    warned_of_routes: bool,
    revocations: VecDeque<Revocation>,
    stopping: Option<Stopping>,
    observed: Observed,
    /// The time this turn began.
    now: Duration,
    records: Vec<Record>,
    finished: Vec<Completion>,
}

/// When a key's event is tried again.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: Duration,
    slot: usize,
    epoch: u64,
    // Last, so that it never decides between two times.
    key: TimerKey,
}

/// A key in a heap: it has an order, any order.
#[derive(Debug, PartialEq, Eq)]
struct TimerKey(KeyId);

impl PartialOrd for TimerKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TimerKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        match (&self.0, &other.0) {
            (KeyId::Key(left), KeyId::Key(right)) => left.cmp(right),
            (KeyId::Alone(left), KeyId::Alone(right)) => left.cmp(right),
            (KeyId::Key(_), KeyId::Alone(_)) => std::cmp::Ordering::Less,
            (KeyId::Alone(_), KeyId::Key(_)) => std::cmp::Ordering::Greater,
        }
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// An engine that reads from `transport`.
    pub(crate) fn new(mut transport: T, parts: Parts) -> Result<Self, StopReason> {
        let topics: Vec<_> = parts.plan.topics.iter().map(|plan| Arc::clone(&plan.topic)).collect();
        transport.subscribe(&topics)?;
        let completions = Completions::new(transport.wake());
        let now = parts.clock.monotonic();
        let metadata_bytes = parts.options.commit_metadata_bytes;
        let context = DeliveryContext {
            codec: parts.codec.clone(),
            extensions: parts.extensions.clone(),
            group: Arc::clone(&parts.plan.group),
        };
        let observed = Observed::new(&parts);
        Ok(Self {
            transport,
            parts,
            completions,
            context: Arc::new(context),
            partitions: Vec::new(),
            slots: FxHashMap::default(),
            next_epoch: 1,
            rotation: 0,
            timers: BinaryHeap::new(),
            in_flight: 0,
            buffered_bytes: 0,
            uncommitted: 0,
            last_commit: now,
            commits_under_way: 0,
            commit_failed: None,
            metadata_bytes,
            warned_of_routes: false,
            revocations: VecDeque::new(),
            stopping: None,
            observed,
            now,
            records: Vec::new(),
            finished: Vec::new(),
        })
    }

    /// Do what there is to do. Blocks for nothing but handlers that are ready at once.
    pub(crate) fn turn(&mut self) -> Turn {
        self.now = self.parts.clock.monotonic();
        if self.parts.shutdown.load(Ordering::Acquire) {
            self.stop(Ok(()));
        }
        let mut busy = self.settle_completions();
        busy |= self.fire_timers();
        busy |= self.poll_group();
        busy |= self.fetch_records();
        self.start_ready();
        self.commit_if_due();
        self.publish_gauges();
        self.observe();
        if let Some(result) = self.advance_handover() {
            self.observe_end(&result);
            return Turn::Finished(result);
        }
        if busy { Turn::Again } else { Turn::Wait(self.next_wait()) }
    }

    /// Leave the group. Blocks.
    pub(crate) fn close(self) {
        self.transport.close();
    }

    /// Block until there may be something to do.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        self.transport.wait(timeout);
    }

    fn poll_group(&mut self) -> bool {
        let mut busy = false;
        while let Some(event) = self.transport.poll() {
            busy = true;
            self.observe_group_event(&event);
            match event {
                GroupEvent::Assigned(partitions) => self.on_assigned(partitions),
                GroupEvent::Revoked(partitions) => self.on_revoked(partitions),
                GroupEvent::Lost(partitions) => self.on_lost(&partitions),
                GroupEvent::Committed(result) => self.on_committed(result),
                GroupEvent::Warning(error) => {
                    tracing::warn!(group = &*self.parts.plan.group, %error, "the Kafka client reports a problem");
                }
                GroupEvent::Failed(error) => self.stop(Err(error.into())),
            }
        }
        busy
    }

    fn next_wait(&self) -> Duration {
        let timer = self.timers.peek().map(|Reverse(timer)| timer.due.saturating_sub(self.now));
        // While one is under way its end is what wakes; its successor is not due before.
        let commit = (self.uncommitted > 0 && self.commits_under_way == 0)
            .then(|| self.last_commit.saturating_add(self.parts.options.commit_interval).saturating_sub(self.now));
        [timer, commit].into_iter().flatten().fold(MAX_WAIT, Duration::min)
    }

    fn publish_gauges(&self) {
        let counters = &self.parts.counters;
        counters.in_flight.store(self.in_flight as u64, Ordering::Relaxed);
        counters.buffered_bytes.store(self.buffered_bytes as u64, Ordering::Relaxed);
        counters.assigned.store(self.slots.len() as u64, Ordering::Relaxed);
    }

    /// Who handles the events of the partition in `slot`.
    fn plan_of(&self, slot: usize) -> Option<&TopicPlan> {
        self.partitions.get(slot)?.as_ref().and_then(|partition| self.parts.plan.topics.get(partition.plan))
    }

    /// The partition in `slot`, if it is still the one of `epoch`.
    fn partition(&mut self, slot: usize, epoch: u64) -> Option<&mut Partition> {
        self.partitions.get_mut(slot)?.as_mut().filter(|partition| partition.epoch == epoch)
    }
}

#[cfg(test)]
mod tests;
