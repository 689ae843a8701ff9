//! How a kit fails a test.

use std::error::Error;
use std::panic::Location;

/// Fail the test that called from `caller`.
pub(super) fn fail(caller: &Location<'_>, message: impl std::fmt::Display) -> ! {
    panic!("{message}\n  in the test at {caller}")
}

/// An error and its causes, each after a colon.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
