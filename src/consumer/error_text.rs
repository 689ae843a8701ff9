//! A handler's error as text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::outcome::{ErrorClass, HandlerError};

/// What is kept of a handler's error. Made once: the error's own `Display` is the user's code, and may panic.
#[derive(Debug, Clone)]
pub(crate) struct ErrorText {
    pub(crate) class: ErrorClass,
    pub(crate) message: String,
    pub(crate) chain: String,
}

impl ErrorText {
    pub(crate) fn of(error: &HandlerError) -> Self {
        let text = catch_unwind(AssertUnwindSafe(|| (error.to_string(), error.chain())));
        let (message, chain) = text.unwrap_or_else(|_| {
            let unknown = "the error could not be shown: its Display panicked".to_owned();
            (unknown.clone(), unknown)
        });
        Self { class: error.class(), message, chain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Panics;

    impl std::fmt::Display for Panics {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("a bug in Display")
        }
    }

    impl std::error::Error for Panics {}

    #[test]
    fn an_error_whose_display_panics_still_has_a_text() {
        let text = ErrorText::of(&HandlerError::from(Panics));
        assert!(text.chain.contains("could not be shown"));
    }
}
