//! A process of a consumer: a member of each of its groups.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use super::TestKit;
use super::kit::Inner;
use super::panics::fail;
use super::service::Process;
use crate::consumer::{ConsumerHandle, RunError};
use crate::transport::TopicPartition;

/// A process of a consumer: a member of each of its groups. A cheap handle; the process ends with the [`TestKit`].
#[derive(Clone)]
pub struct Member {
    kit: Weak<Inner>,
    pub(super) process: Arc<Process>,
}

impl Member {
    pub(super) fn new(kit: Weak<Inner>, process: Process) -> Self {
        Self { kit, process: Arc::new(process) }
    }

    fn kit(&self, caller: &Location<'_>) -> TestKit {
        match self.kit.upgrade() {
            Some(inner) => TestKit { inner },
            None => fail(caller, "the test kit of this member is gone: keep it until the test ends"),
        }
    }

    /// Its number, from 1 in each kit; [`HandlerAttempt::member`](super::HandlerAttempt) has it.
    pub fn number(&self) -> u64 {
        self.process.number
    }

    /// What production watches and steers a consumer with: numbers, pauses, seeking, parked keys. It names groups and topics as the
    /// broker does; in memory that is as the test does.
    pub fn handle(&self) -> ConsumerHandle {
        self.process.handle.clone()
    }

    /// The partitions it has now, of all its groups.
    ///
    /// # Panics
    /// The kit is gone.
    #[track_caller]
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let kit = self.kit(Location::caller());
        let state = kit.inner.journal.lock();
        let owned = state.groups.values().flat_map(|group| &group.owners);
        owned.filter(|(_, owner)| **owner == self.number()).map(|(partition, _)| partition.clone()).collect()
    }

    /// Start one more process of the same consumer.
    ///
    /// # Panics
    /// It cannot be started.
    #[track_caller]
    pub fn another(&self) -> Self {
        let caller = Location::caller();
        self.kit(caller).start_process(&self.process.service, caller)
    }

    /// Stop in order: handlers that run finish, or are cancelled when the drain timeout has passed (time moves on while they are
    /// waited for), what is complete is committed, and the other members get the partitions.
    ///
    /// # Panics
    /// It does not end, or it had stopped by itself.
    #[track_caller]
    pub fn leave(&self) -> impl Future<Output = ()> {
        let (caller, member) = (Location::caller(), self.clone());
        async move { member.leave_for(caller).await }
    }

    pub(super) async fn leave_for(&self, caller: &Location<'_>) {
        let kit = self.kit(caller);
        kit.inner.journal.dismissed(self.number());
        for engine in &self.process.engines {
            engine.shutdown.store(true, Ordering::Release);
            engine.wake();
        }
        kit.ended(self, caller).await;
    }

    /// Die, once handlers have completed what can be completed now and before any of that is committed: nothing is waited for and
    /// nothing is given back. Other members take over from the last commit.
    ///
    /// Commits are due when the commit interval has passed on the kit's clock, which [`advance`](TestKit::advance) moves.
    ///
    /// # Panics
    /// It does not end.
    #[track_caller]
    pub fn crash(&self) -> impl Future<Output = ()> {
        let (caller, member) = (Location::caller(), self.clone());
        async move {
            member.kit(caller).settled(caller).await;
            member.crash_for(caller).await;
        }
    }

    pub(super) async fn crash_for(&self, caller: &Location<'_>) {
        let kit = self.kit(caller);
        kit.inner.journal.dismissed(self.number());
        self.end();
        kit.ended(self, caller).await;
    }

    /// Lose all partitions without being asked, as when the session timed out: what runs is cancelled and nothing is committed.
    /// The partitions go to other members at once, and the member joins again.
    ///
    /// Brokers cannot be told to do that: there, the member behaves as if it had lost them, and a new process takes its place.
    ///
    /// # Panics
    /// It has none, or does not notice.
    #[track_caller]
    pub fn lose_partitions(&self) -> impl Future<Output = ()> {
        let (caller, member) = (Location::caller(), self.clone());
        async move {
            let kit = member.kit(caller);
            if member.partitions().is_empty() {
                fail(caller, format_args!("member {} has no partitions to lose", member.number()));
            }
            if kit.is_in_memory() {
                member.process.takers.iter().for_each(|take| take());
            } else {
                member.process.engines.iter().for_each(|engine| engine.lose.store(true, Ordering::Release));
            }
            kit.turned(&member.process.engines).await;
            if !kit.is_in_memory() {
                member.crash_for(caller).await;
                kit.start_process(&member.process.service, caller);
            }
        }
    }

    /// Wait until it stops by itself, such as by a policy that says so; why it did.
    ///
    /// # Panics
    /// It does not stop.
    #[track_caller]
    pub fn stopped(&self) -> impl Future<Output = RunError> {
        let (caller, member) = (Location::caller(), self.clone());
        async move {
            let kit = member.kit(caller);
            let number = member.number();
            kit.inner.journal.dismissed(number);
            let mut error = None;
            let what = format!("member {number} to stop by itself");
            kit.wait(caller, &what, |state| {
                error = error.take().or_else(|| state.members.get_mut(&number)?.stopped.pop_front());
                error.take()
            })
            .await
        }
    }

    /// End as a process that dies.
    pub(super) fn end(&self) {
        for engine in &self.process.engines {
            engine.crashed.store(true, Ordering::Release);
            engine.wake();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.process.engines.iter().all(|engine| engine.ended.load(Ordering::Acquire))
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Member").field("number", &self.number()).finish_non_exhaustive()
    }
}
