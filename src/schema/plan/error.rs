//! Why a datum cannot be read.

use std::fmt;

/// Why a datum cannot be read, and at which field. Names no value: payloads are not for logs.
#[derive(Debug)]
pub(crate) struct DatumError(Box<Failure>);

#[derive(Debug)]
struct Failure {
    /// Field names, the innermost first.
    path: Vec<Box<str>>,
    reason: String,
}

impl DatumError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Failure { path: Vec::new(), reason: reason.into() }))
    }

    /// The same failure, seen from the record, array or map around it.
    #[cold]
    pub(crate) fn within(mut self, field: &str) -> Self {
        self.0.path.push(field.into());
        self
    }
}

impl fmt::Display for DatumError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.path.is_empty() {
            formatter.write_str("field `")?;
            for (index, name) in self.0.path.iter().rev().enumerate() {
                if index > 0 && !name.starts_with('[') {
                    formatter.write_str(".")?;
                }
                formatter.write_str(name)?;
            }
            formatter.write_str("`: ")?;
        }
        formatter.write_str(&self.0.reason)
    }
}

impl std::error::Error for DatumError {}

impl serde::de::Error for DatumError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("it is {}, and the type wants {expected}", kind(&found)))
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::new(format!("it is {} that the type does not take; it wants {expected}", kind(&found)))
    }
}

/// What was found, without its value.
fn kind(found: &serde::de::Unexpected<'_>) -> String {
    use serde::de::Unexpected;
    match found {
        Unexpected::Bool(_) => "a boolean".into(),
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer".into(),
        Unexpected::Float(_) => "a floating-point number".into(),
        Unexpected::Char(_) | Unexpected::Str(_) => "a string".into(),
        Unexpected::Bytes(_) => "bytes".into(),
        Unexpected::Unit => "null".into(),
        other => other.to_string(),
    }
}
