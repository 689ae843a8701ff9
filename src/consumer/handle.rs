//! Watches, steers and stops a running consumer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::commands::{Command, Commands, Selection};
use super::health::{ConsumerHealth, HealthOptions};
use super::parked::{ParkError, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore};
use super::stats::{ConsumerStats, Counters};
use super::tenants::{TenantLimits, TenantParts, TenantStats, TenantsSetup};
use crate::clock::Clock;
use crate::transport::TopicPartition;

/// Watches, steers and stops a running consumer. A cheap handle.
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    shutdown: Arc<AtomicBool>,
    groups: Arc<[GroupControls]>,
    clock: Arc<dyn Clock>,
    health: HealthOptions,
}

/// What is shared with a group's poll thread.
#[derive(Debug)]
pub(crate) struct GroupControls {
    pub(crate) group: Arc<str>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) tenants: Option<TenantParts>,
    pub(crate) parked: Option<Arc<dyn ParkedStore>>,
}

/// A running consumer could not be steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The partition is not assigned here.
    #[error("{partition} is not assigned to this member of the group {group}; ask the member that has it")]
    NotAssigned {
        /// The group.
        group: String,
        /// The partition.
        partition: TopicPartition,
    },
    /// There is no such offset in any partition.
    #[error("{offset} is no offset: they begin at 0")]
    NoOffset {
        /// What was asked for.
        offset: i64,
    },
    /// The consumer has no such group.
    #[error("this consumer has no group {group}")]
    NoSuchGroup {
        /// The group.
        group: String,
    },
    /// The consumer has stopped.
    #[error("the consumer has stopped")]
    Stopped,
    /// Events belong to no tenants.
    #[error("nothing says whose an event is: say it with `.tenants(…)` when the consumer is built")]
    NoTenants,
    /// No key can be parked: no handler's policy parks keys.
    #[error(
        "nothing is parked here: no policy says `park_key`, no database and no store for parked events was given, and there is no topic of \
         parked events"
    )]
    NoParkedStore,
    /// The key is not parked.
    #[error("this key of {partition} is not parked in the group {group}")]
    NotParked {
        /// The group.
        group: String,
        /// The partition.
        partition: TopicPartition,
    },
    /// The store of parked events failed.
    #[error(transparent)]
    Park(#[from] ParkError),
}

impl GroupControls {
    fn store(&self) -> Result<&Arc<dyn ParkedStore>, ControlError> {
        self.parked.as_ref().ok_or(ControlError::NoParkedStore)
    }
}

impl ConsumerHandle {
    pub(crate) fn new(
        groups: impl Iterator<Item = (Arc<str>, Option<Arc<dyn ParkedStore>>)>,
        clock: Arc<dyn Clock>,
        health: HealthOptions,
        tenants: Option<&TenantsSetup>,
    ) -> Self {
        let controls = |(group, parked)| GroupControls {
            group,
            counters: Arc::default(),
            commands: Arc::default(),
            tenants: tenants.map(TenantsSetup::parts),
            parked,
        };
        Self { shutdown: Arc::default(), groups: groups.map(controls).collect(), clock, health }
    }

    pub(crate) fn groups(&self) -> &[GroupControls] {
        &self.groups
    }

    pub(crate) fn shutdown(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shutdown)
    }

    /// Begin an orderly stop: running handlers finish, and what they did is committed.
    pub fn shut_down(&self) {
        self.shutdown.store(true, Ordering::Release);
        self.groups.iter().for_each(|group| group.commands.wake());
    }

    /// Whether an orderly stop has begun.
    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdown.load(Ordering::Acquire)
    }

    /// How healthy the consumer is: whether its threads turn, and whether it gets on with its partitions; and if not, why.
    pub fn health(&self) -> ConsumerHealth {
        let now = self.clock.monotonic();
        let of_group = |group: &GroupControls| group.counters.pulse.health(&group.group, now, &self.health);
        ConsumerHealth::of(self.groups.iter().map(of_group).collect())
    }

    /// What a group's poll thread tells, for tests that play it.
    #[cfg(test)]
    #[cfg(feature = "http")]
    pub(crate) fn counters(&self, group: usize) -> Arc<Counters> {
        Arc::clone(&self.groups[group].counters)
    }

    /// What all groups have done.
    pub fn stats(&self) -> ConsumerStats {
        self.groups.iter().map(|group| group.counters.read()).fold(ConsumerStats::default(), std::ops::Add::add)
    }

    /// What each group has done.
    pub fn stats_by_group(&self) -> Vec<(Arc<str>, ConsumerStats)> {
        self.groups.iter().map(|group| (Arc::clone(&group.group), group.counters.read())).collect()
    }

    /// What each group has done for each of its tenants, and what waits, by group and tenant. Empty where events belong to none.
    pub fn tenants(&self) -> Vec<TenantStats> {
        let of_group = |group: &GroupControls| group.tenants.as_ref().map(|tenants| tenants.book.read(&group.group));
        self.groups.iter().filter_map(of_group).flatten().collect()
    }

    /// Change what tenants may use, in all groups. It applies at once: nothing stops or pauses, what runs goes on, and no event
    /// changes its place. Where a file of limits is watched too, whichever changed last applies.
    ///
    /// # Errors
    /// Events belong to no tenants.
    pub fn set_tenant_limits(&self, limits: TenantLimits) -> Result<(), ControlError> {
        if self.groups.iter().all(|group| group.tenants.is_none()) {
            return Err(ControlError::NoTenants);
        }
        self.apply_tenant_limits(&Arc::new(limits));
        Ok(())
    }

    pub(crate) fn apply_tenant_limits(&self, limits: &Arc<TenantLimits>) {
        for group in &*self.groups {
            if let Some(tenants) = &group.tenants {
                tenants.book.set_limits(Arc::clone(limits));
                group.commands.send(Command::ReloadTenantLimits);
            }
        }
    }

    /// Begin no new events of `topic`, of all its partitions or of one, in all groups; running handlers finish. What was fetched
    /// is kept, the partitions stay assigned, and those that are assigned later are paused too.
    ///
    /// Pauses and resumptions do not add up: the latest word about a partition counts.
    pub fn pause(&self, topic: &str, partition: Option<i32>) {
        self.all(|| Command::Pause(Selection { topic: Some(topic.into()), partition }));
    }

    /// Begin no new events at all; see [`pause`](Self::pause).
    pub fn pause_all(&self) {
        self.all(|| Command::Pause(Selection { topic: None, partition: None }));
    }

    /// Go on with `topic`, with all its partitions or with one, whatever was paused before: after [`pause_all`](Self::pause_all) this
    /// topic goes on and the others stay paused, and after a pause of the topic one partition may go on alone.
    pub fn resume(&self, topic: &str, partition: Option<i32>) {
        self.all(|| Command::Resume(Selection { topic: Some(topic.into()), partition }));
    }

    /// Go on with everything that is paused.
    pub fn resume_all(&self) {
        self.all(|| Command::Resume(Selection { topic: None, partition: None }));
    }

    fn all(&self, command: impl Fn() -> Command) {
        self.groups.iter().for_each(|group| group.commands.send(command()));
    }

    /// Read a partition of `group` from `offset` on, back or forward. Its running handlers are cancelled, what was fetched is
    /// thrown away, and `offset` is committed at once. Events behind it are handled again.
    ///
    /// The offset must be one that the partition has, or its end: another one stops the consumer, which neither skips nor repeats
    /// history by itself, until somebody resets the group's offset.
    ///
    /// # Errors
    /// The offset is below 0, the partition is not assigned to this member, or the consumer has stopped.
    pub async fn seek(&self, group: &str, topic: &str, partition: i32, offset: i64) -> Result<(), ControlError> {
        if offset < 0 {
            return Err(ControlError::NoOffset { offset });
        }
        let controls = self.controls(group)?;
        let partition = TopicPartition { topic: topic.into(), partition };
        let (done, answer) = oneshot::channel();
        controls.commands.send(Command::Seek { partition: partition.clone(), offset, done });
        match answer.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ControlError::NotAssigned { group: group.to_owned(), partition }),
            Err(_) => Err(ControlError::Stopped),
        }
    }

    /// The keys of `group` that are parked, wherever its partitions are assigned.
    ///
    /// # Errors
    /// Nothing can be parked here, or the store failed.
    pub async fn parked(&self, group: &str) -> Result<Vec<ParkedKey>, ControlError> {
        let controls = self.controls(group)?;
        Ok(controls.store()?.keys(Arc::clone(&controls.group), Vec::new()).await?)
    }

    /// The first `limit` parked events of a key, in their order.
    ///
    /// # Errors
    /// Nothing can be parked here, or the store failed.
    pub async fn parked_records(
        &self,
        group: &str,
        partition: TopicPartition,
        key: Bytes,
        limit: usize,
    ) -> Result<Vec<ParkedRecord>, ControlError> {
        let controls = self.controls(group)?;
        let id = ParkedKeyId { group: Arc::clone(&controls.group), partition, key };
        Ok(controls.store()?.records(id, limit).await?)
    }

    /// Ask for a parked key to be released, or its first event skipped, or all of it discarded. The member that has the partition
    /// does it, within a second or so.
    ///
    /// # Errors
    /// The key is not parked, nothing can be parked here, or the store failed.
    pub async fn unpark(
        &self,
        group: &str,
        partition: TopicPartition,
        key: Bytes,
        request: ParkRequest,
    ) -> Result<(), ControlError> {
        let controls = self.controls(group)?;
        let id = ParkedKeyId { group: Arc::clone(&controls.group), partition: partition.clone(), key };
        if !controls.store()?.request(id, Some(request)).await? {
            return Err(ControlError::NotParked { group: group.to_owned(), partition });
        }
        controls.commands.send(Command::LookAtParked);
        Ok(())
    }

    fn controls(&self, group: &str) -> Result<&GroupControls, ControlError> {
        let found = self.groups.iter().find(|controls| *controls.group == *group);
        found.ok_or_else(|| ControlError::NoSuchGroup { group: group.to_owned() })
    }
}
