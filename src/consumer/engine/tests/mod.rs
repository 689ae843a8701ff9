//! The engine on the in-memory broker, in paused time.

mod batch_blame;
mod batch_limits;
mod batch_order;
mod batches;
mod chains;
mod control;
mod failures;
mod gates;
mod handovers;
mod health;
mod limits;
mod order;
mod park_requests;
mod parking;
mod paused_releases;
mod places;
mod redriven;
mod restarts;
mod rig;
mod spans;
mod taken_back;
mod tenants;
