//! Starting events by whose turn it is, where they belong to tenants.
//!
//! Keys that can start come to their partition's `ready`, as they do without tenants. From there they go to the lane of their
//! next event's route, where the tenants take turns. Those of a partition that may not start anything go back to its `ready`.

use std::time::Duration;

use super::Engine;
use super::run::Step;
use crate::consumer::completions::RouteId;
use crate::consumer::gate::WaitingKey;
use crate::consumer::key::{KeyId, KeyState, Work, WorkRoute};
use crate::consumer::plan::GroupPlan;
use crate::consumer::tenants::{Held, LaneId, TenantId, TenantParts, Tenants};
use crate::transport::ConsumerTransport;

/// The lane of records whose route is not known yet.
const UNROUTED: LaneId = 0;

/// The tenants, and the lanes they wait in.
pub(super) struct Turns {
    tenants: Tenants,
    /// The route of each lane; `None` for the first.
    routes: Vec<Option<RouteId>>,
    /// Where the lanes of a plan's routes begin.
    first_lanes: Vec<LaneId>,
    /// Lanes that let nobody through at the moment.
    shut: Vec<bool>,
    /// Tenants that came to wait for a handler that bounds how many do.
    to_bound: Vec<(LaneId, TenantId)>,
}

impl Turns {
    pub(super) fn new(parts: TenantParts, plan: &GroupPlan) -> Self {
        let mut routes = vec![None];
        let mut first_lanes = Vec::with_capacity(plan.topics.len());
        for (index, topic) in plan.topics.iter().enumerate() {
            first_lanes.push(routes.len());
            routes.extend((0..topic.routes.len()).map(|route| Some((index, route))));
        }
        let (tenants, shut) = (Tenants::new(parts, routes.len()), vec![false; routes.len()]);
        Self { tenants, routes, first_lanes, shut, to_bound: Vec::new() }
    }
}

impl<T: ConsumerTransport> Engine<T> {
    /// Say whose `work` is, where that matters.
    pub(super) fn hold_for_tenant(&mut self, work: &mut Work) {
        if let Some(turns) = &mut self.turns {
            work.tenant = Some(turns.tenants.hold(&work.record().headers, self.now));
        }
    }

    /// Start keys, each when its tenant's turn has come and its handler's gate is open.
    pub(super) fn start_by_tenants(&mut self) {
        for slot in 0..self.partitions.len() {
            self.line_up(slot);
        }
        let Some(turns) = &mut self.turns else { return };
        turns.tenants.wake(self.now);
        turns.shut.fill(false);
        while self.places.has_one() {
            let Some(turns) = &mut self.turns else { return };
            let Some((lane, tenant)) = turns.tenants.next(self.now, &turns.shut) else { break };
            self.start_next(lane, tenant);
        }
        self.bound_waiting();
    }

    /// Start the first key that `tenant` has in `lane`, or find out why it cannot start.
    fn start_next(&mut self, lane: LaneId, tenant: TenantId) {
        let Some(turns) = &mut self.turns else { return };
        let Some(WaitingKey { slot, epoch, key }) = turns.tenants.first(lane, tenant) else { return };
        let route = turns.routes[lane];
        let Some(partition) = self.partition(slot, epoch).filter(|partition| partition.is_open()) else {
            // It has gone, or may not start anything for now.
            if let Some(turns) = &mut self.turns {
                turns.tenants.pop(lane, tenant);
            }
            return self.step_back(slot, epoch, key);
        };
        let next = partition.keys.get_mut(&key).filter(|queue| matches!(queue.state, KeyState::Ready));
        let has_next = next.is_some_and(|queue| !queue.waiting.is_empty());
        let passed = match route.filter(|_| has_next) {
            Some(route) if self.takes_batches(route) => {
                if self.is_full(route) && !self.launch_if_possible(route) {
                    return self.shut(lane);
                }
                None
            }
            Some(route) => {
                if !self.routes[route.0][route.1].gate.pass_again(self.now) {
                    return self.shut(lane);
                }
                Some(route)
            }
            None => None,
        };
        let now = self.now;
        if let Some(partition) = self.partition(slot, epoch) {
            partition.lined_up -= 1;
        }
        let Some(turns) = &mut self.turns else { return };
        turns.tenants.pop(lane, tenant);
        if !has_next {
            return;
        }
        let place = turns.tenants.begin(tenant, now);
        let queue = self.partition(slot, epoch).and_then(|partition| partition.keys.get_mut(&key));
        if let Some(mut work) = queue.and_then(|queue| queue.waiting.pop_front()) {
            work.place = Some(place);
            self.run(slot, key, work, passed);
        }
        // It goes on where it can, in its turn.
        self.line_up(slot);
    }

    /// `key` has left its lane, and waits until its partition may start something.
    fn step_back(&mut self, slot: usize, epoch: u64, key: KeyId) {
        if let Some(partition) = self.partition(slot, epoch) {
            partition.lined_up -= 1;
            partition.ready.push_back(key);
        }
    }

    /// Let keys wait for no turn whose partition has gone, or may start nothing for now.
    pub(super) fn clear_lanes(&mut self) {
        let (partitions, Some(turns)) = (&mut self.partitions, &mut self.turns) else { return };
        turns.tenants.retain(|slot, epoch, key| {
            let partition = partitions.get_mut(slot).and_then(Option::as_mut);
            let Some(partition) = partition.filter(|partition| partition.epoch == epoch) else { return false };
            let stays = partition.is_open();
            if !stays {
                partition.lined_up -= 1;
                partition.ready.push_back(key.clone());
            }
            stays
        });
    }

    fn shut(&mut self, lane: LaneId) {
        if let Some(turns) = &mut self.turns {
            turns.shut[lane] = true;
        }
    }

    /// Let the keys of a partition that can start wait for their tenants' turns.
    fn line_up(&mut self, slot: usize) {
        loop {
            let (Some(partition), Some(turns)) = (self.partitions[slot].as_mut(), self.turns.as_mut()) else { return };
            if partition.ready.is_empty() || !partition.is_open() {
                return;
            }
            let Some(key) = partition.ready.pop_front() else { return };
            let is_parked = partition.parked(&key).is_some();
            let (epoch, plan) = (partition.epoch, partition.plan);
            let Some(work) = partition.keys.get(&key).and_then(|queue| queue.waiting.front()) else {
                self.run_waiting(slot, key);
                continue;
            };
            // What is given up, or parked behind others, is no attempt.
            let attempted = work.failure.is_none() && (work.parked || !is_parked);
            let Some(tenant) = work.tenant.as_ref().filter(|_| attempted).map(Held::id) else {
                self.run_waiting(slot, key);
                continue;
            };
            let lane = match work.route {
                WorkRoute::Unrouted => UNROUTED,
                WorkRoute::Route(index) => turns.first_lanes[plan] + index,
            };
            turns.tenants.push(tenant, lane, WaitingKey { slot, epoch, key });
            partition.lined_up += 1;
            if let Some((plan, index)) = turns.routes[lane]
                && self.routes[plan][index].gate.max_waiting().is_some()
            {
                turns.to_bound.push((lane, tenant));
            }
        }
    }

    /// `work` has found its handler, and waits for its turn there.
    pub(super) fn wait_for_turn(&mut self, slot: usize, key: &KeyId, mut work: Work) -> Step {
        let Some(partition) = self.partitions[slot].as_mut() else { return Step::Held };
        work.delivery.detach();
        work.place = None;
        let key = key.clone();
        let queue = partition.keys.entry(key.clone()).or_default();
        queue.waiting.push_front(work);
        queue.state = KeyState::Ready;
        partition.ready.push_back(key);
        Step::Held
    }

    /// Whether `work` may go into a batch together with an event of its key.
    pub(super) fn tenant_allows(&mut self, work: &mut Work) -> bool {
        let (Some(turns), Some(tenant)) = (&mut self.turns, &work.tenant) else { return true };
        work.place = turns.tenants.begin_if_allowed(tenant.id(), self.now);
        work.place.is_some()
    }

    /// Reject what waits for a handler beyond its bound, which with tenants is each tenant's.
    fn bound_waiting(&mut self) {
        let Some(turns) = &mut self.turns else { return };
        for (lane, tenant) in std::mem::take(&mut turns.to_bound) {
            let Some(turns) = &mut self.turns else { return };
            let Some(route) = turns.routes[lane] else { continue };
            let Some(most) = self.routes[route.0][route.1].gate.max_waiting() else { continue };
            if !turns.shut[lane] && !turns.tenants.is_held_back(tenant) {
                // It waits for a place, as anybody does.
                continue;
            }
            while let Some(WaitingKey { slot, epoch, key }) =
                self.turns.as_mut().and_then(|turns| turns.tenants.pop_beyond(lane, tenant, most))
            {
                let Some(partition) = self.partition(slot, epoch).filter(|partition| partition.is_open()) else {
                    self.step_back(slot, epoch, key);
                    continue;
                };
                partition.lined_up -= 1;
                let work = partition.keys.get_mut(&key).and_then(|queue| queue.waiting.pop_front());
                if let Some(work) = work
                    && self.reject(slot, &key, work, route) == Step::Free
                {
                    self.go_on(slot, key);
                }
            }
        }
    }

    /// Take over new limits. What runs goes on.
    pub(super) fn reload_tenant_limits(&mut self) {
        if let Some(turns) = &mut self.turns {
            turns.tenants.reload(self.now);
            tracing::info!(group = &*self.parts.plan.group, "the limits of tenants have changed");
        }
    }

    /// When a tenant has its rate again, or a gate opens by the clock that tenants wait at.
    pub(super) fn next_tenant(&self) -> Option<Duration> {
        let turns = self.turns.as_ref()?;
        if self.places.are_taken() {
            return None;
        }
        let waited_for = |lane: &LaneId| turns.tenants.is_waited_for(*lane);
        let gates = (0..turns.routes.len()).filter(waited_for).filter_map(|lane| turns.routes[lane]);
        let gates = gates.filter_map(|route| self.routes[route.0][route.1].gate.looks_again(self.now));
        let gates = gates.map(|due| due.saturating_sub(self.now));
        gates.chain(turns.tenants.next_due(self.now)).min()
    }
}
