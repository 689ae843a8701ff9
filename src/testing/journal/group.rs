//! What a kit knows of a consumer group: where each record of its topics stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Place;
use crate::consumer::commit_metadata::CommitMetadata;
use crate::consumer::observer::Read;
use crate::transport::{Assignment, CommitOffset, StartOffset, TopicPartition};

/// What a kit knows of a consumer group.
#[derive(Debug, Default)]
pub(in crate::testing) struct GroupJournal {
    pub(in crate::testing) topics: BTreeSet<Arc<str>>,
    pub(in crate::testing) handlers: BTreeSet<&'static str>,
    pub(in crate::testing) members: BTreeSet<u64>,
    /// What their engines waited for last.
    engines: BTreeMap<u64, Idle>,
    /// Whose each partition is.
    pub(in crate::testing) owners: BTreeMap<TopicPartition, u64>,
    pub(in crate::testing) commits: BTreeMap<TopicPartition, CommitOffset>,
    /// Records it is not done with.
    pub(in crate::testing) open: BTreeMap<Place, Open>,
    /// Records it is done with.
    done: BTreeMap<TopicPartition, BTreeSet<i64>>,
}

/// A record that a group is not done with.
#[derive(Debug)]
pub(in crate::testing) struct Open {
    key: Option<Bytes>,
    pub(in crate::testing) stage: Stage,
}

/// How far a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Stage {
    /// No member has read it yet.
    Unread,
    /// It waits for its turn.
    Queued,
    /// Its engine waits with it: for another of its key, a place, a gate, the rest of a batch.
    Held,
    /// A handler, or a dead letter being written.
    Running,
    /// It is tried again then.
    Pausing(Duration),
}

/// What an engine waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::testing) struct Idle {
    /// When it goes on by itself, by the clock's monotonic time.
    pub(in crate::testing) due: Option<Duration>,
    /// Whether tasks of its own are under way.
    pub(in crate::testing) busy: bool,
}

/// What there is to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::testing) struct Motion {
    /// Records that somebody will read or start without further ado.
    pub(in crate::testing) moving: usize,
    /// Handlers that run.
    pub(in crate::testing) running: usize,
    /// When the first pause ends.
    pub(in crate::testing) due: Option<Duration>,
}

impl Motion {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            moving: self.moving + other.moving,
            running: self.running + other.running,
            due: self.due.into_iter().chain(other.due).min(),
        }
    }
}

impl GroupJournal {
    pub(super) fn written(&mut self, partition: &TopicPartition, offset: i64, key: Option<Bytes>) {
        let place = (partition.clone(), offset);
        if !self.is_done(&place) {
            self.open.entry(place).or_insert(Open { key, stage: Stage::Unread });
        }
    }

    pub(super) fn left(&mut self, member: u64) {
        self.members.remove(&member);
        self.engines.remove(&member);
        let owned: Vec<_> =
            self.owners.iter().filter(|(_, owner)| **owner == member).map(|(partition, _)| partition.clone()).collect();
        for partition in owned {
            self.released(member, &partition);
        }
    }

    /// What was complete and not committed is to be read again.
    pub(super) fn assigned(&mut self, member: u64, assignment: &Assignment) {
        let Assignment { partition, start } = assignment;
        self.owners.insert(partition.clone(), member);
        let (start, completed) = match start {
            StartOffset::Beginning => (0, Vec::new()),
            StartOffset::End(offset) => (*offset, Vec::new()),
            StartOffset::Committed { offset, metadata } => {
                (*offset, CommitMetadata::decode(metadata, *offset).map(|known| known.completed).unwrap_or_default())
            }
        };
        let done = self.done.entry(partition.clone()).or_default();
        let is_completed = |offset: &i64| completed.iter().any(|(from, to)| from <= offset && offset < to);
        let again: Vec<_> = done.range(start..).copied().filter(|offset| !is_completed(offset)).collect();
        for offset in again {
            done.remove(&offset);
            self.open.insert((partition.clone(), offset), Open { key: None, stage: Stage::Unread });
        }
        // What lies before is never read.
        let before = (partition.clone(), i64::MIN)..(partition.clone(), start);
        let passed: Vec<_> = self.open.range(before).map(|(place, _)| place.clone()).collect();
        for place in passed {
            self.close(place);
        }
    }

    /// Whether the group is done with a record.
    pub(in crate::testing) fn is_done(&self, (partition, offset): &Place) -> bool {
        self.done.get(partition).is_some_and(|done| done.contains(offset))
    }

    fn close(&mut self, place: Place) {
        self.open.remove(&place);
        self.done.entry(place.0).or_default().insert(place.1);
    }

    pub(super) fn released(&mut self, member: u64, partition: &TopicPartition) {
        if self.owners.get(partition) != Some(&member) {
            return;
        }
        self.owners.remove(partition);
        let open = self.open.range_mut((partition.clone(), i64::MIN)..=(partition.clone(), i64::MAX));
        open.for_each(|(_, open)| open.stage = Stage::Unread);
    }

    pub(super) fn read(&mut self, member: u64, place: Place, key: Option<Bytes>, read: Read) {
        if !self.is_of(member, &place) {
            return;
        }
        match read {
            Read::Queued => {
                if let Some(done) = self.done.get_mut(&place.0) {
                    done.remove(&place.1);
                }
                self.open.insert(place, Open { key, stage: Stage::Queued });
            }
            Read::Skipped | Read::CompletedBefore => self.close(place),
        }
    }

    /// Says what is out of order, if something is.
    pub(super) fn started(&mut self, member: u64, place: &Place, key: Option<&Bytes>, batched: bool) -> Option<String> {
        if !self.is_of(member, place) {
            return None;
        }
        let key = key.map(|key| &**key).filter(|_| !self.open.is_empty());
        let same_key = key.and_then(|key| {
            let partition = self.open.range((place.0.clone(), i64::MIN)..=(place.0.clone(), i64::MAX));
            let mut others = partition.filter(|(other, open)| *other != place && open.key.as_deref() == Some(key));
            let overtaken = others.find(|((_, offset), open)| match open.stage {
                // A batch may hold several of a key, in their order.
                Stage::Running => !batched || *offset > place.1,
                _ => *offset < place.1,
            });
            overtaken.map(|((_, offset), open)| {
                let (partition, started) = place;
                let key = String::from_utf8_lossy(key);
                let what = if open.stage == Stage::Running { "is running" } else { "is not complete" };
                format!("{partition}@{started} of the key {key} began while {partition}@{offset} of that key {what}")
            })
        });
        if let Some(open) = self.open.get_mut(place) {
            open.stage = Stage::Running;
        }
        same_key
    }

    pub(super) fn pausing(&mut self, member: u64, place: &Place, until: Duration) {
        if self.is_of(member, place)
            && let Some(open) = self.open.get_mut(place)
        {
            open.stage = Stage::Pausing(until);
        }
    }

    pub(super) fn finished(&mut self, member: u64, place: Place) {
        if self.is_of(member, &place) {
            self.close(place);
        }
    }

    /// An engine waits. Whether that is new.
    pub(super) fn idle(&mut self, member: u64, idle: Idle) -> bool {
        let mut changed = self.engines.insert(member, idle) != Some(idle);
        for ((partition, _), open) in &mut self.open {
            if open.stage == Stage::Queued && self.owners.get(partition) == Some(&member) {
                open.stage = Stage::Held;
                changed = true;
            }
        }
        changed
    }

    /// What a member says of a partition that is another's by now does not count.
    fn is_of(&self, member: u64, (partition, _): &Place) -> bool {
        self.owners.get(partition) == Some(&member)
    }

    /// Whether all partitions of its topics, `partitions` each, are somebody's, and nobody has two more than another.
    pub(in crate::testing) fn is_balanced(&self, partitions: usize) -> bool {
        let loads = self.members.iter().map(|member| self.owners.values().filter(|owner| *owner == member).count());
        let (least, most) = loads.fold((usize::MAX, 0), |(least, most), load| (least.min(load), most.max(load)));
        self.owners.len() == self.topics.len() * partitions && most <= least.saturating_add(1)
    }

    /// What there is to wait for. While the brokers are paused, nobody reads anything.
    pub(super) fn motion(&self, now: Duration, paused: bool) -> Motion {
        let mut motion = Motion::default();
        if self.members.is_empty() {
            return motion;
        }
        for open in self.open.values() {
            match open.stage {
                Stage::Held => {}
                Stage::Unread if paused => {}
                Stage::Running => motion.running += 1,
                Stage::Pausing(until) if until > now => motion.due = motion.due.into_iter().chain([until]).min(),
                Stage::Unread | Stage::Queued | Stage::Pausing(_) => motion.moving += 1,
            }
        }
        for idle in self.engines.values() {
            match idle.due {
                // It will have noticed in a moment.
                Some(due) if due <= now => motion.moving += 1,
                due => motion.due = motion.due.into_iter().chain(due).min(),
            }
            if idle.busy {
                motion.running = motion.running.max(1);
            }
        }
        // What was complete and not committed may have to be done again.
        let unowned = |(partition, done): (&TopicPartition, &BTreeSet<i64>)| {
            !done.is_empty() && !self.owners.contains_key(partition)
        };
        if !paused && self.done.iter().any(unowned) {
            motion.moving += 1;
        }
        motion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> TopicPartition {
        TopicPartition { topic: "accounts".into(), partition: 0 }
    }

    fn place(offset: i64) -> Place {
        (partition(), offset)
    }

    fn key(name: &'static str) -> Bytes {
        Bytes::from_static(name.as_bytes())
    }

    fn group_that_read(keys: &[&'static str]) -> GroupJournal {
        let mut group = GroupJournal::default();
        group.members.insert(1);
        group.assigned(1, &Assignment { partition: partition(), start: StartOffset::Beginning });
        for (offset, name) in (0..).zip(keys) {
            group.written(&partition(), offset, Some(key(name)));
            group.read(1, place(offset), Some(key(name)), Read::Queued);
        }
        group
    }

    #[test]
    fn an_event_that_begins_before_its_predecessor_is_complete_breaks_the_order() {
        let mut group = group_that_read(&["a", "b", "a"]);
        assert_eq!(group.started(1, &place(1), Some(&key("b")), false), None);
        let broken = group.started(1, &place(2), Some(&key("a")), false).unwrap();
        assert_eq!(broken, "accounts[0]@2 of the key a began while accounts[0]@0 of that key is not complete");
    }

    #[test]
    fn two_events_of_a_key_at_once_break_the_order_and_one_after_the_other_do_not() {
        let mut group = group_that_read(&["a", "a"]);
        assert_eq!(group.started(1, &place(0), Some(&key("a")), false), None);
        assert!(group.started(1, &place(1), Some(&key("a")), false).unwrap().ends_with("is running"));
        group.finished(1, place(0));
        assert_eq!(group.started(1, &place(1), Some(&key("a")), false), None);
    }

    #[test]
    fn what_waits_behind_a_pause_is_not_moving() {
        let mut group = group_that_read(&["a", "a", "b"]);
        group.pausing(1, &place(0), Duration::from_secs(5));
        assert_eq!(group.motion(Duration::ZERO, false).moving, 2);
        group.finished(1, place(2));
        assert!(group.idle(1, Idle { due: Some(Duration::from_secs(5)), busy: false }));
        assert!(!group.idle(1, Idle { due: Some(Duration::from_secs(5)), busy: false }));
        let motion = group.motion(Duration::ZERO, false);
        assert_eq!(motion, Motion { moving: 0, running: 0, due: Some(Duration::from_secs(5)) });
        assert!(group.motion(Duration::from_secs(5), false).moving > 0);
    }

    #[test]
    fn what_was_complete_and_not_committed_is_read_again_by_the_next_owner() {
        let mut group = group_that_read(&["a", "b", "c"]);
        (0..3).for_each(|offset| group.finished(1, place(offset)));
        group.released(1, &partition());
        assert_eq!(group.motion(Duration::ZERO, false).moving, 1);
        let metadata = CommitMetadata::encode(0, 1, &[(2, 3)], 4_096);
        let start = StartOffset::Committed { offset: 1, metadata };
        group.assigned(2, &Assignment { partition: partition(), start });
        assert_eq!(group.open.keys().collect::<Vec<_>>(), [&place(1)]);
        assert!(group.is_done(&place(0)) && group.is_done(&place(2)));
        // What the last owner still says is not heard.
        group.finished(1, place(1));
        assert_eq!(group.open.len(), 1);
    }
}
