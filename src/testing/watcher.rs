//! What stands between an engine and the kit: it tells the journal what the engine does, and the engine what goes wrong.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::faults::Faults;
use super::journal::{Idle, Journal};
use super::stage::Stage;
use crate::consumer::observer::{Observer, Read};
use crate::outcome::{HandlerError, Outcome};
use crate::transport::{
    Assignment, CommitOffset, ConsumeError, ConsumerTransport, GroupEvent, Record, TopicPartition, Wake,
};

/// An engine of a member, as the kit holds it.
pub(super) struct Watched {
    pub(super) member: u64,
    pub(super) group: Arc<str>,
    pub(super) stage: Arc<Stage>,
    pub(super) journal: Arc<Journal>,
    pub(super) faults: Arc<Faults>,
    pub(super) shutdown: Arc<AtomicBool>,
    pub(super) crashed: AtomicBool,
    pub(super) ended: AtomicBool,
    /// To be taken from it without asking.
    pub(super) lose: AtomicBool,
    /// How often it has looked around.
    pub(super) turns: AtomicU64,
    /// Commits that have not ended.
    pub(super) commits_under_way: AtomicUsize,
    pub(super) wake: Mutex<Option<Wake>>,
}

impl Watched {
    /// Have it look around.
    pub(super) fn wake(&self) {
        let wake = self.wake.lock().clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// The record, by the names the test knows.
    fn logical(&self, record: &Record) -> Record {
        Record { topic: self.stage.logical(&record.topic), ..record.clone() }
    }
}

impl Observer for Watched {
    fn assigned(&self, partitions: &[Assignment]) {
        let logical = |assignment: &Assignment| Assignment {
            partition: self.stage.logical_partition(&assignment.partition),
            start: assignment.start.clone(),
        };
        let partitions: Vec<_> = partitions.iter().map(logical).collect();
        self.journal.assigned(self.member, &self.group, &partitions);
    }

    fn released(&self, partition: &TopicPartition) {
        self.journal.released(self.member, &self.group, &self.stage.logical_partition(partition));
    }

    fn read(&self, record: &Record, read: Read) {
        self.journal.read(self.member, &self.group, self.logical(record), read);
    }

    fn started(&self, record: &Record, handler: &'static str, attempt: u32, batched: bool) {
        self.journal.started(self.member, &self.group, &self.logical(record), (handler, attempt), batched);
    }

    fn ended(&self, record: &Record, outcome: &Outcome) {
        self.journal.ended(self.member, &self.group, &self.logical(record), outcome);
    }

    fn pausing(&self, record: &Record, until: Duration) {
        self.journal.pausing(self.member, &self.group, &self.logical(record), until);
    }

    fn dead_lettered(&self, record: &Record) {
        self.journal.gave_up(&self.group, &self.logical(record));
    }

    fn parked(&self, record: &Record) {
        self.journal.parked(&self.group, &self.logical(record));
    }

    fn idle(&self, due: Option<Duration>, busy: bool) {
        self.journal.idle(self.member, &self.group, Idle { due, busy });
    }

    fn finished(&self, record: &Record) {
        self.journal.finished(self.member, &self.group, &self.logical(record));
    }

    fn intercept(&self, handler: &'static str) -> Option<HandlerError> {
        self.faults.take_handler(handler)
    }

    fn crashed(&self) -> bool {
        self.crashed.load(Ordering::Acquire)
    }
}

/// A transport that fails when it is told to.
pub(super) struct WatchedTransport<T> {
    // Before what says that it has ended: fields drop in this order.
    inner: T,
    _end: End,
    watched: Arc<Watched>,
    assigned: BTreeSet<TopicPartition>,
    /// What is told before what the inner one tells.
    events: VecDeque<GroupEvent>,
    under_way: VecDeque<Vec<CommitOffset>>,
    /// Commits that the brokers have not answered because they are paused.
    held: VecDeque<Vec<CommitOffset>>,
}

/// Says that an engine has ended, when it is dropped.
struct End(Arc<Watched>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl<T: ConsumerTransport> WatchedTransport<T> {
    pub(super) fn new(inner: T, watched: Arc<Watched>) -> Self {
        *watched.wake.lock() = Some(inner.wake());
        Self {
            inner,
            _end: End(Arc::clone(&watched)),
            watched,
            assigned: BTreeSet::new(),
            events: VecDeque::new(),
            under_way: VecDeque::new(),
            held: VecDeque::new(),
        }
    }

    fn commit_now(&mut self, offsets: Vec<CommitOffset>) -> Result<(), ConsumeError> {
        self.inner.commit(&offsets)?;
        self.under_way.push_back(offsets);
        Ok(())
    }

    fn count_commits(&self) {
        let under_way = self.under_way.len() + self.held.len();
        self.watched.commits_under_way.store(under_way, Ordering::Release);
    }

    fn release_held(&mut self) {
        while let Some(offsets) = self.held.pop_front() {
            if let Err(error) = self.commit_now(offsets) {
                self.events.push_back(GroupEvent::Committed(Err(error)));
            }
        }
    }

    fn note_commit(&mut self, result: &Result<(), ConsumeError>) {
        let Some(offsets) = self.under_way.pop_front() else { return };
        if result.is_ok() {
            let stage = &self.watched.stage;
            let logical =
                |commit: CommitOffset| CommitOffset { partition: stage.logical_partition(&commit.partition), ..commit };
            self.watched.journal.committed(&self.watched.group, offsets.into_iter().map(logical).collect());
        }
    }
}

impl<T: ConsumerTransport> ConsumerTransport for WatchedTransport<T> {
    fn subscribe(&mut self, topics: &[Arc<str>]) -> Result<(), ConsumeError> {
        self.inner.subscribe(topics)
    }

    fn poll(&mut self) -> Option<GroupEvent> {
        if self.watched.lose.swap(false, Ordering::AcqRel) && !self.assigned.is_empty() {
            self.events.push_back(GroupEvent::Lost(self.assigned.iter().cloned().collect()));
        }
        if !self.watched.faults.is_paused() {
            self.release_held();
        }
        let event = self.events.pop_front().or_else(|| {
            let event = self.inner.poll();
            if let Some(GroupEvent::Committed(result)) = &event {
                self.note_commit(result);
            }
            event
        });
        self.count_commits();
        if event.is_none() {
            self.watched.turns.fetch_add(1, Ordering::AcqRel);
        }
        event
    }

    fn assign(&mut self, partitions: &[Assignment]) -> Result<(), ConsumeError> {
        self.assigned.extend(partitions.iter().map(|assignment| assignment.partition.clone()));
        self.inner.assign(partitions)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        self.inner.seek(partition, offset)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumeError> {
        self.assigned.retain(|assigned| !partitions.contains(assigned));
        self.inner.unassign(partitions)
    }

    fn fetch(
        &mut self,
        partition: &TopicPartition,
        most: usize,
        records: &mut Vec<Record>,
    ) -> Result<(), ConsumeError> {
        let faults = &self.watched.faults;
        if faults.is_paused() {
            return Ok(());
        }
        if faults.fetches.take() {
            let reason = "the test kit was told to fail it".to_owned();
            return Err(ConsumeError::Fetch { partition: partition.clone(), reason, fatal: false });
        }
        self.inner.fetch(partition, most, records)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.end_offset(partition)
    }

    fn commit(&mut self, offsets: &[CommitOffset]) -> Result<(), ConsumeError> {
        if self.watched.faults.commits.take() {
            let reason = "the test kit was told to fail it".to_owned();
            let failed = ConsumeError::Operation { operation: "commit offsets", reason };
            self.events.push_back(GroupEvent::Committed(Err(failed)));
            return Ok(());
        }
        if self.watched.faults.is_paused() {
            self.held.push_back(offsets.to_vec());
        } else {
            self.commit_now(offsets.to_vec())?;
        }
        self.count_commits();
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) {
        self.inner.wait(timeout);
    }

    fn wake(&self) -> Wake {
        self.inner.wake()
    }

    fn close(self) {
        self.inner.close();
    }
}
