//! What the engine tells of itself: its pulse, an account about once a second, spans and durations.
//!
//! On the way of a record there are a few plain stores and a countdown; what costs more is done a batch, a task, or a second.

mod account;

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics::Histogram;
use tracing::Span;

use super::{Engine, Parts};
use crate::clock::Clock;
use crate::consumer::chain::Recall;
use crate::consumer::completions::RouteId;
use crate::consumer::error::StopReason;
use crate::consumer::health::{HotKeys, Place};
use crate::consumer::key::{Failure, KeyId, Way, Work, WorkRoute};
use crate::consumer::plan::BoundRoute;
use crate::consumer::stats::Counters;
use crate::outcome::Outcome;
use crate::telemetry::{names, spans};
use crate::transport::{ConsumerTransport, GroupEvent, Record, TopicPartition};

/// The pause between two accounts.
const ACCOUNT_INTERVAL: Duration = Duration::from_secs(1);

/// How often the hottest keys fade by half.
const DECAY_INTERVAL: Duration = Duration::from_secs(30);

/// How long an event must hold its partition before the engine looks for what it waits for: all queues have to be searched.
const SEARCH_AFTER: Duration = Duration::from_secs(5);

/// The attempts of a handler that are measured in a second, about.
const MEASURED: u32 = 1_000;

/// The timestamps remembered of a partition.
const MARKS: usize = 64;

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

/// A route's attempts.
struct RouteWatch {
    /// The route's number among all of the group.
    place: u32,
    duration: Histogram,
    attempts: u32,
    /// Every how many attempts one is measured.
    every: u32,
    until_measured: u32,
}

/// A partition's past, under one assignment.
#[derive(Default)]
struct SlotWatch {
    epoch: u64,
    /// Offsets and timestamps of the first records of batches, oldest first.
    marks: VecDeque<(i64, i64)>,
    /// The oldest offset that is not done, and since when it is.
    oldest: Option<(i64, Duration)>,
    /// What the oldest one waits for, once it was searched for.
    holder: Option<Holder>,
    /// The next offset to take, and since when it is.
    next: Option<(Option<i64>, Duration)>,
}

/// The event that holds a partition.
struct Holder {
    offset: i64,
    timestamp_ms: Option<i64>,
    queue: Option<KeyId>,
    key: Option<Bytes>,
}

impl Holder {
    fn new(queue: &KeyId, record: &Record) -> Self {
        Self {
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            queue: Some(queue.clone()),
            // A record as it was read shares its memory with its neighbours.
            key: record.key.as_deref().map(Bytes::copy_from_slice),
        }
    }
}

/// What runs beside the poll thread.
#[derive(Default)]
struct Runs {
    runs: Vec<Option<Run>>,
    free: Vec<usize>,
}

struct Run {
    slot: usize,
    epoch: u64,
    key: Option<Bytes>,
    /// A handler's name, or what is done for it.
    running: &'static str,
    partition: TopicPartition,
    offset: i64,
    since: Duration,
    timeout: Duration,
    told: bool,
    /// Of a task that may wait for its place.
    recall: Option<Arc<Recall>>,
}

/// An attempt that is measured.
pub(crate) struct Measured {
    clock: Arc<dyn Clock>,
    since: Duration,
    duration: Histogram,
    handler: &'static str,
    topic: Arc<str>,
    group: Arc<str>,
}

impl Measured {
    /// The attempt begins now.
    pub(crate) fn begin(mut self) -> Self {
        self.since = self.clock.monotonic();
        self
    }

    pub(crate) fn finish(self, outcome: &Outcome) {
        let took = self.clock.monotonic().saturating_sub(self.since).as_secs_f64();
        match spans::error_type(outcome) {
            None => self.duration.record(took),
            Some(error) => process_duration(&self.group, &self.topic, self.handler, Some(error)).record(took),
        }
    }
}

fn process_duration(group: &str, topic: &str, handler: &'static str, error: Option<&'static str>) -> Histogram {
    let mut labels = vec![
        metrics::Label::from_static_parts(names::SYSTEM, names::KAFKA),
        metrics::Label::from_static_parts(names::OPERATION_NAME, names::PROCESS),
        metrics::Label::new(names::DESTINATION, topic.to_owned()),
        metrics::Label::new(names::CONSUMER_GROUP, group.to_owned()),
        metrics::Label::from_static_parts(names::HANDLER, handler),
    ];
    labels.extend(error.map(|error| metrics::Label::from_static_parts(names::ERROR_TYPE, error)));
    metrics::histogram!(names::PROCESS_DURATION, labels)
}

impl Observed {
    pub(super) fn new(parts: &Parts) -> Self {
        let mut places = Vec::new();
        let mut routes = Vec::new();
        for plan in &parts.plan.topics {
            let mut watches = Vec::new();
            for route in &plan.routes {
                watches.push(RouteWatch {
                    place: u32::try_from(places.len()).unwrap_or(u32::MAX - 1),
                    duration: process_duration(&parts.plan.group, &plan.topic, route.handler, None),
                    attempts: 0,
                    every: 1,
                    until_measured: 0,
                });
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

impl Observed {
    /// An attempt at the route begins. Now and then one is measured: all of them while they are few, so that a handler's
    /// distribution is not that of its slow attempts.
    pub(super) fn measure(&mut self, parts: &Parts, route: RouteId) -> Option<Measured> {
        let watch = self.routes.get_mut(route.0)?.get_mut(route.1)?;
        watch.attempts = watch.attempts.saturating_add(1);
        watch.until_measured = watch.until_measured.saturating_sub(1);
        if watch.until_measured > 0 {
            return None;
        }
        watch.until_measured = watch.every;
        let plan = &parts.plan.topics[route.0];
        Some(Measured {
            clock: Arc::clone(&parts.clock),
            since: parts.clock.monotonic(),
            duration: watch.duration.clone(),
            handler: plan.routes[route.1].handler,
            topic: Arc::clone(&plan.topic),
            group: Arc::clone(&parts.plan.group),
        })
    }

    /// What runs as a task has gone on to the next event of its key.
    pub(super) fn run_goes_on(&mut self, run: usize, record: &Record, route: Option<&BoundRoute>, now: Duration) {
        let Some(Some(run)) = self.runs.runs.get_mut(run) else { return };
        (run.offset, run.since, run.told) = (record.offset, now, false);
        if let Some(route) = route {
            (run.running, run.timeout) = (route.handler, route.policy.timeout);
        }
    }
}

impl Runs {
    fn begin(&mut self, run: Run) -> usize {
        if let Some(index) = self.free.pop() {
            self.runs[index] = Some(run);
            return index;
        }
        self.runs.push(Some(run));
        self.runs.len() - 1
    }

    fn end(&mut self, index: usize) {
        if self.runs.get_mut(index).and_then(Option::take).is_some() {
            self.free.push(index);
        }
    }
}

impl SlotWatch {
    /// Remember a record's timestamp, for the age of those that follow it.
    fn mark(&mut self, record: &Record, watermark: Option<i64>) {
        let Some(timestamp) = record.timestamp_ms else { return };
        if self.marks.len() >= MARKS {
            // What is done needs no age.
            while self.marks.len() > 1 && watermark.is_some_and(|watermark| self.marks[1].0 <= watermark) {
                self.marks.pop_front();
            }
        }
        if self.marks.len() >= MARKS {
            let mut index = 0_usize;
            self.marks.retain(|_| {
                index += 1;
                !index.is_multiple_of(2)
            });
        }
        self.marks.push_back((record.offset, timestamp));
    }

    /// The timestamp of `offset`, or of an older record close by.
    fn timestamp(&self, offset: i64) -> Option<i64> {
        if let Some(holder) = self.holder.as_ref().filter(|holder| holder.offset == offset) {
            return holder.timestamp_ms;
        }
        let behind = self.marks.partition_point(|(marked, _)| *marked <= offset);
        self.marks.get(behind.checked_sub(1)?).map(|(_, timestamp)| *timestamp)
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
        let timeout = self.parts.options.handler_timeout;
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
        let told = false;
        self.observed.runs.begin(Run { slot, epoch, key, running, partition, offset, since, timeout, told, recall })
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

    /// Measure about as many attempts as in the second before, and find the recorder that may have been installed meanwhile.
    fn renew_measuring(&mut self) {
        let plan = &self.parts.plan;
        for (topic, watches) in plan.topics.iter().zip(&mut self.observed.routes) {
            for (route, watch) in topic.routes.iter().zip(watches) {
                watch.duration = process_duration(&plan.group, &topic.topic, route.handler, None);
                watch.every = (mem::take(&mut watch.attempts) / MEASURED).max(1);
                watch.until_measured = watch.until_measured.min(watch.every);
            }
        }
    }
}

impl SlotWatch {
    /// Forget what was of an earlier assignment.
    fn begin(&mut self, epoch: u64) {
        if self.epoch != epoch {
            *self = Self { epoch, ..Self::default() };
        }
    }
}
