//! What a kit knows: the records there are, who has them, what handlers did.

mod group;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

pub(super) use self::group::{GroupJournal, Idle, Motion, Stage};
use super::attempt::{AttemptOutcome, DeadLetter, HandlerAttempt};
use crate::consumer::RunError;
use crate::consumer::observer::Read;
use crate::envelope::{EnvelopeView, header};
use crate::outcome::Outcome;
use crate::transport::{Assignment, CommitOffset, Headers, Record, TopicPartition};

/// A record's place.
pub(super) type Place = (TopicPartition, i64);

/// What a kit knows.
#[derive(Debug, Default)]
pub(super) struct Journal {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// The records there are, those of dead-letter topics not among them.
    pub(super) records: BTreeMap<Place, Record>,
    /// Where each event is, by its id: in more than one place when it was written more than once.
    places: BTreeMap<String, Vec<Place>>,
    pub(super) groups: BTreeMap<Arc<str>, GroupJournal>,
    pub(super) attempts: Vec<HandlerAttempt>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Events given up: their places, by group.
    pub(super) given_up: Vec<(Arc<str>, Place)>,
    /// Events whose key was parked: their places, by group.
    pub(super) parked: Vec<(Arc<str>, Place)>,
    /// What came out of order, in words.
    pub(super) order_breaks: Vec<String>,
    pub(super) members: BTreeMap<u64, MemberJournal>,
    /// Writes that the broker has not answered.
    writing: usize,
}

/// What is known of a member: a process of a service, with an engine for each group.
#[derive(Debug, Default)]
pub(super) struct MemberJournal {
    pub(super) engines: usize,
    pub(super) stopped: VecDeque<RunError>,
    /// Whether it was told to end.
    pub(super) dismissed: bool,
}

impl Journal {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
        result
    }

    /// A group is about to read `topics`, as one more member or as the first.
    pub(super) fn joined(&self, member: u64, group: &Arc<str>, topics: &[Arc<str>], handlers: &[&'static str]) {
        self.change(|state| {
            state.members.entry(member).or_default().engines += 1;
            let known = state.groups.entry(Arc::clone(group)).or_default();
            known.members.insert(member);
            known.handlers.extend(handlers);
            for topic in topics {
                if known.topics.insert(Arc::clone(topic)) {
                    for ((partition, offset), record) in &state.records {
                        if partition.topic == *topic {
                            known.written(partition, *offset, record.key.clone());
                        }
                    }
                }
            }
        });
    }

    /// An engine has ended, by itself or as it was told.
    pub(super) fn left(&self, member: u64, group: &Arc<str>, result: Result<(), RunError>) {
        self.change(|state| {
            if let Some(known) = state.groups.get_mut(group) {
                known.left(member);
            }
            let journal = state.members.entry(member).or_default();
            journal.engines = journal.engines.saturating_sub(1);
            journal.stopped.extend(result.err());
            state.cancel(group, member, None);
        });
    }

    pub(super) fn dismissed(&self, member: u64) {
        self.change(|state| state.members.entry(member).or_default().dismissed = true);
    }

    /// A write is under way until what this returns is dropped: answered, or no longer waited for.
    pub(super) fn writing(self: &Arc<Self>) -> Writing {
        self.change(|state| state.writing += 1);
        Writing(Arc::clone(self))
    }

    /// A record was written.
    pub(super) fn written(&self, record: Record) {
        self.change(|state| state.note(record));
    }

    pub(super) fn wrote_dead_letter(&self, letter: Record) {
        self.change(|state| state.dead_letters.push(DeadLetter::new(letter)));
    }

    pub(super) fn assigned(&self, member: u64, group: &Arc<str>, partitions: &[Assignment]) {
        self.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                for assignment in partitions {
                    group.assigned(member, assignment);
                }
            }
        });
    }

    pub(super) fn released(&self, member: u64, group: &Arc<str>, partition: &TopicPartition) {
        self.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.released(member, partition);
            }
            state.cancel(group, member, Some(partition));
        });
    }

    pub(super) fn committed(&self, group: &Arc<str>, offsets: Vec<CommitOffset>) {
        self.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.commits.extend(offsets.into_iter().map(|commit| (commit.partition.clone(), commit)));
            }
        });
    }

    pub(super) fn read(&self, member: u64, group: &Arc<str>, record: Record, read: Read) {
        self.change(|state| {
            let (place, key) = (place_of(&record), record.key.clone());
            state.note(record);
            if let Some(group) = state.groups.get_mut(group) {
                group.read(member, place, key, read);
            }
        });
    }

    pub(super) fn started(
        &self,
        member: u64,
        group: &Arc<str>,
        record: &Record,
        (handler, attempt): (&'static str, u32),
        batched: bool,
    ) {
        self.change(|state| {
            if let Some(known) = state.groups.get_mut(group)
                && let Some(broken) = known.started(member, &place_of(record), record.key.as_ref(), batched)
            {
                state.order_breaks.push(format!("{handler} of {group}: {broken}"));
            }
            let envelope = EnvelopeView::new(&record.headers);
            state.attempts.push(HandlerAttempt {
                id: envelope.id().unwrap_or_default().to_owned(),
                event: envelope.event().unwrap_or_default().to_owned(),
                key: String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into_owned(),
                topic: Arc::clone(&record.topic),
                partition: record.partition,
                offset: record.offset,
                group: Arc::clone(group),
                member,
                handler,
                attempt,
                outcome: AttemptOutcome::Running,
            });
        });
    }

    pub(super) fn ended(&self, member: u64, group: &Arc<str>, record: &Record, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Done => AttemptOutcome::Done,
            Outcome::Retry { error, .. } | Outcome::DeadLetter { error } | Outcome::Park { error } => {
                AttemptOutcome::Failed { class: error.class(), error: error.chain() }
            }
        };
        self.change(|state| {
            let running = state.attempts.iter_mut().rev().find(|attempt| {
                attempt.outcome == AttemptOutcome::Running
                    && (attempt.member, attempt.partition, attempt.offset) == (member, record.partition, record.offset)
                    && (&attempt.group, &attempt.topic) == (group, &record.topic)
            });
            if let Some(attempt) = running {
                attempt.outcome = outcome;
            }
        });
    }

    pub(super) fn pausing(&self, member: u64, group: &Arc<str>, record: &Record, until: Duration) {
        self.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.pausing(member, &place_of(record), until);
            }
        });
    }

    pub(super) fn gave_up(&self, group: &Arc<str>, record: &Record) {
        self.change(|state| state.given_up.push((Arc::clone(group), place_of(record))));
    }

    pub(super) fn parked(&self, group: &Arc<str>, record: &Record) {
        self.change(|state| state.parked.push((Arc::clone(group), place_of(record))));
    }

    /// An engine waits. It says so again and again; only what is new counts as a change.
    pub(super) fn idle(&self, member: u64, group: &Arc<str>, idle: Idle) {
        let changed = self.state.lock().groups.get_mut(group).is_some_and(|group| group.idle(member, idle));
        if changed {
            self.changed.send_modify(|version| *version = version.wrapping_add(1));
        }
    }

    pub(super) fn finished(&self, member: u64, group: &Arc<str>, record: &Record) {
        self.change(|state| {
            if let Some(group) = state.groups.get_mut(group) {
                group.finished(member, place_of(record));
            }
        });
    }
}

impl State {
    fn note(&mut self, record: Record) {
        let (partition, offset) = place_of(&record);
        if self.records.contains_key(&(partition.clone(), offset)) {
            return;
        }
        for group in self.groups.values_mut().filter(|group| group.topics.contains(&partition.topic)) {
            group.written(&partition, offset, record.key.clone());
        }
        if let Some(id) = record.headers.get_str(header::ID) {
            self.places.entry(id.to_owned()).or_default().push((partition.clone(), offset));
        }
        self.records.insert((partition, offset), record);
    }

    fn cancel(&mut self, group: &Arc<str>, member: u64, partition: Option<&TopicPartition>) {
        for attempt in &mut self.attempts {
            let of_partition =
                partition.is_none_or(|name| name.topic == attempt.topic && name.partition == attempt.partition);
            if attempt.outcome == AttemptOutcome::Running
                && attempt.member == member
                && attempt.group == *group
                && of_partition
            {
                attempt.outcome = AttemptOutcome::Cancelled;
            }
        }
    }

    /// The places of the event `id`: more than one when it was written more than once.
    pub(super) fn places_of(&self, id: &str) -> Vec<Place> {
        self.places.get(id).cloned().unwrap_or_default()
    }

    /// Whether handlers of `member` run.
    pub(super) fn runs(&self, member: u64) -> bool {
        let running = |attempt: &HandlerAttempt| attempt.outcome == AttemptOutcome::Running && attempt.member == member;
        self.attempts.iter().any(running)
    }

    /// What all groups together are at, by the clock's monotonic time.
    pub(super) fn motion(&self, now: Duration, paused: bool) -> Motion {
        let groups = self.groups.values().map(|group| group.motion(now, paused));
        groups.fold(Motion { moving: self.writing, ..Motion::default() }, Motion::and)
    }
}

/// A write that is under way.
#[derive(Debug)]
pub(super) struct Writing(Arc<Journal>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.change(|state| state.writing = state.writing.saturating_sub(1));
    }
}

pub(super) fn place_of(record: &Record) -> Place {
    (TopicPartition { topic: Arc::clone(&record.topic), partition: record.partition }, record.offset)
}

/// A record without its data, to be named in messages.
pub(super) fn name_of(headers: &Headers) -> String {
    let envelope = EnvelopeView::new(headers);
    format!("{} {}", envelope.event().unwrap_or("an event without a name"), envelope.id().unwrap_or("without an id"))
}
