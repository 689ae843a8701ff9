//! How errors look that end a program.
//!
//! A `main` that returns `Result<(), Box<dyn Error>>` prints its error's `Debug`. For errors that a service meets when it starts or
//! stops, that is the text and its causes: the sentence that says what to do must not be lost there.

use std::error::Error;
use std::fmt;

/// The error's text and its causes, each after a colon.
pub(crate) fn write_chain(error: &dyn Error, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(formatter, "{error}")?;
    let mut cause = error.source();
    while let Some(error) = cause {
        write!(formatter, ": {error}")?;
        cause = error.source();
    }
    Ok(())
}

/// The same as a text, for the log.
#[cfg(feature = "consumer")]
pub(crate) fn chain(error: &dyn Error) -> String {
    fmt::from_fn(|formatter| write_chain(error, formatter)).to_string()
}

/// `Debug` as the error's text and its causes.
macro_rules! debug_as_report {
    ($error:ty) => {
        impl std::fmt::Debug for $error {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::error_report::write_chain(self, formatter)
            }
        }
    };
}

pub(crate) use debug_as_report;

#[cfg(test)]
mod tests {
    use std::io;

    #[derive(thiserror::Error)]
    #[error("cannot start")]
    struct Outer(#[source] io::Error);

    debug_as_report!(Outer);

    #[test]
    fn what_main_prints_is_the_text_and_its_causes() {
        let error: Box<dyn std::error::Error> = Box::new(Outer(io::Error::other("no broker; check the address")));
        assert_eq!(format!("{error:?}"), "cannot start: no broker; check the address");
    }
}
