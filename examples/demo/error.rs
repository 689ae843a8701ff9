//! Why the demo could not run, and how it exits.

use std::error::Error;
use std::fmt;

use crate::accounts::AccountsError;
use tidings::consumer::{BuildError, RunError};
use tidings::database;
use tidings::outbox::RelayError;
use tidings::publisher::PublisherError;
use tidings::schema::{RegistryError, RegistryOptionsError};
use tidings::store::StoreError;
use tidings::transport::kafka::{EmbeddedError, KafkaError, TopicError};

/// Why the demo could not run.
#[derive(Debug)]
pub struct DemoError {
    /// What the shell gets: 2 for what the caller can correct in the command line, else 1.
    pub exit: u8,
    source: Box<dyn Error + Send + Sync>,
}

impl DemoError {
    /// The command line cannot be meant.
    pub fn usage(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: 2, source: source.into() }
    }

    /// It did not work.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit: 1, source: source.into() }
    }
}

impl fmt::Display for DemoError {
    /// The error and its causes, each after a colon.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl From<database::Error> for DemoError {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::Url { .. } => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

impl From<TopicError> for DemoError {
    fn from(error: TopicError) -> Self {
        match error {
            TopicError::Kafka(KafkaError::Property { .. } | KafkaError::Client { .. }) => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

impl From<RegistryOptionsError> for DemoError {
    fn from(error: RegistryOptionsError) -> Self {
        Self::usage(error)
    }
}

impl From<StoreError> for DemoError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Client { .. } => Self::usage(error),
            _ => Self::failed(error),
        }
    }
}

macro_rules! failed {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for DemoError {
            fn from(error: $error) -> Self {
                Self::failed(error)
            }
        }
    )+};
}

failed!(
    AccountsError,
    BuildError,
    EmbeddedError,
    PublisherError,
    RegistryError,
    RelayError,
    RunError,
    database::sqlx::Error,
    hdrhistogram::CreationError,
    hdrhistogram::AdditionError,
    std::io::Error,
    tokio::task::JoinError,
);
