//! A consumer group: who its members are, and which partitions are whose.
//!
//! Partitions are spread as Kafka's cooperative-sticky assignor does it: evenly, moving as few as possible; one that moves is
//! handed over only after its owner gave it back; a member that owes an answer gets nothing new.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::transport::{Assignment, CommitOffset, GroupEvent, StartOffset, TopicPartition};

/// A consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) committed: BTreeMap<TopicPartition, CommitOffset>,
    members: BTreeMap<u64, Membership>,
    joined: u64,
}

#[derive(Debug, Default)]
struct Membership {
    topics: Vec<Arc<str>>,
    /// What it has, and has not been asked for.
    kept: BTreeSet<TopicPartition>,
    /// What it has been asked for, and has not given back.
    returning: BTreeSet<TopicPartition>,
    /// Events that it must answer by giving partitions back.
    unanswered: usize,
    events: VecDeque<GroupEvent>,
}

impl Membership {
    fn reads(&self, partition: &TopicPartition) -> bool {
        self.topics.contains(&partition.topic)
    }
}

impl Group {
    /// A new member, without topics; what it is called.
    pub(super) fn join(&mut self) -> u64 {
        self.joined += 1;
        self.members.insert(self.joined, Membership::default());
        self.joined
    }

    pub(super) fn subscribe(&mut self, member: u64, topics: &[Arc<str>]) {
        if let Some(member) = self.members.get_mut(&member) {
            member.topics = topics.to_vec();
        }
    }

    /// What it had is nobody's now.
    pub(super) fn leave(&mut self, member: u64) {
        self.members.remove(&member);
    }

    pub(super) fn next_event(&mut self, member: u64) -> Option<GroupEvent> {
        self.members.get_mut(&member)?.events.pop_front()
    }

    /// Whether `member` may commit `partition`.
    pub(super) fn owns(&self, member: u64, partition: &TopicPartition) -> bool {
        self.members
            .get(&member)
            .is_some_and(|member| member.kept.contains(partition) || member.returning.contains(partition))
    }

    /// `member` answers: it has given `partitions` back.
    pub(super) fn give_back(&mut self, member: u64, partitions: &[TopicPartition]) {
        let Some(member) = self.members.get_mut(&member) else { return };
        member.unanswered = member.unanswered.saturating_sub(1);
        for partition in partitions {
            member.kept.remove(partition);
            member.returning.remove(partition);
        }
    }

    /// Take everything from `member` without asking, as when its session timed out.
    pub(super) fn lose(&mut self, member: u64) {
        let Some(member) = self.members.get_mut(&member) else { return };
        let mut lost = std::mem::take(&mut member.kept);
        lost.append(&mut member.returning);
        if !lost.is_empty() {
            member.unanswered += 1;
            member.events.push_back(GroupEvent::Lost(lost.into_iter().collect()));
        }
    }

    /// Hand out what is nobody's, and ask for what is to move. `partitions` are all there are.
    pub(super) fn rebalance(&mut self, partitions: &[TopicPartition]) {
        let owned: BTreeSet<_> =
            self.members.values().flat_map(|member| member.kept.iter().chain(&member.returning)).cloned().collect();
        let mut assigned: BTreeMap<u64, Vec<Assignment>> = BTreeMap::new();
        for partition in partitions.iter().filter(|partition| !owned.contains(*partition)) {
            let free = self.members.iter_mut().filter(|(_, member)| member.reads(partition) && member.unanswered == 0);
            if let Some((id, member)) = free.min_by_key(|(_, member)| member.kept.len()) {
                member.kept.insert(partition.clone());
                let assignment = Assignment { partition: partition.clone(), start: StartOffset::Beginning };
                assigned.entry(*id).or_default().push(assignment);
            }
        }
        for (id, assignments) in assigned {
            if let Some(member) = self.members.get_mut(&id) {
                member.events.push_back(GroupEvent::Assigned(assignments));
            }
        }
        self.revoke_surplus();
    }

    fn revoke_surplus(&mut self) {
        let mut loads: BTreeMap<u64, usize> =
            self.members.iter().map(|(id, member)| (*id, member.kept.len())).collect();
        // What is on its way back will go to those who have least.
        let returning: Vec<_> = self.members.values().flat_map(|member| member.returning.iter().cloned()).collect();
        for partition in returning {
            let readers = loads.iter_mut().filter(|(id, _)| self.members[id].reads(&partition));
            if let Some((_, load)) = readers.min_by_key(|(_, load)| **load) {
                *load += 1;
            }
        }
        let mut revoked: BTreeMap<u64, Vec<TopicPartition>> = BTreeMap::new();
        while let Some((from, to, partition)) = self.next_move(&loads) {
            if let Some(member) = self.members.get_mut(&from) {
                member.kept.remove(&partition);
                member.returning.insert(partition.clone());
            }
            revoked.entry(from).or_default().push(partition);
            *loads.entry(from).or_default() -= 1;
            *loads.entry(to).or_default() += 1;
        }
        for (id, partitions) in revoked {
            if let Some(member) = self.members.get_mut(&id) {
                member.unanswered += 1;
                member.events.push_back(GroupEvent::Revoked(partitions));
            }
        }
    }

    /// A partition that evens the loads out: whose it is, and who would have it.
    fn next_move(&self, loads: &BTreeMap<u64, usize>) -> Option<(u64, u64, TopicPartition)> {
        let mut fullest_first: Vec<_> = loads.iter().collect();
        fullest_first.sort_by_key(|(_, load)| std::cmp::Reverse(**load));
        for (from, load) in &fullest_first {
            for (to, other) in fullest_first.iter().rev() {
                if **load < **other + 2 {
                    break;
                }
                let movable = self.members[*from].kept.iter().rev().find(|kept| self.members[*to].reads(kept));
                if let Some(partition) = movable {
                    return Some((**from, **to, partition.clone()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(count: i32) -> Vec<TopicPartition> {
        (0..count).map(|partition| TopicPartition { topic: "accounts".into(), partition }).collect()
    }

    fn join(group: &mut Group, all: &[TopicPartition]) -> u64 {
        let member = group.join();
        group.subscribe(member, &["accounts".into()]);
        group.rebalance(all);
        member
    }

    fn assigned(group: &mut Group, member: u64) -> Vec<i32> {
        match group.next_event(member) {
            Some(GroupEvent::Assigned(assignments)) => {
                assignments.iter().map(|assignment| assignment.partition.partition).collect()
            }
            other => panic!("not handed anything: {other:?}"),
        }
    }

    fn revoked(group: &mut Group, member: u64) -> Vec<TopicPartition> {
        match group.next_event(member) {
            Some(GroupEvent::Revoked(partitions)) => partitions,
            other => panic!("asked for nothing: {other:?}"),
        }
    }

    #[test]
    fn a_new_member_gets_its_share_only_once_it_was_given_back() {
        let (all, mut group) = (partitions(5), Group::default());
        let first = join(&mut group, &all);
        assert_eq!(assigned(&mut group, first), [0, 1, 2, 3, 4]);
        let second = join(&mut group, &all);
        let moving = revoked(&mut group, first);
        assert_eq!((moving.len(), group.next_event(second).is_none()), (2, true));
        assert!(group.owns(first, &moving[0]));
        group.give_back(first, &moving);
        group.rebalance(&all);
        assert_eq!(assigned(&mut group, second), [3, 4]);
        assert!(group.next_event(first).is_none());
    }

    #[test]
    fn what_a_member_leaves_goes_to_the_others() {
        let (all, mut group) = (partitions(2), Group::default());
        let first = join(&mut group, &all);
        let second = join(&mut group, &all);
        group.leave(first);
        group.rebalance(&all);
        assert_eq!(assigned(&mut group, second), [0, 1]);
    }

    #[test]
    fn lost_partitions_are_anothers_at_once_and_the_loser_gets_nothing_before_it_noticed() {
        let (all, mut group) = (partitions(2), Group::default());
        let first = join(&mut group, &all);
        assigned(&mut group, first);
        group.lose(first);
        group.rebalance(&all);
        assert!(!group.owns(first, &all[0]));
        let Some(GroupEvent::Lost(lost)) = group.next_event(first) else { panic!("not told") };
        assert!(group.next_event(first).is_none());
        group.give_back(first, &lost);
        group.rebalance(&all);
        assert_eq!(assigned(&mut group, first), [0, 1]);
    }

    #[test]
    fn members_that_read_different_topics_share_nothing() {
        let mut all = partitions(2);
        all.push(TopicPartition { topic: "ranks".into(), partition: 0 });
        let mut group = Group::default();
        let first = join(&mut group, &all);
        let second = group.join();
        group.subscribe(second, &["ranks".into()]);
        group.rebalance(&all);
        assert_eq!(assigned(&mut group, first), [0, 1]);
        assert_eq!(assigned(&mut group, second), [0]);
    }
}
