//! What is configured in files: TOML or JSON, as a file's extension says.

use std::path::Path;

use serde::de::DeserializeOwned;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Json,
}

/// What is wrong in a file, and where: line and column from 1.
pub(crate) struct Fault {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) reason: String,
}

impl Format {
    /// As the name of the file says, if it does.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Some(Self::Toml),
            Some("json") => Some(Self::Json),
            _ => None,
        }
    }

    pub(crate) fn parse<T: DeserializeOwned>(self, content: &[u8]) -> Result<T, Fault> {
        let text = std::str::from_utf8(content).map_err(|error| {
            let (line, column) = place(&content[..error.valid_up_to()]);
            Fault { line, column, reason: "this is not UTF-8".to_owned() }
        })?;
        match self {
            Self::Toml => toml::from_str(text).map_err(|error| {
                let (line, column) = place(&content[..error.span().map_or(0, |span| span.start).min(content.len())]);
                Fault { line, column, reason: error.message().trim().to_owned() }
            }),
            Self::Json => serde_json::from_str(text).map_err(|error| {
                let reason = error.to_string();
                // The library says the place behind it.
                let reason = reason.rsplit_once(" at line ").map_or(&*reason, |(reason, _)| reason).to_owned();
                Fault { line: error.line(), column: error.column(), reason }
            }),
        }
    }
}

/// The line and the column behind `before`, in characters.
fn place(before: &[u8]) -> (usize, usize) {
    let lines = || before.split(|byte| *byte == b'\n');
    let column = String::from_utf8_lossy(lines().next_back().unwrap_or_default()).chars().count() + 1;
    (lines().count(), column)
}
