//! Whose turn it is: stride scheduling among the tenants that may start something.
//!
//! Each tenant has a *pass* that grows by its *stride*, the inverse of its share, at every start; the least pass is next
//! (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management", MIT/LCS/TM-528, 1995). Who
//! was idle or held back begins at the virtual time, the pass of whoever started last, so nobody saves up turns (Goyal, Vin and
//! Cheng, "Start-time Fair Queueing", SIGCOMM 1996).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::TenantParts;
use super::book::{Held, Place, TenantCell};
use super::lane::{Lane, LaneId, TenantId, TenantQueue, Turn};
use super::limits::TenantLimits;
use super::tenant::Tenant;
use crate::consumer::gate::WaitingKey;
use crate::consumer::key::KeyId;
use crate::consumer::rate::Rate;
use crate::envelope::EnvelopeView;
use crate::transport::Headers;

/// Beyond this many tenants, idle ones are forgotten.
const MAX_TENANTS: usize = 10_000;

/// Tenants that are looked at for an idle one when another comes: more than one, so that the number shrinks again.
const LOOK_AT: usize = 32;

/// The longest name that is told apart, in bytes: a stranger's header may be megabytes.
const MAX_NAME: usize = 128;

/// A group's tenants, as the poll thread sees them.
pub(crate) struct Tenants {
    parts: TenantParts,
    limits: Arc<TenantLimits>,
    /// The hash is seeded: names come from strangers.
    by_name: HashMap<Arc<str>, TenantId, RandomState>,
    known: Vec<Option<Tenant>>,
    free: Vec<TenantId>,
    /// Where to look for an idle tenant next.
    hand: usize,
    lanes: Vec<Lane>,
    virtual_time: u128,
    /// Tenants with something to start and no place; each has as many in flight as it may.
    at_cap: Vec<TenantId>,
    /// Tenants with something to start that are out of rate, until then.
    resting: BinaryHeap<Reverse<(Duration, TenantId)>>,
    warned_of_panic: bool,
}

impl Tenants {
    /// The tenants of a group with so many lanes.
    pub(crate) fn new(parts: TenantParts, lanes: usize) -> Self {
        let limits = parts.book.limits();
        let mut tenants = Self {
            limits,
            by_name: HashMap::default(),
            known: Vec::new(),
            free: Vec::new(),
            hand: 0,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            virtual_time: 0,
            at_cap: Vec::new(),
            resting: BinaryHeap::new(),
            warned_of_panic: false,
            parts,
        };
        for cell in tenants.parts.book.cells() {
            tenants.add(cell);
        }
        tenants
    }

    /// A record is held for its tenant.
    pub(crate) fn hold(&mut self, headers: &Headers, now: Duration) -> Held {
        let of = Arc::clone(&self.parts.of);
        let name = catch_unwind(AssertUnwindSafe(|| of(EnvelopeView::new(headers)))).unwrap_or_else(|_| {
            if !self.warned_of_panic {
                self.warned_of_panic = true;
                tracing::error!("the function that names tenants panicked; such events count as having none");
            }
            None
        });
        let name = name.as_deref().unwrap_or_default();
        let name = &name[..name.floor_char_boundary(MAX_NAME)];
        let id = match self.by_name.get(name) {
            Some(id) => *id,
            None => {
                self.forget_idle(now);
                let cell = self.parts.book.open(name);
                self.add(cell)
            }
        };
        Held::new(id, &self.tenant(id).cell)
    }

    fn add(&mut self, cell: Arc<TenantCell>) -> TenantId {
        let limit = self.limits.of(cell.name());
        let name = Arc::clone(cell.name());
        let rate = limit.rate.map(Rate::new);
        let tenant =
            Tenant { cell, limit, pass: self.virtual_time, rate, is_held_back: false, queues: SmallVec::new() };
        let id = match self.free.pop() {
            Some(id) => {
                self.known[id.0] = Some(tenant);
                id
            }
            None => {
                self.known.push(Some(tenant));
                TenantId(self.known.len() - 1)
            }
        };
        self.by_name.insert(name, id);
        id
    }

    /// Make room for another tenant, where there are many. Those the limits name stay.
    fn forget_idle(&mut self, now: Duration) {
        let mut looked = 0;
        while self.by_name.len() >= MAX_TENANTS && looked < LOOK_AT {
            looked += 1;
            self.hand = (self.hand + 1) % self.known.len();
            let idle =
                self.known[self.hand].take_if(|tenant| tenant.is_idle(now) && !self.limits.names(tenant.cell.name()));
            if let Some(tenant) = idle {
                self.by_name.remove(tenant.cell.name());
                self.parts.book.forget(tenant.cell.name());
                self.free.push(TenantId(self.hand));
            }
        }
    }

    #[expect(clippy::expect_used, reason = "an id is given away only with an event that is held or a key that waits")]
    fn tenant(&mut self, id: TenantId) -> &mut Tenant {
        self.known[id.0].as_mut().expect("a tenant is not forgotten while something of it is known")
    }

    /// `key`, whose next event is of this tenant, waits in `lane`.
    pub(crate) fn push(&mut self, id: TenantId, lane: LaneId, key: WaitingKey) {
        let virtual_time = self.virtual_time;
        let tenant = self.tenant(id);
        if tenant.queues.is_empty() {
            tenant.pass = tenant.pass.max(virtual_time);
        }
        let (pass, is_held_back) = (tenant.pass, tenant.is_held_back);
        let queue = match tenant.queues.iter().position(|queue| queue.lane == lane) {
            Some(index) => &mut tenant.queues[index],
            None => {
                tenant.queues.push(TenantQueue::new(lane));
                let last = tenant.queues.len() - 1;
                &mut tenant.queues[last]
            }
        };
        queue.push(key);
        if !is_held_back && !queue.listed {
            queue.listed = true;
            self.lanes[lane].list(id, pass);
        }
    }

    /// The tenant whose turn it is, and where, leaving out lanes that are `shut`.
    pub(crate) fn next(&mut self, now: Duration, shut: &[bool]) -> Option<(LaneId, TenantId)> {
        let mut best: Option<(Turn, LaneId)> = None;
        for (lane, _) in shut.iter().enumerate().filter(|(_, shut)| !**shut) {
            if let Some(turn) = self.next_in(lane, now)
                && best.is_none_or(|(other, _)| turn < other)
            {
                best = Some((turn, lane));
            }
        }
        best.map(|(turn, lane)| (lane, turn.tenant))
    }

    fn next_in(&mut self, lane: LaneId, now: Duration) -> Option<Turn> {
        while let Some(turn) = self.lanes[lane].first() {
            if self.hold_back(turn.tenant, now) {
                self.lanes[lane].pop();
                if let Some(queue) = self.tenant(turn.tenant).queue(lane) {
                    queue.listed = false;
                }
                continue;
            }
            let pass = self.tenant(turn.tenant).pass;
            if pass == turn.pass {
                return Some(turn);
            }
            self.lanes[lane].pop();
            self.lanes[lane].list(turn.tenant, pass);
        }
        None
    }

    /// Whether a tenant is passed over for now.
    fn hold_back(&mut self, id: TenantId, now: Duration) -> bool {
        let tenant = self.tenant(id);
        if tenant.is_held_back {
            return true;
        }
        if tenant.is_at_cap() {
            tenant.is_held_back = true;
            self.at_cap.push(id);
            return true;
        }
        match tenant.rate.as_ref().and_then(|rate| rate.opens_at(now)) {
            Some(until) => {
                tenant.is_held_back = true;
                self.resting.push(Reverse((until, id)));
                true
            }
            None => false,
        }
    }

    pub(crate) fn is_held_back(&mut self, id: TenantId) -> bool {
        self.tenant(id).is_held_back
    }

    /// The first key of a tenant in `lane`.
    pub(crate) fn first(&mut self, lane: LaneId, id: TenantId) -> Option<WaitingKey> {
        self.tenant(id).queue(lane)?.first()
    }

    /// Take away the first key of the tenant whose turn it is.
    pub(crate) fn pop(&mut self, lane: LaneId, id: TenantId) {
        let tenant = self.tenant(id);
        if let Some(queue) = tenant.queue(lane) {
            queue.pop();
            if queue.len() == 0 {
                tenant.queues.retain(|queue| queue.lane != lane);
                // It is first there: its turn it was.
                self.lanes[lane].pop();
            }
        }
    }

    /// Take away the newest key of a tenant in `lane`, where it has more than `most` there.
    pub(crate) fn pop_beyond(&mut self, lane: LaneId, id: TenantId, most: usize) -> Option<WaitingKey> {
        // At least one stays, and the lane's entry with it.
        self.tenant(id).queue(lane).filter(|queue| queue.len() > most.max(1))?.pop_newest()
    }

    /// Let those keys wait no longer that `keeps` is not true of.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(usize, u64, &KeyId) -> bool) {
        for tenant in self.known.iter_mut().flatten() {
            tenant.queues.retain(|queue| {
                queue.retain(&mut keeps);
                queue.len() > 0
            });
        }
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.retain(|id| {
                let queues = self.known[id.0].iter().flat_map(|tenant| &tenant.queues);
                queues.into_iter().any(|queue| queue.lane == index)
            });
        }
    }

    /// The tenant begins an attempt.
    pub(crate) fn begin(&mut self, id: TenantId, now: Duration) -> Place {
        let virtual_time = self.virtual_time;
        let tenant = self.tenant(id);
        let start = tenant.pass.max(virtual_time);
        tenant.pass = start + tenant.stride();
        if let Some(rate) = &mut tenant.rate {
            rate.take(now);
        }
        let place = Place::new(&tenant.cell);
        self.virtual_time = start;
        place
    }

    /// Begin an attempt out of turn, where the tenant's limits allow: an event that goes into a batch with one of its key.
    pub(crate) fn begin_if_allowed(&mut self, id: TenantId, now: Duration) -> Option<Place> {
        let virtual_time = self.virtual_time;
        let tenant = self.tenant(id);
        if tenant.is_at_cap() || tenant.rate.as_ref().is_some_and(|rate| rate.opens_at(now).is_some()) {
            return None;
        }
        tenant.pass = tenant.pass.max(virtual_time) + tenant.stride();
        if let Some(rate) = &mut tenant.rate {
            rate.take(now);
        }
        Some(Place::new(&tenant.cell))
    }

    /// Let those take part again who are not held back any more.
    pub(crate) fn wake(&mut self, now: Duration) {
        let mut index = 0;
        while let Some(id) = self.at_cap.get(index).copied() {
            if self.tenant(id).is_at_cap() {
                index += 1;
            } else {
                self.at_cap.swap_remove(index);
                self.release(id);
            }
        }
        while let Some(Reverse((until, id))) = self.resting.peek().copied() {
            if until > now {
                break;
            }
            self.resting.pop();
            self.release(id);
        }
    }

    fn release(&mut self, id: TenantId) {
        let virtual_time = self.virtual_time;
        let tenant = self.tenant(id);
        tenant.is_held_back = false;
        tenant.pass = tenant.pass.max(virtual_time);
        self.list_all(id);
    }

    fn list_all(&mut self, id: TenantId) {
        let Some(tenant) = self.known[id.0].as_mut() else { return };
        for queue in &mut tenant.queues {
            if !queue.listed {
                queue.listed = true;
                self.lanes[queue.lane].list(id, tenant.pass);
            }
        }
    }

    /// Take over the limits as they are in the book now. What runs goes on.
    pub(crate) fn reload(&mut self, now: Duration) {
        self.limits = self.parts.book.limits();
        self.at_cap.clear();
        self.resting.clear();
        self.lanes.iter_mut().for_each(Lane::clear);
        for index in 0..self.known.len() {
            let Some(tenant) = &mut self.known[index] else { continue };
            let limit = self.limits.of(tenant.cell.name());
            // What is left of the wait for the next turn grows and shrinks with the stride.
            let left = tenant.pass.saturating_sub(self.virtual_time).min(tenant.stride());
            tenant.pass = self.virtual_time + left * u128::from(tenant.limit.share) / u128::from(limit.share);
            match (limit.rate, &mut tenant.rate) {
                (None, rate) => *rate = None,
                (Some(per_second), Some(rate)) => rate.change(per_second, now),
                (Some(per_second), rate @ None) => *rate = Some(Rate::new(per_second)),
            }
            tenant.limit = limit;
            tenant.is_held_back = false;
            tenant.queues.iter_mut().for_each(|queue| queue.listed = false);
            self.list_all(TenantId(index));
        }
    }

    /// How long until a tenant has its rate again.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        self.resting.peek().map(|Reverse((until, _))| until.saturating_sub(now))
    }

    /// Whether somebody waits in `lane` who is not held back.
    pub(crate) fn is_waited_for(&self, lane: LaneId) -> bool {
        self.lanes[lane].first().is_some()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests;
