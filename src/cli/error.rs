//! Why the command did not do what it was asked for, and what its exit code says of it.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::transport::kafka::{KafkaError, TopicError};

/// Why the command ends early.
#[derive(Debug)]
pub(super) enum CliError {
    /// It was asked for wrongly: exit code 2.
    Usage(Report),
    /// It failed: exit code 1.
    Failure(Report),
    /// It was to find something out and could not, where code 1 is an answer: exit code 2.
    NoAnswer(Report),
    /// Nobody reads the output any more, as when `head` has seen enough: exit code 0.
    OutputClosed,
}

/// An error in words, and its causes.
#[derive(Debug)]
pub(super) struct Report {
    message: String,
    causes: Vec<String>,
}

impl CliError {
    /// It was asked for wrongly.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage(Report { message: message.into(), causes: Vec::new() })
    }

    /// It failed.
    pub(super) fn failure(message: impl Into<String>) -> Self {
        Self::Failure(Report { message: message.into(), causes: Vec::new() })
    }

    /// The configuration cannot be used, as `error` says.
    pub(super) fn unusable(error: &(dyn Error + 'static)) -> Self {
        Self::Usage(Report::of(error))
    }

    /// It failed, as `error` says.
    pub(super) fn failed(error: &(dyn Error + 'static)) -> Self {
        Self::Failure(Report::of(error))
    }

    /// The same, from a question that code 1 would answer.
    pub(super) fn leaves_open(self) -> Self {
        match self {
            Self::Failure(report) => Self::NoAnswer(report),
            other => other,
        }
    }

    /// The same, because of `error`.
    pub(super) fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        if let Self::Usage(report) | Self::Failure(report) | Self::NoAnswer(report) = &mut self {
            report.causes.push(error.to_string());
            report.causes.extend(causes(error));
        }
        self
    }

    /// Writing the output failed.
    pub(super) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::failure("the output cannot be written").caused_by(error),
        }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Failure(_) => ExitCode::FAILURE,
            Self::Usage(_) | Self::NoAnswer(_) => ExitCode::from(2),
        }
    }
}

impl Report {
    fn of(error: &(dyn Error + 'static)) -> Self {
        Self { message: error.to_string(), causes: causes(error) }
    }
}

fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut causes = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        causes.push(cause.to_string());
        source = cause.source();
    }
    causes
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        let mut shown = self.message.as_str();
        for cause in &self.causes {
            // Some libraries repeat their source in their own words.
            if !shown.ends_with(cause.as_str()) {
                write!(formatter, "\n  because: {cause}")?;
            }
            shown = cause;
        }
        Ok(())
    }
}

impl From<KafkaError> for CliError {
    fn from(error: KafkaError) -> Self {
        match error {
            KafkaError::Property { .. } | KafkaError::Client { .. } => Self::unusable(&error),
            _ => Self::failed(&error),
        }
    }
}

impl From<TopicError> for CliError {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Kafka(error) => error.into(),
            TopicError::Declaration { .. } | TopicError::Name { .. } => Self::unusable(&error),
            _ => Self::failed(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the cellar is locked")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    #[error("no wine")]
    struct Outer(#[source] Inner);

    #[test]
    fn causes_follow_their_error_and_none_is_told_twice() {
        let text = |error: CliError| match error {
            CliError::Usage(report) | CliError::Failure(report) | CliError::NoAnswer(report) => report.to_string(),
            CliError::OutputClosed => String::new(),
        };
        assert_eq!(text(CliError::failed(&Outer(Inner))), "no wine\n  because: the cellar is locked");
        let repeated = CliError::failure("dinner is off: the cellar is locked").caused_by(&Inner);
        assert_eq!(text(repeated), "dinner is off: the cellar is locked");
    }

    #[test]
    fn a_closed_output_is_no_failure() {
        let error = CliError::output(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(error.exit_code(), ExitCode::SUCCESS);
        assert_eq!(CliError::usage("x").exit_code(), ExitCode::from(2));
    }
}
