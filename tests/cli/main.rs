//! The `tidings` command, as far as it needs no server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod inbox;
mod migrate;
mod parked;
mod publish;
mod routes;
mod settings;
mod shards;
mod usage;
