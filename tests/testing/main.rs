//! The test kit in memory.
#![allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]

mod board;
mod faults;
mod members;
mod negative;
mod time;

use tidings::testing::TestKit;

/// Where the tests of `board` run: here in memory; among the integration tests on real brokers.
fn kit() -> TestKit {
    TestKit::in_memory()
}
