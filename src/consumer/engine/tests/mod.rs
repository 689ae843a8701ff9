//! The engine on the in-memory broker, in paused time.

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
