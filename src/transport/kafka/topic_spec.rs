//! What a topic is declared to be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::TopicError;

/// What a topic is declared to be. The declaration stands beside the source's schemas, in `schemas/<source>/topic.toml`:
///
/// ```
/// use tidings::transport::kafka::TopicSpec;
///
/// let text = r#"
///     partitions = 12
///     replication = 3
///     retention = "7d"        # or "36h", "30m", "90s", "forever"; the broker's default without it
///     compaction = false      # true keeps the last record of each key
///
///     [config]                # any other property of the topic
///     "min.insync.replicas" = "2"
/// "#;
/// let topic = TopicSpec::from_toml("accounts", text)?;
/// assert_eq!((topic.name(), topic.partitions()), ("accounts", 12));
/// # Ok::<(), tidings::transport::kafka::TopicError>(())
/// ```
///
/// | option | default | unit |
/// | --- | --- | --- |
/// | `partitions` | none: it must be given | |
/// | `replication` | the broker's `default.replication.factor` | copies |
/// | `retention` | the broker's | days, hours, minutes or seconds |
/// | `compaction` | false | |
/// | `config` | the broker's | |
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicSpec {
    #[serde(skip)]
    name: String,
    partitions: u32,
    #[serde(default)]
    replication: Option<u16>,
    #[serde(default)]
    retention: Option<Retention>,
    #[serde(default)]
    compaction: bool,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

/// How long a topic keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum Retention {
    /// At least this long.
    For(Duration),
    /// Until someone deletes them.
    Forever,
}

/// A text that names no retention.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no retention: write a number with d, h, m or s behind it, such as 7d, or forever")]
pub struct UnknownRetention(String);

impl TopicSpec {
    /// The topic `name` with `partitions` partitions and the broker's defaults.
    pub fn new(name: impl Into<String>, partitions: u32) -> Self {
        Self {
            name: name.into(),
            partitions,
            replication: None,
            retention: None,
            compaction: false,
            config: BTreeMap::new(),
        }
    }

    /// The declaration of `source`'s topic, from the text of its `topic.toml`.
    ///
    /// # Errors
    /// The text is not TOML, lacks `partitions`, or says something unknown.
    pub fn from_toml(source: &str, text: &str) -> Result<Self, TopicError> {
        if let Some(reason) = super::topic_name::fault(source) {
            return Err(TopicError::Name { topic: source.to_owned(), reason });
        }
        let malformed = |reason: String| TopicError::Declaration { source_name: source.to_owned(), reason };
        let mut topic: Self = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        if topic.partitions == 0 || i32::try_from(topic.partitions).is_err() {
            return Err(malformed(format!("partitions is {}; it must be at least 1", topic.partitions)));
        }
        source.clone_into(&mut topic.name);
        Ok(topic)
    }

    /// How many brokers keep a copy. Default: the broker's.
    pub fn replication(mut self, copies: u16) -> Self {
        self.replication = Some(copies);
        self
    }

    /// How long records are kept. Default: the broker's.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Whether the last record of each key is kept for ever. Default: false.
    pub fn compaction(mut self, compaction: bool) -> Self {
        self.compaction = compaction;
        self
    }

    /// Any other property of the topic, such as `min.insync.replicas`.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many partitions it is to have.
    pub fn partitions(&self) -> u32 {
        self.partitions
    }

    pub(super) fn copies(&self) -> Option<u16> {
        self.replication
    }

    /// The properties to create it with; the user's own win.
    pub(super) fn properties(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        if let Some(retention) = self.retention {
            let milliseconds = match retention {
                Retention::For(time) => time.as_millis().to_string(),
                Retention::Forever => "-1".to_owned(),
            };
            properties.insert("retention.ms".to_owned(), milliseconds);
        }
        if self.compaction {
            // With a retention, records older than it go even if they are the last of their key.
            let policy = if self.retention.is_some() { "compact,delete" } else { "compact" };
            properties.insert("cleanup.policy".to_owned(), policy.to_owned());
        }
        properties.extend(self.config.clone());
        properties
    }
}

impl TryFrom<String> for Retention {
    type Error = UnknownRetention;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "forever" {
            return Ok(Self::Forever);
        }
        let parse = || {
            let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let seconds = match unit {
                "d" => 86_400,
                "h" => 3_600,
                "m" => 60,
                "s" => 1,
                _ => return None,
            };
            number.parse::<u32>().ok().map(|number| Self::For(Duration::from_secs(u64::from(number) * seconds)))
        };
        parse().ok_or_else(|| UnknownRetention(text.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_read_with_its_unit() {
        let read = |text: &str| Retention::try_from(text.to_owned());
        assert_eq!(read("7d"), Ok(Retention::For(Duration::from_hours(7 * 24))));
        assert_eq!(read("forever"), Ok(Retention::Forever));
        for text in ["", "d", "7", "7y", "-1d", "7 d", "é"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_declaration_becomes_the_topics_properties_and_config_wins() {
        let text = "partitions = 3\nretention = \"1h\"\ncompaction = true\n[config]\n\"retention.ms\" = \"5\"";
        let properties = TopicSpec::from_toml("accounts", text).unwrap().properties();
        assert_eq!(properties.get("retention.ms").map(String::as_str), Some("5"));
        assert_eq!(properties.get("cleanup.policy").map(String::as_str), Some("compact,delete"));
    }

    #[test]
    fn a_declaration_that_cannot_be_meant_is_refused_by_name() {
        for text in ["", "partitions = 0", "partitions = 3\nretentoin = \"1h\"", "partitions = \"many\""] {
            let error = TopicSpec::from_toml("accounts", text).unwrap_err();
            assert!(error.to_string().contains("accounts"), "{error}");
        }
    }
}
