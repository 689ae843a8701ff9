//! The engine: one thread that owns a group's assignment, its offsets and its keys' queues.
//!
//! Everything here is touched by that thread alone, so there is no lock on the way of a record. Handlers that are ready at once
//! run where they stand; the others run as tasks and report back through [`Completions`]. The engine is a state machine without
//! a clock or a thread of its own: whoever drives it calls [`Engine::turn`] and waits as it says.

mod admit;
mod answer;
mod batch;
mod batch_blame;
mod batch_settle;
mod batch_task;
mod chains;
mod control;
mod gates;
mod handover;
mod membership;
mod observe;
mod park;
mod park_requests;
mod ready;
mod run;
mod settle;
mod succession;
mod tenants;
mod unpark;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;

use super::commands::Commands;
use super::completions::{Completions, Report};
use super::error::StopReason;
use super::gate::Gate;
use super::key::KeyId;
use super::observer::Observer;
use super::options::ConsumerOptions;
use super::pace::Pace;
use super::parked::ParkedStore;
use super::partition::Partition;
use super::passed_over::PassedOver;
use super::pauses::Pauses;
use super::places::Places;
use super::plan::{BoundRoute, GroupPlan, TopicPlan};
use super::sequences::SequenceWatch;
use super::stats::Counters;
use super::tenants::TenantParts;
use crate::clock::Clock;
use crate::dispatch::{DeliveryContext, Extensions};
use crate::schema::Codec;
use crate::transport::{ConsumerTransport, GroupEvent, Producer, Record, TopicPartition};
use batch::{Collecting, RunningBatch};
use chains::Chains;
use handover::{FailingCommits, Revocation, Stopping};
use membership::Membership;
pub(crate) use observe::Measured;
use observe::Observed;
use park_requests::Parking;
use succession::Leaving;
use tenants::Turns;

/// The longest wait between two turns: the membership needs polling however quiet it is.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// The longest wait while the membership is in doubt.
const PROVE_AGAIN: Duration = Duration::from_millis(20);

/// What the engine works with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) plan: Arc<GroupPlan>,
    pub(crate) options: ConsumerOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) codec: Codec,
    pub(crate) extensions: Extensions,
    /// Writes dead letters.
    pub(crate) producer: Arc<dyn Producer>,
    /// Remembers what is passed over, where handlers work in transactions.
    pub(crate) passed_over: Option<Arc<dyn PassedOver>>,
    /// Keeps parked events.
    pub(crate) parked: Option<Arc<dyn ParkedStore>>,
    /// Runs handlers.
    pub(crate) runtime: Handle,
    pub(crate) counters: Arc<Counters>,
    /// Set to make the engine stop.
    pub(crate) shutdown: Arc<AtomicBool>,
    /// What others ask of the engine.
    pub(crate) commands: Arc<Commands>,
    /// What is paused, also by an engine that is started in place of one that failed.
    pub(crate) pauses: Arc<Mutex<Pauses>>,
    /// Whose turn it is, where events belong to tenants.
    pub(crate) tenants: Option<TenantParts>,
    /// Watches and disturbs: the test kit. None in production.
    pub(crate) observer: Option<Arc<dyn Observer>>,
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
    sequences: SequenceWatch,
    slots: FxHashMap<TopicPartition, usize>,
    next_epoch: u64,
    /// The slot to look at first, so that none is always first.
    rotation: usize,
    /// Tasks that were cancelled and have not ended yet, by the epochs of their partitions.
    leaving: FxHashMap<u64, Leaving>,
    timers: BinaryHeap<Reverse<Timer>>,
    /// Bound how many handlers run at once.
    places: Places,
    chains: Chains,
    buffered_bytes: usize,
    /// Completed since the last commit.
    uncommitted: usize,
    last_commit: Duration,
    commits_under_way: usize,
    /// When the first commit was sent of those that were not taken, if none was taken since.
    unanswered_since: Option<Duration>,
    /// Commits that failed, and none was taken since.
    failing_commits: Option<FailingCommits>,
    /// What may travel with a committed offset.
    metadata_bytes: usize,
    warned_of_routes: bool,
    membership: Membership,
    /// How long this member may be away without being taken for gone.
    session_timeout: Duration,
    revocations: VecDeque<Revocation>,
    stopping: Option<Stopping>,
    observed: Observed,
    /// What is known of each handler, as the plan has them: by topic, and by its place there.
    routes: Vec<Vec<RouteState>>,
    /// Tenants, where events belong to some.
    turns: Option<Box<Turns>>,
    has_batches: bool,
    batches: FxHashMap<u64, RunningBatch>,
    next_batch: u64,
    hasher: RandomState,
    parking: Parking,
    /// The time this turn began.
    now: Duration,
    records: Vec<Record>,
    reports: Vec<Report>,
}

/// What the engine knows of a handler while it runs.
#[derive(Debug)]
struct RouteState {
    /// Whether its attempts are polled on the poll thread first.
    pace: Pace,
    gate: Gate,
    collecting: Collecting,
}

/// When a key is looked at again.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Timer {
    due: Duration,
    slot: usize,
    epoch: u64,
    key: KeyId,
}

impl<T: ConsumerTransport> Engine<T> {
    /// An engine that reads from `transport`.
    pub(crate) fn new(mut transport: T, parts: Parts) -> Result<Self, StopReason> {
        let topics: Vec<_> = parts.plan.topics.iter().map(|plan| Arc::clone(&plan.topic)).collect();
        transport.subscribe(&topics)?;
        let completions = Completions::new(transport.wake());
        parts.commands.wake_by(transport.wake());
        let has_batches = parts.plan.routes().any(|route| route.info.batch.is_some());
        let state = |route: &BoundRoute| RouteState {
            pace: Pace::default(),
            gate: Gate::new(route.limits, route.breaker),
            collecting: Collecting::default(),
        };
        let routes = parts.plan.topics.iter().map(|plan| plan.routes.iter().map(state).collect()).collect();
        let turns = parts.tenants.clone().map(|tenants| Box::new(Turns::new(tenants, &parts.plan)));
        let now = parts.clock.monotonic();
        let session_timeout = parts.options.session_timeout();
        let metadata_bytes = parts.options.commit_metadata_bytes;
        let context = DeliveryContext {
            codec: parts.codec.clone(),
            extensions: parts.extensions.clone(),
            group: Arc::clone(&parts.plan.group),
        };
        let observed = Observed::new(&parts);
        let places = Places::new(parts.options.max_in_flight);
        let chains = Chains::new(&parts, &places, now);
        Ok(Self {
            transport,
            parts,
            completions,
            context: Arc::new(context),
            partitions: Vec::new(),
            sequences: SequenceWatch::new(),
            slots: FxHashMap::default(),
            next_epoch: 1,
            rotation: 0,
            leaving: FxHashMap::default(),
            timers: BinaryHeap::new(),
            places,
            chains,
            buffered_bytes: 0,
            uncommitted: 0,
            last_commit: now,
            commits_under_way: 0,
            unanswered_since: None,
            failing_commits: None,
            metadata_bytes,
            warned_of_routes: false,
            membership: Membership::Sure,
            session_timeout,
            revocations: VecDeque::new(),
            stopping: None,
            observed,
            routes,
            turns,
            has_batches,
            batches: FxHashMap::default(),
            next_batch: 0,
            hasher: RandomState::default(),
            parking: Parking::default(),
            now,
            records: Vec::new(),
            reports: Vec::new(),
        })
    }

    /// Do what there is to do. Blocks for nothing but handlers that are ready at once.
    pub(crate) fn turn(&mut self) -> Turn {
        let last_turn = self.now;
        self.now = self.parts.clock.monotonic();
        if self.parts.observer.as_ref().is_some_and(|observer| observer.crashed()) {
            self.abandon();
            return Turn::Finished(Ok(()));
        }
        // The time that a test moves is no absence.
        if self.parts.observer.is_none() {
            self.notice_absence(last_turn);
            self.notice_silence();
        }
        if self.parts.shutdown.load(Ordering::Acquire) {
            self.stop(Ok(()));
        }
        let mut busy = self.obey();
        busy |= self.settle_reports();
        self.wait_no_longer();
        busy |= self.fire_timers();
        busy |= self.poll_group();
        busy |= self.fetch_records();
        self.stop_chains();
        self.open_gates();
        self.start_ready();
        self.launch_batches();
        self.launch_tasks();
        self.places.give_back();
        self.look_after_parked();
        self.prove_membership();
        self.commit_if_due();
        self.publish_gauges();
        self.observe();
        let finished = self.advance_handover();
        self.launch_tasks();
        if let Some(result) = finished {
            self.observe_end(&result);
            return Turn::Finished(result);
        }
        if busy {
            return Turn::Again;
        }
        if let Some(observer) = &self.parts.observer {
            let waits = |partition: &Partition| partition.running > 0 || partition.loading || partition.succeeding;
            let busy = self.parking.looking || self.partitions.iter().flatten().any(waits);
            observer.idle(self.next_due(), busy);
        }
        Turn::Wait(self.next_wait())
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
        let proof = (self.membership == Membership::Doubtful).then_some(PROVE_AGAIN);
        let others = [proof, self.next_gate(), self.next_tenant(), self.next_batch_due(), self.next_look_at_parked()];
        [timer, commit].into_iter().chain(others).flatten().fold(MAX_WAIT, Duration::min)
    }

    /// When time alone brings an event something: a retry, a gate that opens, a batch that goes.
    fn next_due(&self) -> Option<Duration> {
        let timer = self.timers.peek().map(|Reverse(timer)| timer.due);
        let loads = self.parking.loads.iter().map(|(due, ..)| *due).min();
        let others = [self.next_gate(), self.next_tenant(), self.next_batch_due()]
            .into_iter()
            .flatten()
            .map(|due| self.now.saturating_add(due));
        // What is due and did not happen waits for something else.
        timer.into_iter().chain(loads).chain(others).filter(|due| *due > self.now).min()
    }

    fn publish_gauges(&self) {
        let counters = &self.parts.counters;
        counters.in_flight.store(self.places.in_use() as u64, Ordering::Relaxed);
        counters.buffered_bytes.store(self.buffered_bytes as u64, Ordering::Relaxed);
        counters.assigned.store(self.slots.len() as u64, Ordering::Relaxed);
        let parked: usize = self.partitions.iter().flatten().map(|partition| partition.parked.len()).sum();
        counters.parked_keys.store(parked as u64, Ordering::Relaxed);
        let open = self.routes.iter().flatten().filter(|route| !route.gate.breaker.is_closed()).count();
        counters.breakers_open.store(open as u64, Ordering::Relaxed);
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
