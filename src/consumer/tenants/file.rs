//! Limits in a file.

use std::path::{Path, PathBuf};

use super::limits::TenantLimits;
use crate::consumer::text_file::Format;

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

/// How the file at `path` is written.
pub(super) fn format_of(path: &Path) -> Result<Format, TenantLimitsError> {
    Format::of(path).ok_or_else(|| TenantLimitsError::Extension { path: path.to_owned() })
}

/// The limits in `content`, which was read from `path`.
pub(super) fn parse(format: Format, path: &Path, content: &[u8]) -> Result<TenantLimits, TenantLimitsError> {
    format.parse(content).map_err(|fault| TenantLimitsError::Content {
        path: path.to_owned(),
        line: fault.line,
        column: fault.column,
        reason: fault.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::tenants::TenantLimit;

    fn parse(path: &str, content: &[u8]) -> Result<TenantLimits, String> {
        let path = Path::new(path);
        format_of(path).and_then(|format| super::parse(format, path, content)).map_err(|error| error.to_string())
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
