//! Waiting, and moving the time: what a kit does while nothing stands still by itself.

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::journal::{Motion, State};
use super::member::Member;
use super::panics::{chain, fail};
use super::time::tokio_is_paused;
use super::watcher::Watched;
use super::{EventRef, Published, TestKit};
use crate::clock::Clock as _;

/// How often things are looked at that tell nobody.
const LOOK: Duration = Duration::from_millis(10);

/// How often time may be moved to what comes next, before something is taken to go on for ever.
const JUMPS: usize = 10_000;

/// Turns of an engine, after which it has surely seen what changed before: one may be under way, one sees it, one follows.
const TURNS: u64 = 3;

impl TestKit {
    /// Let what can happen now happen: records are read, handlers run, commits end. Time stands still. Handlers that wait for
    /// something are waited for only for a [moment](super::TestOptions::settle).
    ///
    /// # Panics
    /// Something is under way and makes no progress, or a consumer stopped by itself.
    #[track_caller]
    pub fn settle(&self) -> impl Future<Output = ()> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move { kit.settled(caller).await }
    }

    pub(super) async fn settled(&self, caller: &Location<'_>) {
        let mut changes = self.inner.journal.subscribe();
        let mut quiet_since = Instant::now();
        loop {
            changes.borrow_and_update();
            let motion = self.look(caller, |_| ()).0;
            let is_still =
                motion.moving == 0 && (motion.running == 0 || quiet_since.elapsed() >= self.inner.options.settle);
            if is_still {
                break;
            }
            if tokio::time::timeout(LOOK, changes.changed()).await.is_ok() {
                quiet_since = Instant::now();
            } else {
                self.check_patience(caller, quiet_since, "what is under way to end");
                self.flow(motion);
            }
        }
        let engines = self.engines();
        self.turned(&engines).await;
        self.commits_ended(caller, &engines).await;
    }

    /// Move the time of services and publishers on, to each pause's and each timeout's end on the way, and let happen what it
    /// brings: retries, timeouts, commits.
    ///
    /// # Panics
    /// As [`settle`](Self::settle).
    #[track_caller]
    pub fn advance(&self, duration: Duration) -> impl Future<Output = ()> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            let target = kit.inner.clock.monotonic().saturating_add(duration);
            loop {
                kit.settled(caller).await;
                let now = kit.inner.clock.monotonic();
                let due = kit.look(caller, |_| ()).0.due;
                let due = due.into_iter().chain(kit.inner.clock.next_due()).filter(|due| *due > now).min();
                let next = due.unwrap_or(target).min(target);
                kit.move_by(next.saturating_sub(now)).await;
                if next == target {
                    break;
                }
            }
            kit.settled(caller).await;
        }
    }

    /// Wait until `found` finds something; time moves on to what comes next when nothing else can happen.
    pub(super) async fn wait<T>(
        &self,
        caller: &Location<'_>,
        what: &str,
        mut found: impl FnMut(&mut State) -> Option<T>,
    ) -> T {
        let mut changes = self.inner.journal.subscribe();
        let mut quiet_since = Instant::now();
        let mut jumps = 0;
        let mut looked_again = false;
        loop {
            changes.borrow_and_update();
            let (motion, result) = self.look(caller, &mut found);
            if let Some(result) = result {
                return result;
            }
            if motion.moving == 0 && motion.running == 0 {
                match motion.due {
                    Some(due) if jumps < JUMPS => {
                        jumps += 1;
                        self.move_by(due.saturating_sub(self.inner.clock.monotonic())).await;
                        quiet_since = Instant::now();
                        continue;
                    }
                    Some(_) => self.give_up(caller, what, "it is tried again and again"),
                    // Whatever an engine had still to say, it has said after this.
                    None if !looked_again => {
                        looked_again = true;
                        self.turned(&self.engines()).await;
                        continue;
                    }
                    None => self.give_up(caller, what, "nothing more is going to happen"),
                }
            }
            looked_again = false;
            if tokio::time::timeout(LOOK, changes.changed()).await.is_ok() {
                quiet_since = Instant::now();
            } else {
                self.check_patience(caller, quiet_since, what);
                self.flow(motion);
            }
        }
    }

    /// Wait until an event is on its topic that somebody else writes there: a handler, or a relay, in their own time.
    ///
    /// # Panics
    /// It does not arrive, or is not the only one that is meant.
    #[track_caller]
    pub fn until_published(&self, event: &(impl EventRef + ?Sized)) -> impl Future<Output = Published> {
        let (kit, caller, target) = (self.clone(), Location::caller(), event.target(self.codec()));
        async move {
            let mut changes = kit.inner.journal.subscribe();
            let started = Instant::now();
            loop {
                changes.borrow_and_update();
                let found = kit.look(caller, |state| {
                    let id = state.find(&target).ok()?;
                    let place = state.places_of(&id).pop()?;
                    Some(Published::at(Uuid::parse_str(&id).ok()?, place))
                });
                if let Some(published) = found.1 {
                    return published;
                }
                if started.elapsed() >= kit.inner.options.patience_or_default() {
                    kit.id_of(&target, caller);
                    fail(caller, "the event has an id that tidings did not give it");
                }
                // Nothing else need happen meanwhile.
                let _ = tokio::time::timeout(LOOK, changes.changed()).await;
            }
        }
    }

    /// Wait until every partition of the topics that are read has an owner, and no member of a group has two more than another.
    ///
    /// # Panics
    /// It does not come to that.
    #[track_caller]
    pub fn rebalanced(&self) -> impl Future<Output = ()> {
        let (kit, caller) = (self.clone(), Location::caller());
        async move {
            let mut changes = kit.inner.journal.subscribe();
            let mut quiet_since = Instant::now();
            loop {
                changes.borrow_and_update();
                let partitions = kit.inner.options.partitions as usize;
                let (_, balanced) = kit.look(caller, |state| {
                    let mut groups = state.groups.values().filter(|group| !group.members.is_empty());
                    groups.all(|group| group.is_balanced(partitions))
                });
                if balanced {
                    return kit.turned(&kit.engines()).await;
                }
                if tokio::time::timeout(LOOK, changes.changed()).await.is_ok() {
                    quiet_since = Instant::now();
                } else {
                    kit.check_patience(caller, quiet_since, "the partitions to be spread over the members");
                    kit.move_by(LOOK).await;
                }
            }
        }
    }

    /// Wait until `member` has ended. Time moves on, faster and faster, for what it waits for. Not so on real brokers, unless it
    /// waits for handlers: they answer its last commit in their own time, and in the middle of a rebalance refuse it for a while.
    pub(super) async fn ended(&self, member: &Member, caller: &Location<'_>) {
        let mut changes = self.inner.journal.subscribe();
        let started = Instant::now();
        let mut step = LOOK;
        loop {
            changes.borrow_and_update();
            let (engines, stopped, runs) = {
                let mut state = self.inner.journal.lock();
                let runs = state.runs(member.number());
                let journal = state.members.entry(member.number()).or_default();
                (journal.engines, journal.stopped.pop_front(), runs)
            };
            if let Some(error) = stopped {
                fail(caller, format_args!("member {}: {}", member.number(), chain(&error)));
            }
            if engines == 0 {
                return;
            }
            if tokio::time::timeout(LOOK, changes.changed()).await.is_err() {
                self.check_patience(caller, started, &format!("member {} to end", member.number()));
                // Until then handlers that end by themselves are given the chance to.
                if started.elapsed() >= self.inner.options.settle {
                    self.move_by(step).await;
                    let hurries = runs || self.is_in_memory();
                    step = if hurries { step.saturating_mul(2).min(Duration::from_secs(10)) } else { LOOK };
                }
            }
        }
    }

    /// What is under way; and what `look` finds. Fails the test when a consumer has stopped that was not told to.
    fn look<T>(&self, caller: &Location<'_>, look: impl FnOnce(&mut State) -> T) -> (Motion, T) {
        let mut state = self.inner.journal.lock();
        for (number, member) in &mut state.members {
            if member.dismissed {
                continue;
            }
            if let Some(error) = member.stopped.pop_front() {
                let message = format!(
                    "member {number} stopped by itself: {}; a test that expects that awaits `member.stopped()`",
                    chain(&error)
                );
                drop(state);
                fail(caller, message);
            }
        }
        let found = look(&mut state);
        (state.motion(self.inner.clock.monotonic(), self.inner.faults.is_paused()), found)
    }

    /// Time goes on as it really does while members are busy with one another.
    fn flow(&self, motion: Motion) {
        if motion.moving > 0 {
            self.inner.clock.advance(LOOK);
            self.ring();
        }
    }

    async fn move_by(&self, duration: Duration) {
        self.inner.clock.advance(duration);
        if self.is_in_memory() && tokio_is_paused() {
            tokio::time::advance(duration).await;
        }
        self.turned(&self.engines()).await;
    }

    fn engines(&self) -> Vec<Arc<Watched>> {
        let mut members = self.inner.members.lock();
        members.retain(|member| !member.has_ended());
        members.iter().flat_map(|member| member.process.engines.iter().cloned()).collect()
    }

    pub(super) fn ring(&self) {
        self.engines().iter().for_each(|engine| engine.wake());
    }

    /// Wait until each engine has looked around with what is known now.
    pub(super) async fn turned(&self, engines: &[Arc<Watched>]) {
        let started = Instant::now();
        let aims: Vec<_> = engines.iter().map(|engine| engine.turns.load(Ordering::Acquire) + TURNS).collect();
        let lags = |(engine, aim): &(&Arc<Watched>, &u64)| {
            !engine.ended.load(Ordering::Acquire) && engine.turns.load(Ordering::Acquire) < **aim
        };
        // An engine that a handler keeps busy is not waited for.
        while started.elapsed() < self.inner.options.patience_or_default() {
            let lagging: Vec<_> = engines.iter().zip(&aims).filter(lags).map(|(engine, _)| engine).collect();
            if lagging.is_empty() {
                return;
            }
            for engine in lagging {
                engine.wake();
            }
            if self.is_in_memory() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    async fn commits_ended(&self, caller: &Location<'_>, engines: &[Arc<Watched>]) {
        let started = Instant::now();
        let busy = |engine: &Arc<Watched>| {
            !engine.ended.load(Ordering::Acquire) && engine.commits_under_way.load(Ordering::Acquire) > 0
        };
        while !self.inner.faults.is_paused() && engines.iter().any(busy) {
            self.check_patience(caller, started, "commits to be answered");
            self.turned(engines).await;
        }
    }

    fn check_patience(&self, caller: &Location<'_>, since: Instant, what: &str) {
        let patience = self.inner.options.patience_or_default();
        if since.elapsed() >= patience {
            let why = format!("nothing has happened for {patience:?} of real time");
            self.give_up(caller, what, &why);
        }
    }

    fn give_up(&self, caller: &Location<'_>, what: &str, why: &str) -> ! {
        let open = self.inner.journal.lock().describe_open();
        fail(caller, format_args!("waited in vain for {what}: {why}{open}"))
    }
}
