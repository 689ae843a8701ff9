//! What a handler says became of an event.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// A handler's result: `Ok` means done, an error is retried unless it is terminal.
pub type Result<T = (), E = HandlerError> = std::result::Result<T, E>;

/// What becomes of a delivery.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The event was handled; its offset may be committed.
    Done,
    /// The event is delivered again, to the same handler, after a pause; only its key waits. A terminal error is given up at
    /// once instead, as the policy's `on_exhausted` says.
    Retry {
        /// Why.
        error: HandlerError,
        /// How long to wait; `None` means as the retry policy says.
        after: Option<Duration>,
    },
    /// The event goes to the dead-letter topic; its key goes on.
    DeadLetter {
        /// Why.
        error: HandlerError,
    },
    /// The event is parked: it and what follows of its key wait, in order and durably, until an operator releases the key.
    Park {
        /// Why.
        error: HandlerError,
    },
}

impl Outcome {
    /// Deliver again after `after`, because of `error`. A pause that would pass the retry policy's `max_age` gives the event up
    /// at once.
    pub fn retry_after(after: Duration, error: impl Into<HandlerError>) -> Self {
        Self::Retry { error: error.into(), after: Some(after) }
    }

    /// Park the key, because of `error`. The event is dead-lettered where nothing keeps parked events (no policy of the group parks
    /// keys, and neither a database nor a store of parked events was given), and where it has no key.
    pub fn park(error: impl Into<HandlerError>) -> Self {
        Self::Park { error: error.into() }
    }

    /// Send to the dead-letter topic, because of `error`.
    pub fn dead_letter(error: impl Into<HandlerError>) -> Self {
        Self::DeadLetter { error: error.into() }
    }
}

/// Why a handler failed. **Retried by default**: make it terminal to give the event up at once.
///
/// Any error converts into it with `?`, so a handler that returns [`Result`] needs no error type.
///
/// ```
/// use tidings::{HandlerError, ResultExt as _};
///
/// fn parse(text: &str) -> tidings::Result<u32> {
///     // No later attempt can succeed, so do not retry.
///     let number = text.parse::<u32>().terminal()?;
///     Ok(number)
/// }
///
/// assert!(parse("seven").unwrap_err().is_terminal());
/// assert!(!HandlerError::from("the database is away").is_terminal());
/// ```
pub struct HandlerError {
    source: Box<dyn StdError + Send + Sync>,
    class: ErrorClass,
}

/// How the engine treats a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Worth another attempt. The default.
    Retryable,
    /// No attempt can succeed.
    Terminal,
    /// The payload cannot be turned into the handler's type.
    Undecodable,
    /// Something the engine needs is away (the schema registry, say): retried without counting attempts.
    Unavailable,
    /// The handler panicked.
    Panic,
    /// The handler ran longer than its timeout.
    Timeout,
    /// More keys waited for the handler than its `max_waiting` allows.
    Rejected,
    /// Another event was handled in its place of the stream. It is never retried; where keys can be parked its key is, unless the
    /// policy stops the consumer: what follows on a fork is not to be handled before somebody has looked.
    Forked,
}

impl ErrorClass {
    /// The name used in headers, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Terminal => "terminal",
            Self::Undecodable => "undecodable",
            Self::Unavailable => "unavailable",
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
            Self::Forked => "forked",
        }
    }
}

impl HandlerError {
    /// An error of a stated class.
    pub fn new(class: ErrorClass, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: source.into(), class }
    }

    /// The same error, never retried.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.class = ErrorClass::Terminal;
        self
    }

    /// The same error, treated otherwise.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    pub(crate) fn of_class(mut self, class: ErrorClass) -> Self {
        self.class = class;
        self
    }

    /// How the engine treats it.
    pub const fn class(&self) -> ErrorClass {
        self.class
    }

    /// Whether no further attempt is made.
    pub const fn is_terminal(&self) -> bool {
        matches!(self.class, ErrorClass::Terminal | ErrorClass::Undecodable | ErrorClass::Rejected | ErrorClass::Forked)
    }

    /// The error itself.
    pub fn source(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }

    /// The error and its causes, each after a colon.
    pub fn chain(&self) -> String {
        let mut text = self.source.to_string();
        let mut cause = self.source.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("HandlerError").field("class", &self.class).field("source", &self.source).finish()
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(formatter)
    }
}

// `HandlerError` is not itself a `std::error::Error`: this conversion from every error would overlap with `From<T> for T`.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::new(ErrorClass::Retryable, error)
    }
}

/// Marks the error of a result as terminal.
pub trait ResultExt<T> {
    /// No later attempt can succeed: do not retry.
    fn terminal(self) -> Result<T>;
}

impl<T, E: Into<HandlerError>> ResultExt<T> for std::result::Result<T, E> {
    fn terminal(self) -> Result<T> {
        self.map_err(|error| error.into().terminal())
    }
}

/// What a handler may return.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler outcome",
    label = "a handler cannot return this",
    note = "return `tidings::Result<()>`, `Result<(), E>`, `Result<Outcome, E>`, `Outcome` or `()`"
)]
pub trait IntoOutcome {
    /// What becomes of the delivery.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Outcome::Done
    }
}

impl IntoOutcome for Outcome {
    fn into_outcome(self) -> Outcome {
        self
    }
}

impl<T: IntoOutcome, E: Into<HandlerError>> IntoOutcome for std::result::Result<T, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => value.into_outcome(),
            Err(error) => error.into().into(),
        }
    }
}

impl From<HandlerError> for Outcome {
    fn from(error: HandlerError) -> Self {
        // A terminal error is given up at once, as the handler's policy says; see `HandlerError::is_terminal`.
        Self::Retry { error, after: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_retried_by_default() {
        let outcome = Err::<(), _>(std::io::Error::other("away")).into_outcome();
        assert!(matches!(outcome, Outcome::Retry { after: None, .. }));
    }

    #[test]
    fn a_terminal_error_says_so() {
        let result: Result = Err(std::io::Error::other("never")).terminal();
        assert!(matches!(result.into_outcome(), Outcome::Retry { error, .. } if error.is_terminal()));
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not rename the player")]
        struct Outer(#[source] std::io::Error);
        let error = HandlerError::from(Outer(std::io::Error::other("disk full")));
        assert_eq!(error.chain(), "could not rename the player: disk full");
    }
}
