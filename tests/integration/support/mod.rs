//! What the tests have in common.

#[cfg(feature = "store")]
pub(crate) mod appending;
pub(crate) mod chance;
pub(crate) mod child;
pub(crate) mod groups;
pub(crate) mod jvm;
pub(crate) mod ledger;
pub(crate) mod line;
pub(crate) mod running;
pub(crate) mod scene;
pub(crate) mod scores;
pub(crate) mod store;
pub(crate) mod wait;

use std::error::Error;

/// An error and its causes, each after a colon.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
