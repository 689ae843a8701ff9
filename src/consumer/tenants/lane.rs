//! Keys that wait for the same thing, by tenant.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::consumer::gate::WaitingKey;
use crate::consumer::key::KeyId;

/// Where a tenant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TenantId(pub(super) usize);

/// What keys wait for: one lane a route, and one for records whose route is not known yet.
pub(crate) type LaneId = usize;

/// Whose turn it is, among the tenants that wait in one lane. Entries are mended when they come up: passes only grow.
#[derive(Debug, Default)]
pub(super) struct Lane {
    turns: BinaryHeap<Reverse<Turn>>,
    /// Orders those with the same pass by when they came.
    arrivals: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    pub(super) pass: u128,
    arrival: u64,
    pub(super) tenant: TenantId,
}

impl Lane {
    pub(super) fn list(&mut self, tenant: TenantId, pass: u128) {
        self.arrivals += 1;
        self.turns.push(Reverse(Turn { pass, arrival: self.arrivals, tenant }));
    }

    pub(super) fn first(&self) -> Option<Turn> {
        self.turns.peek().map(|Reverse(turn)| *turn)
    }

    pub(super) fn pop(&mut self) {
        self.turns.pop();
    }

    /// Strike those off that `keeps` is not true of.
    pub(super) fn retain(&mut self, keeps: impl Fn(TenantId) -> bool) {
        self.turns.retain(|Reverse(turn)| keeps(turn.tenant));
    }

    pub(super) fn clear(&mut self) {
        self.turns.clear();
    }
}

/// A tenant's keys that wait in one lane: in the order they came within a partition, partitions in turn.
#[derive(Debug)]
pub(super) struct TenantQueue {
    pub(super) lane: usize,
    /// Whether the lane has an entry for it.
    pub(super) listed: bool,
    keys: usize,
    /// None is empty.
    partitions: VecDeque<(usize, VecDeque<(u64, KeyId)>)>,
}

impl TenantQueue {
    pub(super) fn new(lane: usize) -> Self {
        Self { lane, listed: false, keys: 0, partitions: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.keys
    }

    pub(super) fn push(&mut self, WaitingKey { slot, epoch, key }: WaitingKey) {
        self.keys += 1;
        match self.partitions.iter_mut().find(|(other, _)| *other == slot) {
            Some((_, keys)) => keys.push_back((epoch, key)),
            None => self.partitions.push_back((slot, [(epoch, key)].into())),
        }
    }

    pub(super) fn first(&self) -> Option<WaitingKey> {
        let (slot, keys) = self.partitions.front()?;
        keys.front().map(|(epoch, key)| WaitingKey { slot: *slot, epoch: *epoch, key: key.clone() })
    }

    /// Take the first key away; the next one is of another partition, if there is one.
    pub(super) fn pop(&mut self) {
        if let Some((slot, mut keys)) = self.partitions.pop_front() {
            self.keys -= usize::from(keys.pop_front().is_some());
            if !keys.is_empty() {
                self.partitions.push_back((slot, keys));
            }
        }
    }

    /// Keep the keys that `keeps` is true of, in their order.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(usize, u64, &KeyId) -> bool) {
        self.partitions.retain_mut(|(slot, keys)| {
            keys.retain(|(epoch, key)| keeps(*slot, *epoch, key));
            !keys.is_empty()
        });
        self.keys = self.partitions.iter().map(|(_, keys)| keys.len()).sum();
    }

    /// Take the key away that came last to the partition that has most.
    pub(super) fn pop_newest(&mut self) -> Option<WaitingKey> {
        let most = (0..self.partitions.len()).max_by_key(|index| self.partitions[*index].1.len())?;
        let (slot, keys) = &mut self.partitions[most];
        let (slot, newest) = (*slot, keys.pop_back());
        if keys.is_empty() {
            self.partitions.remove(most);
        }
        let (epoch, key) = newest?;
        self.keys -= 1;
        Some(WaitingKey { slot, epoch, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_take_turns_and_keys_keep_the_order_they_came_in() {
        let mut queue = TenantQueue::new(0);
        for (slot, offset) in [(0, 1), (0, 2), (0, 3), (4, 1), (4, 2)] {
            queue.push(WaitingKey { slot, epoch: 7, key: KeyId::Alone(offset) });
        }
        let newest = queue.pop_newest().unwrap();
        assert_eq!((newest.slot, newest.key), (0, KeyId::Alone(3)));
        for offset in [8, 9] {
            queue.push(WaitingKey { slot: 2, epoch: 7, key: KeyId::Alone(offset) });
        }
        queue.retain(|slot, epoch, key| (slot, epoch) != (2, 7) && *key != KeyId::Alone(77));
        assert_eq!(queue.len(), 4);
        let mut order = Vec::new();
        while let Some(WaitingKey { slot, key: KeyId::Alone(offset), .. }) = queue.first() {
            queue.pop();
            order.push((slot, offset));
        }
        assert_eq!(order, [(0, 1), (4, 1), (0, 2), (4, 2)]);
        assert_eq!((queue.len(), queue.pop_newest()), (0, None));
    }
}
