//! Errors as gRPC knows them, both ways.

use std::error::Error;

use tonic::{Code, Status};

use crate::store::StoreError;

/// What a client is told. Causes stay in the log: they may name hosts and tables.
pub(in crate::store) fn to_status(error: &StoreError) -> Status {
    let text = error.to_string();
    match error {
        // The client says the rest in its own words.
        StoreError::Invalid { reason } => Status::invalid_argument(reason),
        StoreError::Overloaded => Status::resource_exhausted(text),
        StoreError::Deadline => Status::deadline_exceeded(text),
        StoreError::Unauthenticated { reason } => Status::unauthenticated(reason),
        StoreError::Refused(_) => Status::failed_precondition(text),
        StoreError::Unavailable(_)
        | StoreError::Database(_)
        | StoreError::NotMigrated(_)
        | StoreError::Closed
        | StoreError::Client { .. } => Status::unavailable(text),
    }
}

/// What a client makes of an answer.
#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(in crate::store) fn from_status(status: Status) -> StoreError {
    match status.code() {
        // Only the store itself says so: a relay gives events up for it.
        Code::InvalidArgument => StoreError::Invalid { reason: status.message().to_owned() },
        // What proxies and other services answer.
        Code::Unimplemented => {
            StoreError::Client { reason: format!("no event store answers there: {}", status.message()) }
        }
        Code::ResourceExhausted => StoreError::Overloaded,
        Code::DeadlineExceeded => StoreError::Deadline,
        // A message is larger than the other side reads, and would be so again.
        Code::OutOfRange => StoreError::Client { reason: status.message().to_owned() },
        // The client's own timer calls it cancelled.
        Code::Cancelled if status.message() == "Timeout expired" => StoreError::Deadline,
        Code::Unauthenticated | Code::PermissionDenied => {
            StoreError::Unauthenticated { reason: status.message().to_owned() }
        }
        _ => StoreError::Unavailable(unanswered(&status).into()),
    }
}

/// What went wrong, in words: the library's own text shows its insides.
fn unanswered(status: &Status) -> String {
    let what = if status.message().is_empty() { status.code().description() } else { status.message() };
    let mut cause = status.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    match cause.map(ToString::to_string).filter(|cause| !what.contains(cause.as_str())) {
        Some(cause) => format!("{what}: {cause}"),
        None => what.to_owned(),
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
    fn no_answer_of_a_stranger_makes_a_relay_give_events_up() {
        for code in (0..=16).map(Code::from_i32).filter(|code| *code != Code::InvalidArgument) {
            let error = from_status(Status::new(code, "a proxy's word"));
            assert!(!matches!(error, StoreError::Invalid { .. } | StoreError::Refused(_)), "{code:?}: {error}");
        }
    }

    #[test]
    fn what_is_too_large_to_be_read_is_not_sent_again() {
        assert!(!from_status(Status::out_of_range("message length too large")).is_retryable());
    }

    #[test]
    fn what_a_proxy_or_the_network_says_is_told_in_words() {
        let told = |status| from_status(status).source().unwrap().to_string();
        assert_eq!(told(Status::unavailable("no healthy upstream")), "no healthy upstream");
        assert_eq!(told(Status::new(Code::Internal, "")), "Internal error");
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(told(Status::from_error(Box::new(refused))), "connection refused");
    }

    #[test]
    fn what_is_wrong_is_told_once() {
        let error = StoreError::Invalid { reason: "it names no stream".to_owned() };
        assert_eq!(from_status(to_status(&error)).to_string(), error.to_string());
    }

    #[test]
    fn a_client_is_not_told_what_the_database_says() {
        let status = to_status(&StoreError::Unavailable("access denied for store@10.0.0.7".into()));
        assert!(!format!("{status:?}").contains("10.0.0.7"), "{status:?}");
    }
}
