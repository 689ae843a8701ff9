//! What others ask of a group's poll thread.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::handoff::Requests;
use crate::transport::TopicPartition;

/// Asked by anyone, done by the poll thread.
pub(crate) type Commands = Requests<Command>;

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

    /// Whether it has every partition that `other` has.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        (self.topic.is_none() || self.topic == other.topic)
            && (self.partition.is_none() || self.partition == other.partition)
    }
}
