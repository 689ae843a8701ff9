//! Limits in a file.

use std::path::{Path, PathBuf};

use super::limits::TenantLimits;

/// The largest file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 1024 * 1024;

/// A file of tenants' limits cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantLimitsError {
    /// Its name does not say what is in it.
    #[error("the file of tenants' limits {} is neither .toml nor .json: rename it", path.display())]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the file of tenants' limits {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// What is in it is no limits.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Json,
}

impl Format {
    pub(super) fn of(path: &Path) -> Result<Self, TenantLimitsError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("json") => Ok(Self::Json),
            _ => Err(TenantLimitsError::Extension { path: path.to_owned() }),
        }
    }

    pub(super) fn parse(self, path: &Path, content: &[u8]) -> Result<TenantLimits, TenantLimitsError> {
        let wrong =
            |line, column, reason: String| TenantLimitsError::Content { path: path.to_owned(), line, column, reason };
        let text = std::str::from_utf8(content).map_err(|error| {
            let (line, column) = place(&content[..error.valid_up_to()]);
            wrong(line, column, "this is not UTF-8".to_owned())
        })?;
        match self {
            Self::Toml => toml::from_str(text).map_err(|error| {
                let (line, column) = place(&content[..error.span().map_or(0, |span| span.start).min(content.len())]);
                wrong(line, column, error.message().trim().to_owned())
            }),
            Self::Json => serde_json::from_str(text).map_err(|error| {
                let reason = error.to_string();
                // The library says the place behind it.
                let reason = reason.rsplit_once(" at line ").map_or(&*reason, |(reason, _)| reason).to_owned();
                wrong(error.line(), error.column(), reason)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tenants::TenantLimit;

    fn parse(path: &str, content: &[u8]) -> Result<TenantLimits, String> {
        let path = Path::new(path);
        Format::of(path).and_then(|format| format.parse(path, content)).map_err(|error| error.to_string())
    }

    #[test]
    fn limits_are_read_by_the_names_documented() {
        let expected = TenantLimits::new()
            .default_limit(TenantLimit::new().max_in_flight(32).rate(200))
            .tenant("acme", TenantLimit::new().share(3));
        let toml = "[default]\nmax_in_flight = 32\nrate = 200\n[tenants.acme]\nshare = 3\n";
        assert_eq!(parse("limits.toml", toml.as_bytes()), Ok(expected.clone()));
        let json = r#"{"default": {"max_in_flight": 32, "rate": 200}, "tenants": {"acme": {"share": 3}}}"#;
        assert_eq!(parse("limits.json", json.as_bytes()), Ok(expected));
    }

    #[test]
    fn a_broken_file_is_refused_with_the_line_and_the_column() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("l.toml", b"[default]\nrate = 5\nshare = \n", "l.toml, line 3, column 9: "),
            ("l.toml", b"[default]\n\nrates = 5\n", "l.toml, line 3, column 1: unknown field `rates`"),
            ("l.toml", b"[tenants.acme]\nshare = 0\n", "l.toml, line 2, column 9: invalid value: integer `0`"),
            ("l.json", b"{\"default\": {\n  \"share\": 0}}", "l.json, line 2, column 12: invalid value: integer `0`"),
            ("l.json", b"{", "l.json, line 1, column 1: EOF while parsing an object"),
            ("l.toml", b"# \xc3\xa9\n# \xff", "l.toml, line 2, column 3: this is not UTF-8"),
        ];
        for (path, content, expected) in cases {
            let error = parse(path, content).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(parse("limits.yaml", b"").unwrap_err().contains("neither .toml nor .json"));
    }
}
