//! Taking partitions over and giving them back; committing; stopping.

use std::mem;
use std::time::Duration;

use super::Engine;
use crate::consumer::commit_metadata::CommitMetadata;
use crate::consumer::error::StopReason;
use crate::consumer::key::Work;
use crate::consumer::offsets::OffsetTracker;
use crate::consumer::partition::Partition;
use crate::consumer::stats::Counters;
use crate::transport::{Assignment, CommitOffset, ConsumeError, ConsumerTransport, StartOffset, TopicPartition};

/// How long the commit before giving partitions back is waited for.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// The pause before a failed commit is repeated while partitions are being given back.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// Partitions on their way back to the group.
#[derive(Debug)]
pub(super) struct Revocation {
    partitions: Vec<TopicPartition>,
    /// When handlers that still run are cancelled.
    drain_deadline: Duration,
    /// When the commit is no longer waited for; `None` while draining.
    commit_deadline: Option<Duration>,
}

/// Commits that failed, one after the other.
#[derive(Debug)]
pub(super) struct FailingCommits {
    pub(super) since: Duration,
    latest: Duration,
    /// Why the latest one did.
    pub(super) error: String,
}

/// The engine is on its way out.
#[derive(Debug)]
pub(super) struct Stopping {
    drain_deadline: Duration,
    commit_deadline: Option<Duration>,
    result: Result<(), StopReason>,
}

impl<T: ConsumerTransport> Engine<T> {
    pub(super) fn on_assigned(&mut self, assignments: Vec<Assignment>) {
        let names: Vec<_> = assignments.iter().map(|assignment| assignment.partition.clone()).collect();
        tracing::info!(group = &*self.parts.plan.group, partitions = %list(&names), "partitions assigned");
        if let Err(error) = self.transport.assign(&assignments) {
            return self.stop(Err(error.into()));
        }
        if self.stopping.is_some() {
            return;
        }
        if let Some(observer) = &self.parts.observer {
            observer.assigned(&assignments);
        }
        let mut routes_changed = false;
        for Assignment { partition: name, start } in assignments {
            let epoch = self.next_epoch;
            self.next_epoch += 1;
            let fingerprint = self.parts.plan.fingerprint;
            // Only topics of the plan are subscribed to.
            let Some(plan) = self.parts.plan.index_of(&name.topic) else { continue };
            let mut partition = match start {
                StartOffset::Beginning => Partition::new(name.clone(), plan, epoch, OffsetTracker::default()),
                StartOffset::End(offset) => {
                    // Committed at once, or what comes before the first commit would be skipped at the next start.
                    self.uncommitted += 1;
                    let mut partition = Partition::new(name.clone(), plan, epoch, OffsetTracker::restored(offset, []));
                    partition.changed = true;
                    partition
                }
                StartOffset::Committed { offset, metadata } => {
                    let known = CommitMetadata::decode(&metadata, offset);
                    routes_changed |= known.as_ref().is_some_and(|known| known.fingerprint != fingerprint);
                    let completed = known.map(|known| known.completed).unwrap_or_default();
                    let mut partition =
                        Partition::new(name.clone(), plan, epoch, OffsetTracker::restored(offset, completed));
                    partition.committed = Some(offset);
                    partition
                }
            };
            partition.succeeding = self.is_succeeding(&name);
            let partition = Some(partition);
            let slot = match self.partitions.iter().position(Option::is_none) {
                Some(free) => {
                    self.partitions[free] = partition;
                    free
                }
                None => {
                    self.partitions.push(partition);
                    self.partitions.len() - 1
                }
            };
            self.slots.insert(name, slot);
            self.load_parked(slot);
        }
        self.apply_pauses();
        if routes_changed && !mem::replace(&mut self.warned_of_routes, true) {
            tracing::warn!(
                group = &*self.parts.plan.group,
                "the routes are not those of the build that committed last: events it skipped are not delivered to a handler that is \
                 new; seek back to have them"
            );
        }
    }

    pub(super) fn on_revoked(&mut self, partitions: Vec<TopicPartition>) {
        tracing::info!(group = &*self.parts.plan.group, partitions = %list(&partitions), "partitions revoked");
        for name in &partitions {
            if let Some(partition) = self.named(name) {
                partition.draining = true;
            }
        }
        self.clear_gates();
        let drain_deadline = self.now.saturating_add(self.parts.options.drain_timeout);
        self.revocations.push_back(Revocation { partitions, drain_deadline, commit_deadline: None });
    }

    /// They are somebody else's already: nothing may be committed, and what runs is redone there.
    pub(super) fn on_lost(&mut self, partitions: &[TopicPartition]) {
        tracing::warn!(group = &*self.parts.plan.group, partitions = %list(partitions), "partitions lost; their events are redelivered elsewhere");
        self.drop_partitions(partitions);
        if let Err(error) = self.transport.unassign(partitions) {
            self.stop(Err(error.into()));
        }
    }

    pub(super) fn on_committed(&mut self, result: Result<(), ConsumeError>) {
        self.commits_under_way = self.commits_under_way.saturating_sub(1);
        self.settle_proof(result.is_ok());
        match result {
            Ok(()) => {
                self.failing_commits = None;
                self.unanswered_since = None;
            }
            Err(error) => {
                if matches!(error, ConsumeError::MetadataTooLarge) {
                    // This broker is set to less than the usual 4,096.
                    self.metadata_bytes /= 2;
                }
                tracing::warn!(group = &*self.parts.plan.group, %error, "a commit failed; the next one repeats it");
                self.repeat_commit(&error);
            }
        }
    }

    /// What was to be committed is not: the next commit names it again.
    fn repeat_commit(&mut self, error: &ConsumeError) {
        self.partitions.iter_mut().flatten().for_each(Partition::forget_commit);
        self.uncommitted += 1;
        Counters::add(&self.parts.counters.failed_commits, 1);
        let since = self.failing_commits.as_ref().map_or(self.now, |failing| failing.since);
        self.failing_commits = Some(FailingCommits { since, latest: self.now, error: error.to_string() });
    }

    pub(super) fn commit_if_due(&mut self) {
        let options = &self.parts.options;
        let due = self.uncommitted >= options.commit_count
            || self.now >= self.last_commit.saturating_add(options.commit_interval);
        // One at a time: a slow broker gets fewer commits, not a queue of them.
        if self.uncommitted > 0 && due && self.commits_under_way == 0 {
            let offsets = self.take_commits();
            self.uncommitted = 0;
            self.last_commit = self.now;
            if offsets.is_empty() {
                // What could not be committed is somebody else's by now.
                self.failing_commits = None;
                self.unanswered_since = None;
            }
            self.commit(&offsets);
        }
    }

    /// What there is to commit.
    pub(super) fn take_commits(&mut self) -> Vec<CommitOffset> {
        let (fingerprint, limit) = (self.parts.plan.fingerprint, self.metadata_bytes);
        let partitions = self.partitions.iter_mut().flatten();
        partitions.filter_map(|partition| partition.take_commit(fingerprint, limit)).collect()
    }

    /// Whether a commit has failed just now, and is repeated a little later.
    pub(super) fn commit_is_resting(&self) -> bool {
        self.failing_commits.as_ref().is_some_and(|failing| self.now < failing.latest + COMMIT_PAUSE)
    }

    pub(super) fn commit(&mut self, offsets: &[CommitOffset]) {
        if offsets.is_empty() {
            return;
        }
        self.unanswered_since.get_or_insert(self.now);
        match self.transport.commit(offsets) {
            Ok(()) => {
                self.commits_under_way += 1;
                self.observe_commit(offsets.len());
            }
            Err(error) => {
                tracing::warn!(group = &*self.parts.plan.group, %error, "a commit could not be sent; the next one repeats it");
                self.repeat_commit(&error);
            }
        }
    }

    /// Stop: let running handlers end, commit, leave.
    pub(super) fn stop(&mut self, result: Result<(), StopReason>) {
        match &mut self.stopping {
            // The first error is the reason; an orderly stop does not hide it.
            Some(stopping) => {
                if stopping.result.is_ok() {
                    stopping.result = result;
                }
            }
            None => {
                self.partitions.iter_mut().flatten().for_each(|partition| partition.draining = true);
                let drain_deadline = self.now.saturating_add(self.parts.options.drain_timeout);
                self.stopping = Some(Stopping { drain_deadline, commit_deadline: None, result });
            }
        }
    }

    pub(super) fn exhausted(work: &Work, error: String) -> StopReason {
        StopReason::Exhausted {
            topic: work.record().topic.to_string(),
            partition: work.record().partition,
            offset: work.record().offset,
            error,
        }
    }

    /// Move revocations and the stop on. The result once the engine has stopped.
    pub(super) fn advance_handover(&mut self) -> Option<Result<(), StopReason>> {
        if self.stopping.is_some() {
            return self.advance_stop();
        }
        while let Some(mut revocation) = self.revocations.pop_front() {
            if !self.advance_revocation(&mut revocation) {
                self.revocations.push_front(revocation);
                break;
            }
        }
        None
    }

    fn advance_revocation(&mut self, revocation: &mut Revocation) -> bool {
        let deadline = match revocation.commit_deadline {
            Some(deadline) => deadline,
            None => {
                let names = &revocation.partitions;
                let running: usize = names
                    .iter()
                    .filter_map(|name| self.slots.get(name))
                    .filter_map(|slot| self.partitions[*slot].as_ref())
                    .map(|partition| partition.running)
                    .sum();
                if running > 0 && self.now < revocation.drain_deadline {
                    return false;
                }
                if running > 0 {
                    tracing::warn!(
                        group = &*self.parts.plan.group,
                        running,
                        "handlers outran the drain timeout; they are cancelled and their events redelivered"
                    );
                }
                for name in &revocation.partitions {
                    self.abort_partition(name);
                }
                *revocation.commit_deadline.insert(self.now + LAST_COMMIT)
            }
        };
        if !self.last_commit_made(&revocation.partitions, deadline) {
            return false;
        }
        self.drop_partitions(&revocation.partitions);
        if let Err(error) = self.transport.unassign(&revocation.partitions) {
            self.stop(Err(error.into()));
        }
        true
    }

    fn advance_stop(&mut self) -> Option<Result<(), StopReason>> {
        let running: usize = self.partitions.iter().flatten().map(|partition| partition.running).sum();
        let stopping = self.stopping.as_mut()?;
        let deadline = match stopping.commit_deadline {
            Some(deadline) => deadline,
            None if running > 0 && self.now < stopping.drain_deadline => return None,
            None => {
                let deadline = *stopping.commit_deadline.insert(self.now + LAST_COMMIT);
                if running > 0 {
                    tracing::warn!(
                        group = &*self.parts.plan.group,
                        running,
                        "handlers outran the drain timeout; they are cancelled and their events redelivered"
                    );
                }
                self.partitions.iter().flatten().for_each(Partition::abort);
                for slot in 0..self.partitions.len() {
                    if let Some(epoch) = self.partitions[slot].as_ref().map(|partition| partition.epoch) {
                        self.abort_batches(slot, epoch);
                    }
                }
                deadline
            }
        };
        let all: Vec<_> = self.slots.keys().cloned().collect();
        if !self.last_commit_made(&all, deadline) {
            return None;
        }
        self.give_back_unanswered();
        if let Some(observer) = &self.parts.observer {
            for name in &all {
                observer.released(name);
            }
        }
        self.stopping.take().map(|stopping| stopping.result)
    }

    /// End as a process that dies: nothing is waited for, nothing is committed.
    pub(super) fn abandon(&mut self) {
        let all: Vec<_> = self.slots.keys().cloned().collect();
        self.drop_partitions(&all);
        self.give_back_unanswered();
    }

    /// librdkafka does not close while a revocation is unanswered.
    fn give_back_unanswered(&mut self) {
        for revocation in mem::take(&mut self.revocations) {
            if let Err(error) = self.transport.unassign(&revocation.partitions) {
                tracing::warn!(%error, "could not give partitions back while stopping");
            }
        }
    }

    /// Whether all that is complete in these partitions is committed, or may wait no longer. In the middle of a rebalance the
    /// broker refuses commits for a moment, so a failed one is repeated: what is not committed now is delivered again.
    fn last_commit_made(&mut self, names: &[TopicPartition], deadline: Duration) -> bool {
        if self.now >= deadline {
            return true;
        }
        if self.commits_under_way > 0 || self.commit_is_resting() {
            return false;
        }
        let mut offsets = Vec::new();
        for name in names {
            let (fingerprint, limit) = (self.parts.plan.fingerprint, self.metadata_bytes);
            offsets.extend(self.named(name).and_then(|partition| partition.take_commit(fingerprint, limit)));
        }
        self.commit(&offsets);
        offsets.is_empty()
    }

    /// Forget partitions and what was held for them. Completions still under way are fenced by their epoch.
    fn drop_partitions(&mut self, names: &[TopicPartition]) {
        for name in names {
            self.abort_partition(name);
            let Some(slot) = self.slots.remove(name) else { continue };
            if let Some(observer) = &self.parts.observer {
                observer.released(name);
            }
            if let Some(partition) = self.partitions[slot].take() {
                self.buffered_bytes -= partition.buffered_bytes;
                self.leave_behind(&partition);
            }
        }
        if self.slots.is_empty() {
            // What nobody answered was about partitions that are gone.
            self.unanswered_since = None;
        }
        self.clear_gates();
    }

    /// Cancel what runs of a partition.
    fn abort_partition(&mut self, name: &TopicPartition) {
        let Some(slot) = self.slots.get(name).copied() else { return };
        if let Some(partition) = &mut self.partitions[slot] {
            partition.abort();
            let epoch = partition.epoch;
            self.abort_batches(slot, epoch);
        }
    }

    fn named(&mut self, name: &TopicPartition) -> Option<&mut Partition> {
        let slot = *self.slots.get(name)?;
        self.partitions[slot].as_mut()
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
