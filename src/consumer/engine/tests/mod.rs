//! The engine on the in-memory broker, in paused time.

mod failures;
mod handovers;
mod limits;
mod order;
mod restarts;
mod rig;
