//! Options from a file.

use std::path::Path;

use super::{ConsumerOptions, OptionsError};
use crate::consumer::text_file::Format;

impl ConsumerOptions {
    /// The options in a file, TOML or JSON by its extension, by the names above; what it does not say has its default. It is read at
    /// once, so do it before the service serves anybody.
    ///
    /// # Errors
    /// The file cannot be read, or something in it is no option or cannot be its value: the line and the column are told.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, OptionsError> {
        let path = path.as_ref();
        let format = Format::of(path).ok_or_else(|| OptionsError::Extension { path: path.to_owned() })?;
        let content = std::fs::read(path).map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
        Self::parse(path, format, &content)
    }

    fn parse(path: &Path, format: Format, content: &[u8]) -> Result<Self, OptionsError> {
        format.parse(content).map_err(|fault| OptionsError::Content {
            path: path.to_owned(),
            line: fault.line,
            column: fault.column,
            reason: without_values(&fault.reason),
        })
    }
}

/// What a parser says, without a value that has the wrong type: of that, its type alone.
fn without_values(reason: &str) -> String {
    let wrong = reason.strip_prefix("invalid type: ").or_else(|| reason.strip_prefix("invalid value: "));
    match wrong.and_then(|wrong| wrong.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let kind = found.split_whitespace().next().unwrap_or_default();
            format!("expected {expected}, and this {kind} is none")
        }
        None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, content: &str) -> Result<ConsumerOptions, String> {
        let path = Path::new(path);
        ConsumerOptions::parse(path, Format::of(path).unwrap(), content.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_refused_with_the_place_and_the_reason() {
        for (path, content, expected) in [
            (
                "o.toml",
                "service = \"a\"\nmax_in_fligth = 5\n",
                "o.toml, line 2, column 1: unknown field `max_in_fligth`",
            ),
            ("o.toml", "[retry]\nmax_attempt = 5\n", "o.toml, line 2, column 1: unknown field `max_attempt`"),
            (
                "o.toml",
                "concurrency = 0\n",
                "o.toml, line 1, column 15: expected a nonzero u32, and this integer is none",
            ),
            ("o.toml", "max_in_flight = 0\n", "o.toml, line 1, column 17: it is at least 1"),
            ("o.json", "{\"retry\": {\"max_attempts\": 0}}", "o.json, line 1, column 29: it is at least 1"),
            ("o.toml", "rate = -1\n", "o.toml, line 1, column 8: expected a nonzero u32, and this integer is none"),
            ("o.toml", "order = \"keys\"\n", "o.toml, line 1, column 9: unknown variant `keys`, expected one of `key`"),
            ("o.toml", "timeout_ms = \"5s\"\n", "o.toml, line 1, column 14: expected u64, and this string is none"),
            ("o.json", "{\"max_waiting\": true}", "o.json, line 1, column 20: expected u32, and this boolean is none"),
        ] {
            let error = parse(path, content).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        let error = ConsumerOptions::from_file("options.yaml").unwrap_err();
        assert!(error.to_string().contains("neither .toml nor .json"), "{error}");
        let error = ConsumerOptions::from_file("no-such-folder/options.toml").unwrap_err();
        assert!(matches!(error, OptionsError::Read { .. }), "{error:?}");
    }

    #[test]
    fn no_error_shows_what_may_be_a_password() {
        for content in [
            "[kafka.properties]\n\"sasl.password\" = 5318008\n",
            "[kafka.properties]\n\"sasl.password\" = [\"5318008\"]\n",
            "[kafka.properties]\n\"sasl.password\" = 5318008x\n",
            "[kafka.properties]\n\"sasl.password\" = \"5318008\n",
            "[kafka]\nproperties = \"5318008\"\n",
            "kafka = \"a, expected 5318008\"\n",
        ] {
            let error = parse("o.toml", content).unwrap_err();
            assert!(!error.contains("5318008"), "{content}: {error}");
        }
        let error = parse("o.json", r#"{"kafka": {"properties": {"sasl.password": 5318008}}}"#).unwrap_err();
        assert!(!error.contains("5318008"), "{error}");
    }
}
