//! Tests against real servers: `scripts/with-servers cargo test --all-features --test integration`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(feature = "cli")]
mod asyncapi;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql", feature = "cli"))]
mod audit;
#[cfg(all(feature = "testing", feature = "macros"))]
#[path = "../testing/board.rs"]
mod board;
#[cfg(feature = "cli")]
mod cli;
#[cfg(feature = "cli")]
#[path = "../cli/command.rs"]
mod command;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod consumer;
#[cfg(feature = "mysql")]
#[path = "../../benches/support/counting.rs"]
mod counting;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql", feature = "cli"))]
mod dead_letters;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql", feature = "store"))]
mod event_store;
#[cfg(feature = "publisher")]
#[path = "../embedded/events.rs"]
mod events;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod evolution;
#[cfg(all(feature = "testing", feature = "macros"))]
#[path = "../testing/faults.rs"]
mod faults;
#[cfg(all(feature = "macros", feature = "registry"))]
mod generated;
#[cfg(all(feature = "mysql", feature = "store"))]
mod group_commit;
#[cfg(feature = "mysql")]
mod idle;
#[cfg(feature = "mysql")]
mod inbox_on_servers;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
#[path = "../faults/journal.rs"]
mod journal;
#[cfg(feature = "publisher")]
mod kafka;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod kill;
#[cfg(feature = "mysql")]
mod lines;
#[cfg(feature = "mysql")]
mod long_transactions;
#[cfg(feature = "cli")]
mod masking;
#[cfg(all(feature = "testing", feature = "macros"))]
#[path = "../testing/members.rs"]
mod members;
#[cfg(feature = "cli")]
mod mermaid;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod parked_stores;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod parts;
#[cfg(feature = "mysql")]
#[macro_use]
#[path = "../scenarios/mod.rs"]
mod scenarios;
#[cfg(feature = "mysql")]
mod on_servers;
#[cfg(feature = "mysql")]
mod outbox;
#[cfg(feature = "publisher")]
mod publisher;
#[cfg(feature = "publisher")]
#[path = "../embedded/reader.rs"]
mod reader;
#[cfg(feature = "mysql")]
mod relay;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod road;
#[cfg(feature = "registry")]
mod schema;
#[cfg(feature = "cli")]
mod schema_command;
#[cfg(feature = "mysql")]
mod silence;
#[cfg(all(feature = "mysql", feature = "store"))]
mod store_on_servers;
#[cfg(all(
    feature = "macros",
    feature = "consumer",
    feature = "registry",
    feature = "mysql",
    feature = "store",
    feature = "cli",
    feature = "audit"
))]
mod store_restored;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod strangers;
#[cfg(all(feature = "macros", feature = "consumer", feature = "registry", feature = "mysql"))]
mod support;
#[cfg(feature = "publisher")]
mod topics;
#[cfg(feature = "mysql")]
mod traps;
#[cfg(all(
    feature = "macros",
    feature = "registry",
    feature = "mysql",
    feature = "cli",
    feature = "parquet",
    feature = "testing"
))]
mod warehouse;

/// The address or path that the servers script put into the environment.
#[allow(dead_code, reason = "without features no test is about a server")]
fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests with `make test`, which starts the servers and says where they are")
    })
}

/// Where the tests of `board`, `faults` and `members` run: the same as with the other tests of the test kit, here on real brokers.
#[cfg(feature = "testing")]
fn kit() -> tidings::testing::TestKit {
    kit_of(|options| options)
}

#[cfg(feature = "testing")]
fn kit_of(
    change: impl FnOnce(tidings::testing::TestOptions) -> tidings::testing::TestOptions,
) -> tidings::testing::TestKit {
    // Says so when it is not set.
    setting(tidings::testing::BROKERS_VARIABLE);
    tidings::testing::TestKit::new(change(tidings::testing::TestOptions::from_environment()))
}
