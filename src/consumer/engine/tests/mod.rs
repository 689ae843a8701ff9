//! The engine on the in-memory broker, in paused time.

mod failures;
mod handovers;
mod health;
mod limits;
mod order;
mod restarts;
mod rig;
mod spans;
