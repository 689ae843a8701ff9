//! Whose fault it is that a handler's transaction failed: the event's, or the database's.

use std::error::Error as StdError;

use crate::database::Error;
use crate::database::error::Failure;
use crate::dispatch::shared;
use crate::outcome::{ErrorClass, HandlerError, Outcome};
use crate::publisher::PublishError;

impl Error {
    /// The error as a handler's. What other transactions or the server are the reason for is no attempt of the event's: it is
    /// tried again for as long as it takes.
    pub(super) fn into_handler_error(self) -> HandlerError {
        let class = if self.is_the_databases() { ErrorClass::Unavailable } else { ErrorClass::Retryable };
        HandlerError::new(class, self)
    }

    fn is_the_databases(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::AccessDenied { .. }
            | Self::UnknownDatabase { .. }
            | Self::NotMigrated { .. }
            | Self::NoConnection
            | Self::NoPublisher
            | Self::CommitUnknown { .. } => true,
            Self::Publish(PublishError::Encode(error)) => error.is_unavailable(),
            Self::Conflict { source: Some(source), .. } | Self::Sql { source, .. } => sql_is_the_databases(source),
            _ => false,
        }
    }
}

fn sql_is_the_databases(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        error => matches!(Failure::of(error), Failure::Conflict | Failure::ConnectionLost | Failure::NoTables),
    }
}

/// `outcome` of a handler whose transaction was rolled back: a failure of the database's that the handler passed on does not
/// count as an attempt either, however the handler wrapped it. What is terminal stays so.
pub(super) fn without_blame(outcome: Outcome, ended_by_a_deadlock: bool) -> Outcome {
    match outcome {
        Outcome::Retry { error, after } if error.class() == ErrorClass::Retryable => {
            let databases = names_the_database(shared(&error).unwrap_or(&error).source());
            let error = if ended_by_a_deadlock || databases { error.of_class(ErrorClass::Unavailable) } else { error };
            Outcome::Retry { error, after }
        }
        outcome => outcome,
    }
}

fn names_the_database(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let databases = match (error.downcast_ref::<Error>(), error.downcast_ref::<sqlx::Error>()) {
            (Some(error), _) => error.is_the_databases(),
            (None, Some(error)) => sql_is_the_databases(error),
            (None, None) => false,
        };
        if databases {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the score could not be added")]
    struct Wrapped(#[source] sqlx::Error);

    fn class(outcome: Outcome, ended_by_a_deadlock: bool) -> ErrorClass {
        match without_blame(outcome, ended_by_a_deadlock) {
            Outcome::Retry { error, .. } => error.class(),
            outcome => panic!("{outcome:?}"),
        }
    }

    fn lost() -> sqlx::Error {
        sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into())
    }

    #[test]
    fn a_lost_connection_is_no_attempt_however_it_is_wrapped() {
        for error in [HandlerError::from(lost()), HandlerError::from(Wrapped(lost()))] {
            assert_eq!(class(error.into(), false), ErrorClass::Unavailable);
        }
        let wrapped = Error::Sql { doing: "saving an entity", source: lost() };
        assert_eq!(class(HandlerError::from(wrapped).into(), false), ErrorClass::Unavailable);
    }

    #[test]
    fn other_failures_count_and_terminal_ones_stay_terminal() {
        assert_eq!(class(HandlerError::from(Wrapped(sqlx::Error::RowNotFound)).into(), false), ErrorClass::Retryable);
        assert_eq!(class(HandlerError::from(Wrapped(lost())).terminal().into(), false), ErrorClass::Terminal);
        assert_eq!(class(HandlerError::from("a rule says no").into(), false), ErrorClass::Retryable);
        assert_eq!(class(HandlerError::from("whatever it was").into(), true), ErrorClass::Unavailable);
    }

    #[test]
    fn a_commit_that_nobody_knows_of_is_tried_again_without_counting() {
        let unknown = Error::CommitUnknown { source: lost() }.into_handler_error();
        assert_eq!(unknown.class(), ErrorClass::Unavailable);
        let overtaken = Error::Conflict { attempts: 1, source: None }.into_handler_error();
        assert_eq!(overtaken.class(), ErrorClass::Retryable);
    }
}
