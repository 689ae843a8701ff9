//! The account the engine gives of itself about once a second.

use std::cmp::Reverse;
use std::mem;
use std::time::Duration;

use super::super::{Engine, Timer};
use super::SEARCH_AFTER;
use super::slot_watch::{Holder, SlotWatch};
use crate::consumer::health::{ClientProblem, GroupHealth, PartitionHealth, StuckCompletion, UnfinishedEvent, label};
use crate::consumer::key::{KeyState, Task, Way, Work};
use crate::consumer::partition::Partition;
use crate::transport::ConsumerTransport;

impl<T: ConsumerTransport> Engine<T> {
    /// How the group is.
    pub(super) fn account(&mut self) -> GroupHealth {
        let mut reasons = self.membership_reasons();
        let stuck = self.stuck();
        reasons.extend(stuck.iter().map(StuckCompletion::reason));
        let commits_failing = self.failing_commits.as_ref().map(|failing| self.now.saturating_sub(failing.since));
        reasons.extend(self.commits_reason());
        let mut partitions = Vec::with_capacity(self.slots.len());
        for slot in 0..self.partitions.len() {
            let Some((partition, unmoved)) = self.account_of(slot) else { continue };
            reasons.extend(unmoved);
            partitions.push(partition);
        }
        partitions.sort_by(|left, right| (&left.topic, left.partition).cmp(&(&right.topic, right.partition)));
        let topics = &self.parts.plan.topics;
        let options = &self.parts.options.health;
        let irregular = self.sequences.irregular();
        let consumed = topics.iter().zip(&self.observed.consumed);
        GroupHealth {
            group: self.parts.plan.group.to_string(),
            live: true,
            ready: reasons.is_empty(),
            reasons,
            in_flight: self.places.in_use(),
            buffered_bytes: self.buffered_bytes,
            waiting_keys: partitions.iter().map(|partition| partition.waiting_keys).sum(),
            retrying_keys: self.retrying_keys(),
            hottest_keys: self.observed.hot_keys.hottest(options.hottest_keys, |topic| {
                topics.get(topic).map(|plan| plan.topic.to_string()).unwrap_or_default()
            }),
            irregular_streams: irregular.streams(options.irregular_streams, options.show_keys),
            irregular: topics.iter().map(|plan| (plan.topic.to_string(), irregular.of_topic(&plan.topic))).collect(),
            stuck,
            commits_failing,
            client_problem: self
                .observed
                .problem
                .as_ref()
                .map(|(problem, at)| ClientProblem { problem: problem.clone(), ago: self.now.saturating_sub(*at) }),
            consumed: consumed.map(|(plan, consumed)| (plan.topic.to_string(), *consumed)).collect(),
            partitions,
        }
    }

    /// The keys that wait for their next attempt, in partitions that are still this member's.
    fn retrying_keys(&self) -> usize {
        let is_here = |timer: &Timer| {
            self.partitions[timer.slot].as_ref().is_some_and(|partition| partition.epoch == timer.epoch)
        };
        self.timers.iter().filter(|Reverse(timer)| is_here(timer)).count()
    }

    fn membership_reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let rebalancing = self.observed.rebalancing.map(|since| self.now.saturating_sub(since));
        if self.stopping.is_some() {
            reasons.push("the consumer is stopping".to_owned());
        } else if !self.observed.joined {
            reasons.push(match rebalancing {
                Some(age) => {
                    format!("its partitions were lost {} s ago, and the group has given it none since", age.as_secs())
                }
                None => "the group has not let it in yet".to_owned(),
            });
        } else if let Some(age) = rebalancing.filter(|age| *age > self.parts.options.health.progress_timeout) {
            reasons.push(format!("the group has been rebalancing for {} s", age.as_secs()));
        }
        reasons
    }

    /// Why what is done is not remembered, if it has not been for too long.
    fn commits_reason(&self) -> Option<String> {
        let failing = self.failing_commits.as_ref()?;
        let age = self.now.saturating_sub(failing.since);
        (age > self.parts.options.health.progress_timeout).then(|| {
            format!(
                "commits of offsets have failed for {} s, and a restart would handle again what was done since: {}",
                age.as_secs(),
                failing.error
            )
        })
    }

    /// What has been running for too long; each is told to the log once.
    fn stuck(&mut self) -> Vec<StuckCompletion> {
        let options = &self.parts.options.health;
        let mut stuck = Vec::new();
        for index in 0..self.observed.runs.runs.len() {
            let Some(run) = &mut self.observed.runs.runs[index] else { continue };
            let current = self
                .partitions
                .get(run.slot)
                .is_some_and(|partition| partition.as_ref().is_some_and(|partition| partition.epoch == run.epoch));
            if !current {
                // Its partition is somebody else's: what comes of it counts no more.
                if !run.outlives_partition {
                    self.observed.runs.end(index);
                }
                continue;
            }
            if run.recall.as_ref().is_some_and(|recall| !recall.has_begun()) {
                // It waits for a place.
                run.since = self.now;
                continue;
            }
            let running_for = self.now.saturating_sub(run.since);
            if running_for <= run.timeout.saturating_add(options.handler_grace) {
                continue;
            }
            let completion = StuckCompletion {
                running: run.running,
                topic: run.partition.topic.to_string(),
                partition: run.partition.partition,
                offset: run.offset,
                key: label(run.key.as_deref(), options.show_keys),
                running_for,
                timeout: run.timeout,
            };
            if !mem::replace(&mut run.told, true) {
                tracing::error!(
                    group = &*self.parts.plan.group,
                    handler = completion.running,
                    topic = completion.topic,
                    partition = completion.partition,
                    offset = completion.offset,
                    key = completion.key,
                    running_s = running_for.as_secs(),
                    timeout_s = run.timeout.as_secs(),
                    "a handler runs past its timeout and cannot be cancelled: it blocks its thread, or its runtime is starved"
                );
            }
            stuck.push(completion);
        }
        stuck
    }

    /// How the partition in `slot` gets on, and why it does not, if so.
    fn account_of(&mut self, slot: usize) -> Option<(PartitionHealth, Option<String>)> {
        let partition = self.partitions.get(slot)?.as_ref()?;
        if self.observed.slots.len() <= slot {
            self.observed.slots.resize_with(slot + 1, SlotWatch::default);
        }
        let watch = &mut self.observed.slots[slot];
        watch.begin(partition.epoch);
        let (next, oldest) = (partition.offsets.next(), partition.offsets.oldest());
        let end = self.transport.end_offset(&partition.name);
        if watch.oldest.map(|(offset, _)| offset) != oldest {
            watch.oldest = oldest.map(|offset| (offset, self.now));
            watch.holder = None;
        }
        let unmoved = watch.oldest.map(|(offset, since)| (offset, self.now.saturating_sub(since)));
        if let Some((offset, age)) = unmoved
            && age >= SEARCH_AFTER
            && watch.holder.is_none()
        {
            let batched = self.batched(slot, partition.epoch, offset).map(|(queue, record)| Holder::new(queue, record));
            self.observed.slots[slot].holder = Some(batched.unwrap_or_else(|| search(partition, offset)));
        }
        let watch = &mut self.observed.slots[slot];
        // One behind the end may be a transaction's own mark, which nobody delivers.
        let waits = match (next, end) {
            (Some(next), Some(end)) => end > next.saturating_add(1),
            _ => false,
        };
        if !waits || watch.next.is_none_or(|(known, _)| known != next) {
            watch.next = Some((next, self.now));
        }
        let unfetched = watch.next.map(|(_, since)| self.now.saturating_sub(since)).unwrap_or_default();
        let watermark = partition.offsets.watermark();
        let behind = end.is_some_and(|end| next.is_some_and(|next| next < end));
        let lag = match unmoved {
            Some((offset, age)) => Some(self.age(self.observed.slots[slot].timestamp(offset)).unwrap_or(age)),
            None if behind => self.age(self.observed.slots[slot].marks.back().map(|(_, timestamp)| *timestamp)),
            None => Some(Duration::ZERO),
        };
        let lag_messages = match (watermark, end) {
            (Some(watermark), Some(end)) => u64::try_from(end - watermark).ok().or(Some(0)),
            (None, Some(0)) => Some(0),
            _ => None,
        };
        let waits_for = self.observed.slots[slot].holder.as_ref().map(|holder| self.describe(slot, holder));
        let timeout = self.parts.options.health.progress_timeout;
        let reason = match unmoved {
            // Whoever asked for a pause knows.
            _ if partition.paused => None,
            Some((offset, age)) if age > timeout => Some(format!(
                "partition {} has not moved for {} s: offset {offset} {}",
                partition.name,
                age.as_secs(),
                waits_for.as_deref().unwrap_or("is not done"),
            )),
            _ if unfetched > timeout => Some(format!(
                "nothing was fetched from partition {} for {} s, and {} messages wait there",
                partition.name,
                unfetched.as_secs(),
                end.unwrap_or_default() - next.unwrap_or_default(),
            )),
            _ => None,
        };
        let health = PartitionHealth {
            topic: partition.name.topic.to_string(),
            partition: partition.name.partition,
            giving_back: partition.draining,
            paused: partition.paused,
            committed: partition.committed,
            watermark,
            next,
            end,
            lag_messages,
            lag,
            oldest_unfinished: unmoved.map(|(offset, unmoved)| UnfinishedEvent { offset, unmoved, waits_for }),
            running: partition.running,
            buffered_bytes: partition.buffered_bytes,
            waiting_keys: partition.ready.len() + partition.lined_up,
        };
        Some((health, reason))
    }

    /// How long ago `timestamp_ms` was.
    fn age(&self, timestamp_ms: Option<i64>) -> Option<Duration> {
        let age = self.parts.clock.now().timestamp_millis().saturating_sub(timestamp_ms?);
        // Clocks differ between machines.
        Some(Duration::from_millis(u64::try_from(age).unwrap_or_default()))
    }

    /// What the event that holds the partition in `slot` waits for, in words.
    fn describe(&self, slot: usize, holder: &Holder) -> String {
        let queue = self.partitions[slot].as_ref().zip(holder.queue.as_ref());
        let Some(queue) = queue.and_then(|(partition, queue)| partition.keys.get(queue)) else {
            return "is not done".to_owned();
        };
        let of_key = match label(holder.key.as_deref(), self.parts.options.health.show_keys) {
            Some(key) => format!(", key {key}"),
            None => String::new(),
        };
        match &queue.state {
            KeyState::Running { work, task: Task::Chain(recall), .. }
                if work.record().offset == holder.offset && !recall.has_begun() =>
            {
                format!("waits for a place{of_key}")
            }
            KeyState::Running { work, run, .. } if work.record().offset == holder.offset => {
                let run = self.observed.runs.runs.get(*run).and_then(Option::as_ref);
                let since = run.map_or(self.now, |run| run.since);
                let running = run.map_or("its handler", |run| run.running);
                format!("is in {running} for {} s{of_key}", self.now.saturating_sub(since).as_secs())
            }
            KeyState::Pausing { work } if work.record().offset == holder.offset => match &work.failure {
                Some(failure) => {
                    let what = match failure.way {
                        Way::DeadLetter | Way::Refused(_) => "is to be a dead letter, which could not be written",
                        Way::Park => "is to be parked, which failed",
                        Way::Unpark => "is to be taken out of the parked events, which failed",
                    };
                    format!("{what} {} times{of_key}", failure.tries)
                }
                None => format!(
                    "failed {} times in {} and waits for its next attempt{of_key}",
                    work.failures,
                    self.handler_name(slot, work).unwrap_or("decoding")
                ),
            },
            KeyState::AtGate => format!("waits for its handler's breaker, concurrency or rate to let it{of_key}"),
            KeyState::Collecting { .. } => format!("waits for its batch to fill{of_key}"),
            KeyState::InBatch => format!("is in a batch that runs{of_key}"),
            KeyState::Unparking | KeyState::Resting => format!("waits for its key's parked events{of_key}"),
            _ if self.turns.is_some() => format!("waits for a place, or for its tenant's cap, rate or turn{of_key}"),
            _ => format!("waits for a place{of_key}"),
        }
    }
}

/// Find the event with `offset`, in whichever queue it is.
fn search(partition: &Partition, offset: i64) -> Holder {
    let of = |work: &Work| work.record().offset == offset;
    for (key, queue) in &partition.keys {
        let current = match &queue.state {
            KeyState::Running { work, .. } | KeyState::Pausing { work } => Some(work),
            _ => None,
        };
        if let Some(work) = current.into_iter().chain(&queue.waiting).find(|work| of(work)) {
            return Holder::new(key, work.record());
        }
    }
    Holder { offset, timestamp_ms: None, queue: None, key: None }
}

impl StuckCompletion {
    fn reason(&self) -> String {
        let key = self.key.as_ref().map_or_else(String::new, |key| format!(", key {key}"));
        format!(
            "{} runs for {} s with offset {} of {}[{}]{key}; it may take {} s",
            self.running,
            self.running_for.as_secs(),
            self.offset,
            self.topic,
            self.partition,
            self.timeout.as_secs(),
        )
    }
}
