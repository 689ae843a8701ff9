//! The test kit in memory.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

mod board;
mod faults;
mod masking;
mod members;
mod negative;
#[cfg(feature = "sqlite")]
mod outbox;
mod parking;
mod registry;
mod time;
mod upcast;

use tidings::testing::{TestKit, TestOptions};

/// Where the tests of `board`, `faults` and `members` run: here in memory; among the integration tests on real brokers.
fn kit() -> TestKit {
    kit_of(|options| options)
}

fn kit_of(change: impl FnOnce(TestOptions) -> TestOptions) -> TestKit {
    TestKit::new(change(TestOptions::new()))
}
