//! Errors as gRPC knows them, both ways.

use tonic::{Code, Status};

use crate::store::StoreError;

/// What a client is told. Causes stay in the log: they may name hosts and tables.
pub(in crate::store) fn to_status(error: &StoreError) -> Status {
    let text = error.to_string();
    match error {
        StoreError::Invalid { .. } => Status::invalid_argument(text),
        StoreError::Overloaded => Status::resource_exhausted(text),
        StoreError::Deadline => Status::deadline_exceeded(text),
        StoreError::Unauthenticated { .. } => Status::unauthenticated(text),
        StoreError::Refused(_) => Status::failed_precondition(text),
        StoreError::Unavailable(_)
        | StoreError::Database(_)
        | StoreError::NotMigrated(_)
        | StoreError::Closed
        | StoreError::Client { .. } => Status::unavailable(text),
    }
}

/// What a client makes of an answer.
pub(in crate::store) fn from_status(status: Status) -> StoreError {
    match status.code() {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange | Code::Unimplemented => {
            StoreError::Invalid { reason: status.message().to_owned() }
        }
        Code::ResourceExhausted => StoreError::Overloaded,
        Code::DeadlineExceeded => StoreError::Deadline,
        // The client's own timer calls it cancelled.
        Code::Cancelled if status.message() == "Timeout expired" => StoreError::Deadline,
        Code::Unauthenticated | Code::PermissionDenied => {
            StoreError::Unauthenticated { reason: status.message().to_owned() }
        }
        _ => StoreError::Unavailable(Box::new(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_sent_again_is_the_same_on_both_sides() {
        for error in [
            StoreError::Overloaded,
            StoreError::Deadline,
            StoreError::Unavailable("the database is away".into()),
            StoreError::Invalid { reason: "no events".to_owned() },
            StoreError::Unauthenticated { reason: "none".to_owned() },
        ] {
            assert_eq!(from_status(to_status(&error)).is_retryable(), error.is_retryable(), "{error}");
        }
    }

    #[test]
    fn a_client_is_not_told_what_the_database_says() {
        let status = to_status(&StoreError::Unavailable("access denied for store@10.0.0.7".into()));
        assert!(!format!("{status:?}").contains("10.0.0.7"), "{status:?}");
    }
}
