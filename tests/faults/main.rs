//! Faults on real servers, one at a time: nothing else may use the servers meanwhile, so this is a program of its own.
//!
//! `scripts/with-servers cargo test --all-features --test faults`; the long versions are ignored, and `make soak` runs them.
#![cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod broker;
mod checks;
#[cfg(feature = "cli")]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "../cli/command.rs"]
mod command;
mod database;
mod dead_letters;
mod journal;
mod members;
mod parts;
mod plant;
#[cfg(all(feature = "testing", feature = "audit"))]
mod publishing;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "../embedded/reader.rs"]
mod reader;
mod registry;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod scenarios;
mod servers;
mod storm;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod support;

/// The address or path that the servers script put into the environment.
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `make test`, which starts the servers and says where they are")
    })
}
