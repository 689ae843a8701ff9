//! What others ask of a group's poll thread.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::transport::{TopicPartition, Wake};

/// Asked by anyone, done by the poll thread.
#[derive(Default)]
pub(crate) struct Commands {
    queue: Mutex<Vec<Command>>,
    pending: AtomicBool,
    wake: Mutex<Option<Wake>>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Command {
    Pause(Selection),
    Resume(Selection),
    /// Go on at this offset; the answer is whether the partition is assigned.
    Seek {
        partition: TopicPartition,
        offset: i64,
        done: oneshot::Sender<bool>,
    },
    /// Take over the limits of tenants as they are in the book now.
    ReloadTenantLimits,
    /// Look at what operators ask of parked keys, now.
    LookAtParked,
}

/// Some of a group's partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The topic; `None` for all.
    pub(crate) topic: Option<Arc<str>>,
    /// The partition; `None` for all of the topic.
    pub(crate) partition: Option<i32>,
}

impl Selection {
    pub(crate) fn contains(&self, partition: &TopicPartition) -> bool {
        self.topic.as_ref().is_none_or(|topic| *topic == partition.topic)
            && self.partition.is_none_or(|number| number == partition.partition)
    }
}

impl Commands {
    pub(crate) fn send(&self, command: Command) {
        self.queue.lock().push(command);
        self.pending.store(true, Ordering::Release);
        self.wake();
    }

    /// Wake the poll thread, if there is one.
    pub(crate) fn wake(&self) {
        let wake = self.wake.lock().clone();
        if let Some(wake) = wake {
            wake();
        }
    }

    /// Call `wake` from now on.
    pub(crate) fn wake_by(&self, wake: Wake) {
        *self.wake.lock() = Some(wake);
    }

    /// Whether everything that was asked has been taken note of.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        !self.pending.load(Ordering::Acquire)
    }

    pub(crate) fn take(&self) -> Vec<Command> {
        if !self.pending.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        mem::take(&mut *self.queue.lock())
    }
}

impl std::fmt::Debug for Commands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Commands").field("queue", &self.queue).finish_non_exhaustive()
    }
}
