//! The `tidings` command, as far as it needs no server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod command;
mod contract;
mod guide;
mod inbox;
mod migrate;
mod outbox;
mod parked;
mod pipeline;
mod publish;
mod routes;
mod schema;
mod settings;
mod shards;
mod store;
mod usage;
