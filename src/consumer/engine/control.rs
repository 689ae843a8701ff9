//! What others ask for while the engine runs: pause, resume, seek.

use super::Engine;
use crate::consumer::commands::Command;
use crate::consumer::offsets::OffsetTracker;
use crate::consumer::partition::Partition;
use crate::transport::{Assignment, ConsumerTransport, StartOffset, TopicPartition};

impl<T: ConsumerTransport> Engine<T> {
    /// Do what was asked for.
    pub(super) fn obey(&mut self) -> bool {
        let commands = self.parts.commands.take();
        let busy = !commands.is_empty();
        for command in commands {
            match command {
                Command::Pause(selection) => {
                    self.parts.pauses.lock().pause(selection);
                    self.apply_pauses();
                }
                Command::Resume(selection) => {
                    self.parts.pauses.lock().resume(selection);
                    self.apply_pauses();
                }
                Command::Seek { partition, offset, done } => {
                    let assigned = self.seek(&partition, offset);
                    // Nobody may wait for the answer.
                    let _ = done.send(assigned);
                }
                Command::ReloadTenantLimits => self.reload_tenant_limits(),
                Command::LookAtParked => self.look_at_parked_now(),
            }
        }
        busy
    }

    /// Mark the partitions that are paused.
    pub(super) fn apply_pauses(&mut self) {
        {
            let pauses = self.parts.pauses.lock();
            for partition in self.partitions.iter_mut().flatten() {
                partition.paused = pauses.hold(&partition.name);
            }
        }
        self.clear_gates();
    }

    /// Read a partition from `offset` on. What of it is held is thrown away, and what runs is cancelled.
    fn seek(&mut self, name: &TopicPartition, offset: i64) -> bool {
        let Some(slot) = self.slots.get(name).copied().filter(|_| self.stopping.is_none()) else { return false };
        let Some(old) = self.partitions[slot].take_if(|partition| !partition.draining) else { return false };
        tracing::info!(group = &*self.parts.plan.group, partition = %name, offset, "a partition is read from another offset");
        old.abort();
        self.abort_batches(slot, old.epoch);
        self.leave_behind(&old);
        self.buffered_bytes -= old.buffered_bytes;
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let mut partition = Partition::new(name.clone(), old.plan, epoch, OffsetTracker::restored(offset, []));
        // Committed at once: a crash must not undo what was asked for.
        partition.changed = true;
        partition.doubtful = old.doubtful;
        partition.succeeding = self.is_succeeding(name);
        self.uncommitted += 1;
        self.partitions[slot] = Some(partition);
        self.apply_pauses();
        self.load_parked(slot);
        if let Some(observer) = &self.parts.observer {
            observer.released(name);
            let start = StartOffset::Committed { offset, metadata: String::new() };
            observer.assigned(&[Assignment { partition: name.clone(), start }]);
        }
        if let Err(error) = self.transport.seek(name, offset) {
            self.stop(Err(error.into()));
        }
        true
    }
}
