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
    /// Whether the reason is what the type said, which may hold the value.
    told_by_type: bool,
}

impl DatumError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Failure { path: Vec::new(), reason: reason.into(), told_by_type: false }))
    }

    /// Field names, keys and `[index]`, the outermost first.
    pub(crate) fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter().rev().map(|name| &**name)
    }

    /// Whether the reason is what the type said, which may hold the value.
    pub(crate) fn is_told_by_type(&self) -> bool {
        self.0.told_by_type
    }

    /// The same failure at the outermost `length` names of its path, and no reason that shows a value.
    pub(crate) fn hidden_below(mut self, length: usize) -> Self {
        self.0.path.drain(..self.0.path.len().saturating_sub(length));
        if self.0.told_by_type {
            "the type does not take its value, which is not shown: the schema marks it as \"pii\""
                .clone_into(&mut self.0.reason);
        }
        self
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
        let mut error = Self::new(message.to_string());
        error.0.told_by_type = true;
        error
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("duplicate field `{field}`"))
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
