//! Where threads meet: the orders in which they can, by loom. The files are the library's own, built on loom's locks and
//! atomics; a wait never times out here, so a wake-up that is lost is a deadlock, which loom finds.

#![allow(clippy::expect_used)]

// What one of them has for the engine's tests is of no use to these.
#[allow(dead_code, reason = "the library uses all of it")]
#[path = "../../src/handoff/bell.rs"]
mod bell;
mod controls;
mod handoffs;
#[path = "../../src/consumer/chain/last_turn.rs"]
mod last_turn;
#[allow(dead_code, reason = "the library uses all of it")]
#[path = "../../src/consumer/places.rs"]
mod places;
#[allow(dead_code, reason = "the library uses all of it")]
#[path = "../../src/consumer/chain/recall.rs"]
mod recall;
mod recalls;
#[allow(dead_code, reason = "the library uses all of it")]
#[path = "../../src/handoff/reports.rs"]
mod reports;
#[allow(dead_code, reason = "the library uses all of it")]
#[path = "../../src/handoff/requests.rs"]
mod requests;
mod semaphore;
mod sync;
mod waits;
