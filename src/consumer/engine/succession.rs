//! Partitions whose tasks of before were cancelled, and may still be at it: a handler takes notice at its next await. Nothing of such a
//! partition begins anew until they have ended, so that no key has two handlers at once.

use std::time::Duration;

use super::Engine;
use crate::consumer::partition::Partition;
use crate::transport::{ConsumerTransport, TopicPartition};

/// Tasks of a partition that was given back or is read from elsewhere, under its epoch.
#[derive(Debug)]
pub(super) struct Leaving {
    name: TopicPartition,
    running: usize,
    /// Until when they are waited for.
    until: Duration,
}

impl<T: ConsumerTransport> Engine<T> {
    /// `partition` goes, and what runs of it was cancelled.
    pub(super) fn leave_behind(&mut self, partition: &Partition) {
        if partition.running > 0 {
            let until = self.now.saturating_add(self.parts.options.drain_timeout);
            let leaving = Leaving { name: partition.name.clone(), running: partition.running, until };
            self.leaving.insert(partition.epoch, leaving);
        }
    }

    /// Whether tasks of before are waited for.
    pub(super) fn is_succeeding(&self, name: &TopicPartition) -> bool {
        self.leaving.values().any(|leaving| leaving.name == *name)
    }

    /// So many tasks have ended whose partition is gone.
    pub(super) fn left(&mut self, epoch: u64, tasks: usize) {
        let Some(leaving) = self.leaving.get_mut(&epoch) else { return };
        leaving.running = leaving.running.saturating_sub(tasks);
        if leaving.running == 0 {
            self.forget_leaving(epoch);
        }
    }

    /// Wait no longer for those that take no notice.
    pub(super) fn wait_no_longer(&mut self) {
        let now = self.now;
        let late = |(epoch, leaving): (&u64, &Leaving)| (now >= leaving.until).then_some(*epoch);
        while let Some(epoch) = self.leaving.iter().find_map(late) {
            if let Some(Leaving { name, running, .. }) = self.leaving.get(&epoch) {
                tracing::warn!(
                    group = &*self.parts.plan.group,
                    partition = %name,
                    running,
                    "cancelled handlers go on past the drain timeout; their partition begins anew beside them"
                );
            }
            self.forget_leaving(epoch);
        }
    }

    fn forget_leaving(&mut self, epoch: u64) {
        let Some(Leaving { name, .. }) = self.leaving.remove(&epoch) else { return };
        if self.is_succeeding(&name) {
            return;
        }
        let slot = self.slots.get(&name).copied();
        if let Some(partition) = slot.and_then(|slot| self.partitions[slot].as_mut()) {
            partition.succeeding = false;
        }
    }
}
