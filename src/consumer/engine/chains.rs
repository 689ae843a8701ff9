//! Handing events to tasks, several of a key at a time, and more than there are places: a task that ends leaves its place to one
//! that waits, without this thread in between.
//!
//! Only where a place is all that an event waits for. Handlers with limits or batches, tenants and watched engines have their
//! attempts begun by this thread alone; so have all while a breaker is open.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Abortable, BoxFuture};

use super::run::Step;
use super::{Engine, Parts, RouteState};
use crate::consumer::chain::{Alarm, Begun, Chain, ChainParts, First, LastTurn, Link, Recall};
use crate::consumer::completions::{Duty, Report, RouteId};
use crate::consumer::key::{KeyId, KeyState, Task, Work, WorkRoute};
use crate::consumer::places::{Place, Places};
use crate::consumer::plan::GroupPlan;
use crate::outcome::Outcome;
use crate::transport::ConsumerTransport;

/// The events that are handed to a task behind the first one, at most.
const LINKS: usize = 128;

/// The same while other keys wait: they are handled if they do not take long.
const LINKS_IN_A_CROWD: usize = 32;

/// Tasks that are handed to the runtime together: waking its threads costs more than a task.
const BURST: usize = 32;

/// A task that nobody runs yet.
#[expect(clippy::large_enum_variant, reason = "most are chains: an allocation for each would cost more than the room")]
pub(super) enum Formed {
    Chain(Chain),
    /// What is done for one event: a dead letter, a write to the parked store. Cancelled by its handle.
    Alone(Abortable<BoxFuture<'static, ()>>),
}

impl Formed {
    async fn run(self) {
        match self {
            Self::Chain(chain) => chain.run().await,
            // One that is cancelled reports that it vanished.
            Self::Alone(task) => drop(task.await),
        }
    }
}

/// What is known of chains.
pub(super) struct Chains {
    parts: Arc<ChainParts>,
    /// Whether any may be formed in this group.
    allowed: bool,
    /// Whether they may be formed now.
    open: bool,
    /// Tasks on their way to the runtime.
    burst: Vec<Formed>,
    /// Whether this thread waits for a place, as tasks do.
    claimed: bool,
}

impl Chains {
    pub(super) fn new(parts: &Parts, places: &Places, now: Duration) -> Self {
        let limited = |plan: &GroupPlan| {
            plan.routes().any(|route| {
                route.info.batch.is_some() || route.limits.concurrency.is_some() || route.limits.rate.is_some()
            })
        };
        let shared = ChainParts {
            plan: Arc::clone(&parts.plan),
            clock: Arc::clone(&parts.clock),
            places: Arc::clone(places.shared()),
            crowded: AtomicBool::new(false),
            last_turn: LastTurn::new(now, parts.options.session_timeout()),
        };
        let allowed = parts.observer.is_none() && parts.tenants.is_none() && !limited(&parts.plan);
        Self { parts: Arc::new(shared), allowed, open: allowed, burst: Vec::new(), claimed: false }
    }

    fn is_crowded(&self) -> bool {
        self.parts.crowded.load(Ordering::Relaxed)
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// Let tasks stop whose partitions may start nothing now, and all of them while a handler's gate holds events back.
    pub(super) fn stop_chains(&mut self) {
        if !self.chains.allowed {
            return self.chains.parts.last_turn.note(self.now);
        }
        let open = self.routes.iter().flatten().all(|RouteState { gate, .. }| gate.is_idle());
        let closes = mem::replace(&mut self.chains.open, open) && !open;
        for partition in self.partitions.iter_mut().flatten() {
            let stops = !partition.is_open();
            if closes || (stops && !partition.stopped) {
                partition.stop_tasks();
            }
            partition.stopped = stops;
        }
        // Not before: whoever finds this fresh has found what it was told, too.
        self.chains.parts.last_turn.note(self.now);
    }

    /// Whether what `key` waits for is only a place.
    pub(super) fn can_stage(&mut self, slot: usize, key: &KeyId) -> bool {
        let Some(partition) = self.partitions[slot].as_mut().filter(|_| self.chains.open) else { return false };
        let is_parked = partition.parked(key).is_some();
        let first = partition.keys.get(key).and_then(|queue| queue.waiting.front());
        !is_parked && first.is_some_and(|work| chained_route(work).is_some())
    }

    /// Hand the first event of `key` to a task that waits for a place.
    pub(super) fn stage(&mut self, slot: usize, key: &KeyId) {
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let plan = partition.plan;
        let Some(queue) = partition.keys.get_mut(key) else { return };
        let Some(index) = queue.waiting.front().and_then(chained_route) else { return };
        let Some(mut work) = queue.waiting.pop_front() else { return };
        let link = self.link(&mut work, (plan, index));
        let first = First::Waiting(link, self.places.shared().wait());
        let _ = self.hand_over(slot, key, work, first, (plan, index));
    }

    /// Hand `work` to a task that has its place.
    pub(super) fn begin_beside(
        &mut self,
        slot: usize,
        key: &KeyId,
        mut work: Work,
        route: RouteId,
        place: Place,
    ) -> Step {
        let link = self.link(&mut work, route);
        self.hand_over(slot, key, work, First::Placed(link, place), route)
    }

    /// Hand an attempt that has begun here to a task that ends it.
    pub(super) fn go_on_beside(
        &mut self,
        slot: usize,
        key: &KeyId,
        work: Work,
        route: RouteId,
        begun: Begun,
        place: Place,
    ) -> Step {
        let alarm = Alarm::after(begun.limit(), &*self.parts.clock);
        self.hand_over(slot, key, work, First::Begun(begun, alarm, place), route)
    }

    fn link(&mut self, work: &mut Work, route: RouteId) -> Link {
        let bound = &self.parts.plan.topics[route.0].routes[route.1];
        work.begin_attempt(bound, self.now);
        Link { delivery: work.delivery.clone(), route, measured: self.observed.measure(&self.parts, route) }
    }

    fn hand_over(&mut self, slot: usize, key: &KeyId, mut work: Work, first: First, route: RouteId) -> Step {
        let recall = Arc::<Recall>::default();
        recall.set_begun(matches!(first, First::Begun(..)));
        let links = self.links_behind(slot, key, &work);
        let run = self.observe_run(slot, &work, Some(Arc::clone(&recall)));
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        let key = key.clone();
        let mut duty = Duty::new(&self.completions, slot, partition.epoch, key.clone());
        duty.set_route(route);
        let tenants_place = work.place.take();
        partition.running += 1;
        let task = Task::Chain(Arc::clone(&recall));
        partition.keys.entry(key).or_default().state = KeyState::Running { work, task, run };
        let parts = Arc::clone(&self.chains.parts);
        self.form(Formed::Chain(Chain { parts, duty, recall, first, links, tenants_place }));
        Step::Held
    }

    /// Have `task` run, together with the others of this turn.
    pub(super) fn form(&mut self, task: Formed) {
        self.chains.burst.push(task);
        if self.chains.burst.len() >= BURST {
            self.launch_tasks();
        }
    }

    /// What waits behind `first`, to be handled behind it at once.
    fn links_behind(&mut self, slot: usize, key: &KeyId, first: &Work) -> VecDeque<Link> {
        let mut links = VecDeque::new();
        let Some(partition) = self.partitions[slot].as_mut() else { return links };
        let may = self.chains.open && partition.is_open();
        if !may || first.parked || partition.parked(key).is_some() {
            return links;
        }
        let most = if self.chains.is_crowded() { LINKS_IN_A_CROWD } else { LINKS };
        let plan = partition.plan;
        let Some(queue) = partition.keys.get_mut(key) else { return links };
        for work in queue.waiting.iter_mut().take(most) {
            let Some(index) = chained_route(work) else { break };
            let (route, bound) = ((plan, index), &self.parts.plan.topics[plan].routes[index]);
            work.delivery.begin_attempt(bound.handler, work.attempts + 1, bound.order);
            let measured = self.observed.measure(&self.parts, route);
            links.push_back(Link { delivery: work.delivery.clone(), route, measured });
        }
        links
    }

    /// Hand the tasks that were formed to the runtime.
    pub(super) fn launch_tasks(&mut self) {
        let mut burst = mem::take(&mut self.chains.burst);
        if burst.len() > 1 {
            // From within the runtime, where it wakes only threads it needs.
            self.parts.runtime.spawn(async move {
                for task in burst {
                    tokio::spawn(task.run());
                }
            });
        } else if let Some(task) = burst.pop() {
            self.parts.runtime.spawn(task.run());
            self.chains.burst = burst;
        }
    }

    /// Wait for a place for what only this thread can begin, behind the tasks that wait.
    pub(super) fn claim_place(&mut self) {
        if !mem::replace(&mut self.chains.claimed, true) {
            let (waiter, completions) = (self.places.shared().wait(), Arc::clone(&self.completions));
            self.parts.runtime.spawn(async move { completions.push(Report::Place(waiter.place().await)) });
        }
    }

    /// Here is the place, for a key that has waited for this thread.
    pub(super) fn settle_claim(&mut self, place: Place) {
        self.chains.claimed = false;
        self.places.keep(place);
        let count = self.partitions.len();
        let first = self.rotation;
        for slot in (0..count).map(|step| (first + step) % count) {
            let Some(key) = self.first_ready(slot).cloned() else { continue };
            if !self.can_stage(slot, &key) {
                self.take_ready(slot);
                return self.run_waiting(slot, key);
            }
        }
    }

    /// Remember whether keys wait without a task: then nobody goes on by itself.
    pub(super) fn note_crowd(&mut self) {
        let mut open = self.partitions.iter().flatten().filter(|partition| partition.is_open());
        let crowded = open.any(|partition| !partition.ready.is_empty());
        self.chains.parts.crowded.store(crowded, Ordering::Relaxed);
    }

    /// The event that `key` was at is done, and its task has gone on to the next one.
    pub(super) fn settle_link(&mut self, slot: usize, key: &KeyId, work: Work, task: Task, run: usize) {
        let _ = self.settle(slot, key, work, Outcome::Done);
        let now = self.now;
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        let plan = partition.plan;
        let Some(queue) = partition.keys.get_mut(key) else { return };
        // The task has what waited first, and nobody else takes from there while it runs.
        let Some(mut next) = queue.waiting.pop_front() else { return };
        next.attempts += 1;
        next.first_attempt.get_or_insert(now);
        let route = chained_route(&next).map(|index| &self.parts.plan.topics[plan].routes[index]);
        self.observed.run_goes_on(run, next.record(), route, now);
        queue.state = KeyState::Running { work: next, task, run };
    }

    /// What `key` was to do was taken back before it began.
    pub(super) fn settle_not_begun(&mut self, slot: usize, key: KeyId, mut work: Work) {
        work.take_attempt_back();
        let Some(partition) = self.partitions[slot].as_mut() else { return };
        partition.keys.entry(key.clone()).or_default().waiting.push_front(work);
        if !partition.draining {
            self.go_on(slot, key);
        }
    }
}

/// The route of an event that can begin without this thread.
fn chained_route(work: &Work) -> Option<usize> {
    match work.route {
        WorkRoute::Route(index) if work.failure.is_none() && !work.parked => Some(index),
        _ => None,
    }
}
