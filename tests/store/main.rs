//! The event store on SQLite, and over gRPC: no server needed.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

mod reflection;
mod relays;
#[allow(dead_code, unused_macros, reason = "shared with the other tests of databases")]
#[path = "../scenarios/mod.rs"]
mod scenarios;
mod service;
mod wire;

use scenarios::stage::Stage;

event_store_scenarios! { [] (Stage::sqlite()) }
