//! The options in a file.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use toml::{Table, Value};

use crate::cli::error::CliError;

/// The file that is read when none is named.
const DEFAULT: &str = "tidings.toml";

/// The options a file may hold, all of them text. `kafka` is a table of properties besides, and `shards` one of databases.
const OPTIONS: &[&str] = &[
    "brokers",
    "database",
    "registry",
    "registry_password",
    "registry_token",
    "registry_user",
    "schemas",
    "service",
    "store",
    "store_token",
];

/// The options of a file; none where there is no file. Values may be secrets: no error shows one.
#[derive(Default)]
pub(super) struct SettingsFile {
    options: BTreeMap<String, String>,
    kafka: Vec<(String, String)>,
    shards: Vec<(String, String)>,
}

impl SettingsFile {
    /// Read `path`, or the default where it is there.
    pub(super) fn load(path: Option<&Path>) -> Result<Self, CliError> {
        let chosen = path.unwrap_or(DEFAULT.as_ref());
        let shown = chosen.display();
        match fs::read_to_string(chosen) {
            Ok(text) => Self::parse(chosen, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => Ok(Self::default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CliError::usage(format!(
                "there is no configuration file {shown}; correct --config or TIDINGS_CONFIG"
            ))),
            Err(error) => {
                Err(CliError::usage(format!("the configuration file {shown} cannot be read")).caused_by(&error))
            }
        }
    }

    /// The options in `text`, the content of `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, CliError> {
        let path = path.display();
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            // The library's own text quotes the line, which may hold a secret.
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            CliError::usage(format!("{path}, line {line}, is not TOML: {}", without_values(error.message())))
        })?;
        let mut file = Self::default();
        for (name, value) in table {
            match (name.as_str(), value) {
                ("kafka", Value::Table(properties)) => flatten("", properties, &mut file.kafka).map_err(|name| {
                    CliError::usage(format!("{path}: {name} under [kafka] is neither text nor a number"))
                })?,
                ("kafka", _) => {
                    return Err(CliError::usage(format!(
                        "{path}: kafka is a table of properties; begin it with [kafka]"
                    )));
                }
                ("shards", Value::Table(shards)) => {
                    for (name, url) in shards {
                        let Value::String(url) = url else {
                            return Err(CliError::usage(format!(
                                "{path}: {name} under [shards] is not the URL of a database"
                            )));
                        };
                        file.shards.push((name, url));
                    }
                }
                ("shards", _) => {
                    return Err(CliError::usage(format!(
                        "{path}: shards is a table of databases by their names; begin it with [shards]"
                    )));
                }
                (known, Value::String(value)) if OPTIONS.contains(&known) => {
                    if !value.is_empty() {
                        file.options.insert(name, value);
                    }
                }
                (known, _) if OPTIONS.contains(&known) => {
                    return Err(CliError::usage(format!("{path}: {known} is not text; write {known} = \"…\"")));
                }
                (unknown, _) => {
                    let known = OPTIONS.join(", ");
                    return Err(CliError::usage(format!(
                        "{path}: there is no option {unknown}; the options are {known}, and the tables [kafka] and [shards]"
                    )));
                }
            }
        }
        Ok(file)
    }

    /// The option `name`.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        debug_assert!(OPTIONS.contains(&name), "{name} is not an option");
        self.options.get(name).cloned()
    }

    /// The shards, name and URL.
    pub(super) fn shards(&self) -> &[(String, String)] {
        &self.shards
    }

    /// The properties of the Kafka client.
    pub(super) fn kafka(&self) -> &[(String, String)] {
        &self.kafka
    }
}

/// `sasl.username = "x"` is a table in a table to TOML, and a property to the client.
fn flatten(prefix: &str, table: Table, properties: &mut Vec<(String, String)>) -> Result<(), String> {
    for (name, value) in table {
        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        let value = match value {
            Value::Table(inner) => {
                flatten(&name, inner, properties)?;
                continue;
            }
            Value::String(value) => value,
            Value::Integer(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Boolean(value) => value.to_string(),
            Value::Array(_) | Value::Datetime(_) => return Err(name),
        };
        properties.push((name, value));
    }
    Ok(())
}

fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).fold(1, |line, byte| line + usize::from(byte == b'\n'))
}

/// What the library says, without what it quotes: that may be a part of a value. A sign or two are none.
fn without_values(message: &str) -> String {
    let quoted = |(index, part): (usize, &str)| match (index % 2, part.chars().count()) {
        (0, _) => part.to_owned(),
        (_, 0..=2) => format!("`{part}`"),
        (_, _) => "…".to_owned(),
    };
    let line = message.lines().next().unwrap_or_default();
    line.split('`').enumerate().map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SettingsFile, String> {
        SettingsFile::parse("conf/tidings.toml".as_ref(), text).map_err(|error| match error {
            CliError::Usage(report) => report.to_string(),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn properties_are_written_quoted_or_dotted() {
        let file =
            parse("service = \"accounts\"\n[kafka]\n\"a.b\" = \"1\"\nsasl.username = \"u\"\nsasl.x.y = true\nn = 5")
                .unwrap();
        assert_eq!(file.text("service").as_deref(), Some("accounts"));
        let mut kafka = file.kafka().to_vec();
        kafka.sort();
        let expected = [("a.b", "1"), ("n", "5"), ("sasl.username", "u"), ("sasl.x.y", "true")];
        assert_eq!(kafka, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_unknown_option_is_named_with_the_known_ones() {
        let error = parse("brokrs = \"secret\"").err().unwrap();
        assert!(
            error.contains("conf/tidings.toml") && error.contains("brokrs") && error.contains("brokers"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn no_error_shows_a_value() {
        for text in [
            "registry_password = secret",
            "registry_password = \"secret",
            "registry_password = [\"secret\"]",
            "registry_password = { secret = \"secret\" }",
            "a = 1\na = \"secret\"",
            "kafka = \"secret\"",
            "shards = \"secret\"",
            "[shards]\na = [\"secret\"]",
            "[kafka]\nsasl.password = [\"secret\"]",
            "[kafka]\nsasl.password = 'secret\n",
        ] {
            let error = parse(text).err().unwrap();
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_syntax_error_names_its_line() {
        let error = parse("brokers = \"a:1\"\n\nregistry = oops\n").err().unwrap();
        assert!(error.contains("line 3"), "{error}");
        let error = parse("brokers \"a:1\"").err().unwrap();
        assert!(error.contains("line 1") && error.contains("expected `=`"), "{error}");
    }
}
