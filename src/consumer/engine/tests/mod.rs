//! The engine on the in-memory broker, in paused time.

mod batches;
mod failures;
mod handovers;
mod limits;
mod order;
mod restarts;
mod rig;
