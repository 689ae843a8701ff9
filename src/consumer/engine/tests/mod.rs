//! The engine on the in-memory broker, in paused time.

mod batch_limits;
mod batch_order;
mod batches;
mod control;
mod failures;
mod gates;
mod handovers;
mod limits;
mod order;
mod redriven;
mod restarts;
mod rig;
mod tenants;
