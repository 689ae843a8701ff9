//! A tenant: its limits, and what waits of it.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use super::book::TenantCell;
use super::lane::{LaneId, TenantQueue};
use super::limits::Applied;
use crate::consumer::rate::Rate;

/// The stride of a share of 1.
const STRIDE: u128 = 1 << 64;

pub(super) struct Tenant {
    pub(super) cell: Arc<TenantCell>,
    pub(super) limit: Applied,
    pub(super) pass: u128,
    pub(super) rate: Option<Rate>,
    /// Whether it is passed over: it is at its cap, or out of rate.
    pub(super) is_held_back: bool,
    /// Only those that have keys.
    pub(super) queues: SmallVec<[TenantQueue; 1]>,
}

impl Tenant {
    pub(super) fn stride(&self) -> u128 {
        STRIDE / u128::from(self.limit.share)
    }

    pub(super) fn queue(&mut self, lane: LaneId) -> Option<&mut TenantQueue> {
        self.queues.iter_mut().find(|queue| queue.lane == lane)
    }

    pub(super) fn is_at_cap(&self) -> bool {
        self.limit.max_in_flight.is_some_and(|most| self.cell.in_flight() >= u64::from(most))
    }

    pub(super) fn is_idle(&self, now: Duration) -> bool {
        // One that is out of rate is remembered, or it would have it back by being forgotten; so is one that is still to be woken.
        !self.is_held_back
            && self.queues.is_empty()
            && self.cell.is_idle()
            && self.rate.as_ref().is_none_or(|rate| rate.is_unused(now))
    }
}
