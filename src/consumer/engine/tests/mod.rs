//! The engine on the in-memory broker, in paused time.

mod batch_limits;
mod batch_order;
mod batches;
mod failures;
mod handovers;
mod limits;
mod order;
mod restarts;
mod rig;
