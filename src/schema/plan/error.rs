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
    /// The reason without the value, where `reason` may show some of it.
    without_value: Option<String>,
}

impl DatumError {
    /// For a reason that shows nothing of the value.
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Failure { path: Vec::new(), reason: reason.into(), without_value: None }))
    }

    /// For a reason that may show some of the value, and what is said where it must not.
    #[cold]
    pub(crate) fn of_value(reason: impl Into<String>, without_value: impl Into<String>) -> Self {
        let mut error = Self::new(reason);
        error.0.without_value = Some(without_value.into());
        error
    }

    /// The branch that was written cannot be read. Which one it was is told by the value.
    #[cold]
    pub(crate) fn unreadable_branch(reason: &str) -> Self {
        Self::of_value(reason, "the branch that was written cannot be read as the reader's type")
    }

    /// Field names, keys and `[index]`, the outermost first.
    pub(crate) fn path(&self) -> impl Iterator<Item = &str> {
        self.0.path.iter().rev().map(|name| &**name)
    }

    /// Whether the reason may show some of the value.
    pub(crate) fn may_show_value(&self) -> bool {
        self.0.without_value.is_some()
    }

    /// The same failure at the outermost `length` names of its path, and no reason that shows a value.
    pub(crate) fn hidden_below(mut self, length: usize) -> Self {
        self.0.path.drain(..self.0.path.len().saturating_sub(length));
        if let Some(reason) = self.0.without_value.take() {
            self.0.reason = format!("{reason}; the value is not shown: the schema marks it as \"pii\"");
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
        Self::of_value(message.to_string(), "the type does not take it")
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("missing field `{field}`"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("duplicate field `{field}`"))
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        // What is expected is in the type's own words, too.
        Self::of_value(
            format!("it is {}, and the type wants {expected}", shown(&found)),
            format!("it is {}, and the type wants another", kind(&found)),
        )
    }

    fn invalid_value(found: serde::de::Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        Self::of_value(
            format!("it is {} that the type does not take; it wants {expected}", shown(&found)),
            format!("it is {} that the type does not take", kind(&found)),
        )
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
        Unexpected::Other(_) => "something else".into(),
        // Of a kind without a value.
        other => other.to_string(),
    }
}

/// The same, in the type's own words where it has some: those may be the value.
fn shown(found: &serde::de::Unexpected<'_>) -> String {
    match found {
        serde::de::Unexpected::Other(_) => found.to_string(),
        found => kind(found),
    }
}
