//! What is counted of tenants: kept by the poll thread and by handlers' tasks, read by anyone.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::lane::TenantId;
use super::limits::TenantLimits;

/// A group's tenants and their limits. It outlives an engine that is started again.
#[derive(Debug)]
pub(crate) struct TenantBook {
    limits: Mutex<Arc<TenantLimits>>,
    /// The hash is seeded: names come from strangers.
    cells: Mutex<HashMap<Arc<str>, Arc<TenantCell>, RandomState>>,
}

/// What is counted of a tenant.
#[derive(Debug)]
pub(crate) struct TenantCell {
    name: Arc<str>,
    /// Events held, those in flight included.
    held: AtomicU64,
    in_flight: AtomicU64,
    handled: AtomicU64,
}

/// What a group of this process has done for a tenant, and what it has before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantStats {
    /// The group.
    pub group: Arc<str>,
    /// The tenant; empty for events that have none.
    pub tenant: Arc<str>,
    /// Events that were fetched and wait: for a place, for a limit, behind another of their key, or to be tried again.
    pub waiting: u64,
    /// Attempts running now; in a batch, events.
    pub in_flight: u64,
    /// Events whose handler said they are done, since the tenant was first seen. Among 10,000 tenants or more, those that are
    /// idle may be forgotten and counted anew.
    pub handled: u64,
}

impl TenantBook {
    pub(crate) fn new(limits: Arc<TenantLimits>) -> Self {
        Self { limits: Mutex::new(limits), cells: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> Arc<TenantLimits> {
        Arc::clone(&self.limits.lock())
    }

    pub(crate) fn set_limits(&self, limits: Arc<TenantLimits>) {
        *self.limits.lock() = limits;
    }

    /// The cell of the tenant `name`, made where there is none.
    pub(super) fn open(&self, name: &str) -> Arc<TenantCell> {
        let mut cells = self.cells.lock();
        if let Some(cell) = cells.get(name) {
            return Arc::clone(cell);
        }
        let name: Arc<str> = name.into();
        let cell = TenantCell {
            name: Arc::clone(&name),
            held: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            handled: AtomicU64::new(0),
        };
        Arc::clone(cells.entry(name).or_insert_with(|| Arc::new(cell)))
    }

    pub(super) fn forget(&self, name: &str) {
        self.cells.lock().remove(name);
    }

    /// All cells: those of an engine that was there before, too.
    pub(super) fn cells(&self) -> Vec<Arc<TenantCell>> {
        self.cells.lock().values().cloned().collect()
    }

    /// What is known of each tenant, by name.
    pub(crate) fn read(&self, group: &Arc<str>) -> Vec<TenantStats> {
        let mut tenants: Vec<_> = self
            .cells()
            .iter()
            .map(|cell| {
                let in_flight = cell.in_flight.load(Ordering::Relaxed);
                TenantStats {
                    group: Arc::clone(group),
                    tenant: Arc::clone(&cell.name),
                    waiting: cell.held.load(Ordering::Relaxed).saturating_sub(in_flight),
                    in_flight,
                    handled: cell.handled.load(Ordering::Relaxed),
                }
            })
            .collect();
        tenants.sort_unstable_by(|left, right| left.tenant.cmp(&right.tenant));
        tenants
    }
}

impl TenantCell {
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn in_flight(&self) -> u64 {
        // What a task did before it gave its place back is seen by whoever takes it.
        self.in_flight.load(Ordering::Acquire)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held.load(Ordering::Acquire) == 0 && self.in_flight() == 0
    }
}

/// An event that is held for its tenant, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Held {
    id: TenantId,
    cell: Arc<TenantCell>,
}

impl Held {
    pub(super) fn new(id: TenantId, cell: &Arc<TenantCell>) -> Self {
        cell.held.fetch_add(1, Ordering::AcqRel);
        Self { id, cell: Arc::clone(cell) }
    }

    pub(crate) fn id(&self) -> TenantId {
        self.id
    }

    /// The event is done.
    pub(crate) fn handled(&self) {
        self.cell.handled.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.cell.held.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One of a tenant's places in flight, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Place(Arc<TenantCell>);

impl Place {
    pub(super) fn new(cell: &Arc<TenantCell>) -> Self {
        cell.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(cell))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
