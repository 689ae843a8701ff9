//! What the engine tells of itself: its pulse, an account about once a second, spans and durations.
//!
//! On the way of a record there are a few plain stores and a countdown; what costs more is done a batch, a task, or a second.

mod account;
mod measure;
mod runs;
mod slot_watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tracing::Span;

pub(crate) use self::measure::Measured;
use self::measure::RouteWatch;
use self::runs::{Run, Runs};
use self::slot_watch::SlotWatch;
use super::{Engine, Parts};
use crate::consumer::chain::Recall;
use crate::consumer::completions::RouteId;
use crate::consumer::error::StopReason;
use crate::consumer::health::{HotKeys, Place};
use crate::consumer::key::{Failure, Way, Work, WorkRoute};
use crate::consumer::stats::Counters;
use crate::telemetry::spans;
use crate::transport::{ConsumerTransport, GroupEvent, Record, TopicPartition};

/// The pause between two accounts.
const ACCOUNT_INTERVAL: Duration = Duration::from_secs(1);

/// How often the hottest keys fade by half.
const DECAY_INTERVAL: Duration = Duration::from_secs(30);

/// How long an event must hold its partition before the engine looks for what it waits for: all queues have to be searched.
const SEARCH_AFTER: Duration = Duration::from_secs(5);

/// What the engine remembers to tell of itself.
pub(super) struct Observed {
    due: Duration,
    decay_due: Duration,
    /// By slot.
    slots: Vec<SlotWatch>,
    runs: Runs,
    hot_keys: HotKeys,
    /// By topic, and by route within it.
    routes: Vec<Vec<RouteWatch>>,
    /// Records taken, by topic.
    consumed: Vec<u64>,
    /// Whether the group has told us what is ours, be it nothing, and has not taken it away since.
    joined: bool,
    /// Since when the group is handing partitions around.
    rebalancing: Option<Duration>,
    problem: Option<(String, Duration)>,
    commits: VecDeque<Span>,
    _end: EndOnDrop,
}

/// Tells that the thread is gone, also where it panicked.
struct EndOnDrop(Arc<Counters>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.pulse.fail(&"its thread went without saying why");
    }
}

impl Observed {
    pub(super) fn new(parts: &Parts) -> Self {
        let mut places = Vec::new();
        let mut routes = Vec::new();
        for plan in &parts.plan.topics {
            let mut watches = Vec::new();
            for route in &plan.routes {
                let place = u32::try_from(places.len()).unwrap_or(u32::MAX - 1);
                watches.push(RouteWatch::new(place, &parts.plan.group, &plan.topic, route.handler));
                places.push(Place { topic: Arc::clone(&plan.topic), handler: route.handler });
            }
            routes.push(watches);
        }
        parts.counters.pulse.begin(places);
        Self {
            due: Duration::ZERO,
            decay_due: parts.clock.monotonic().saturating_add(DECAY_INTERVAL),
            slots: Vec::new(),
            runs: Runs::default(),
            hot_keys: HotKeys::default(),
            consumed: vec![0; routes.len()],
            routes,
            joined: false,
            rebalancing: None,
            problem: None,
            commits: VecDeque::new(),
            _end: EndOnDrop(Arc::clone(&parts.counters)),
        }
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// The engine turns: tell that it does, and about once a second how it is.
    pub(super) fn observe(&mut self) {
        let counters = &self.parts.counters;
        counters.pulse.beat(self.now);
        if self.now < self.observed.due {
            return;
        }
        self.observed.due = self.now.saturating_add(ACCOUNT_INTERVAL);
        if self.now >= self.observed.decay_due {
            self.observed.decay_due = self.now.saturating_add(DECAY_INTERVAL);
            self.observed.hot_keys.decay();
        }
        self.renew_measuring();
        let health = self.account();
        self.parts.counters.pulse.publish(health);
    }

    /// The engine has stopped.
    pub(super) fn observe_end(&mut self, result: &Result<(), StopReason>) {
        let pulse = &self.parts.counters.pulse;
        match result {
            Ok(()) => pulse.end("it was stopped"),
            // It may be started again.
            Err(reason) => pulse.fail(reason),
        }
    }

    pub(super) fn observe_group_event(&mut self, event: &GroupEvent) {
        let observed = &mut self.observed;
        match event {
            GroupEvent::Assigned(_) => (observed.joined, observed.rebalancing) = (true, None),
            GroupEvent::Revoked(_) => observed.rebalancing = Some(self.now),
            GroupEvent::Lost(_) => (observed.joined, observed.rebalancing) = (false, Some(self.now)),
            GroupEvent::Committed(result) => {
                let span = observed.commits.pop_front();
                if let (Err(_), Some(span)) = (result, span) {
                    spans::fail(&span, "commit");
                }
                return;
            }
            GroupEvent::Warning(problem) | GroupEvent::Failed(problem) => {
                observed.problem = Some((problem.to_string(), self.now));
                return;
            }
        }
        observed.due = Duration::ZERO;
    }

    /// A batch was fetched from the partition in `slot`. The span is to be entered while it is dealt with.
    pub(super) fn observe_batch(&mut self, slot: usize, records: &[Record]) -> Span {
        let (Some(first), Some(Some(partition))) = (records.first(), self.partitions.get(slot)) else {
            return Span::none();
        };
        let observed = &mut self.observed;
        if let Some(consumed) = observed.consumed.get_mut(partition.plan) {
            *consumed += records.len() as u64;
        }
        if observed.slots.len() <= slot {
            observed.slots.resize_with(slot + 1, SlotWatch::default);
        }
        let watch = &mut observed.slots[slot];
        watch.begin(partition.epoch);
        watch.mark(first, partition.offsets.watermark());
        let options = &self.parts.options.health;
        if options.hottest_keys > 0 {
            observed.hot_keys.count(partition.plan, records, options.show_keys);
        }
        spans::poll(&self.parts.plan.group, &partition.name, records.len())
    }

    /// The route's handler is about to be polled on this thread.
    pub(super) fn observe_here(&self, route: RouteId, record: &Record) {
        if let Some(watch) = self.observed.routes.get(route.0).and_then(|routes| routes.get(route.1)) {
            self.parts.counters.pulse.enter(watch.place, record.partition, record.offset);
        }
    }

    /// Something is about to run as a task. The number is for [`observe_run_end`](Self::observe_run_end).
    pub(super) fn observe_run(&mut self, slot: usize, work: &Work, recall: Option<Arc<Recall>>) -> usize {
        let handler = self.handler_name(slot, work);
        let timeout = self.parts.options.timeout;
        let (running, timeout) = match (work.failure.as_deref(), work.route, self.plan_of(slot)) {
            (Some(Failure { way: Way::DeadLetter, .. }), ..) => ("the dead letter", timeout),
            (Some(Failure { way: Way::Park, .. }), ..) => ("parking", timeout),
            (Some(Failure { way: Way::Unpark, .. }), ..) => ("unparking", timeout),
            (None, WorkRoute::Route(index), Some(plan)) => {
                (handler.unwrap_or_default(), plan.routes[index].policy.timeout)
            }
            _ => ("the schema's name", timeout),
        };
        let record = work.record();
        let partition = TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition };
        let epoch = self.partitions[slot].as_ref().map_or(0, |partition| partition.epoch);
        let (offset, since) = (record.offset, self.now);
        let key = record.key.clone();
        let (told, outlives_partition) = (false, false);
        self.observed.runs.begin(Run {
            slot,
            epoch,
            key,
            running,
            partition,
            offset,
            since,
            timeout,
            told,
            outlives_partition,
            recall,
        })
    }

    /// The same for a batch, whose first event stands for all of them: it reports, whatever becomes of that one's partition.
    pub(super) fn observe_batch_run(&mut self, slot: usize, work: &Work) -> usize {
        let run = self.observe_run(slot, work, None);
        if let Some(Some(run)) = self.observed.runs.runs.get_mut(run) {
            run.outlives_partition = true;
        }
        run
    }

    /// What ran as a task has come back.
    pub(super) fn observe_run_end(&mut self, run: usize) {
        self.observed.runs.end(run);
    }

    /// A commit was sent.
    pub(super) fn observe_commit(&mut self, partitions: usize) {
        let span = spans::commit(&self.parts.plan.group, partitions);
        if !span.is_disabled() {
            self.observed.commits.push_back(span);
        }
    }
}
