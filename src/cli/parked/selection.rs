//! Which parked keys are meant: the flags.

use clap::Args;

use super::Parked;
use crate::cli::error::CliError;
use crate::cli::header_map::Bytes;
use crate::cli::terminal_text::unescaped;
use crate::consumer::parked::{ParkCause, ParkedKey, ParkedRecord};

/// Which parked keys are meant. Every condition given must hold.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub(super) struct SelectionArguments {
    /// Only keys of this topic.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,

    /// Only keys of this partition.
    #[arg(long, short, value_name = "N")]
    partition: Option<i32>,

    /// Only keys whose first event failed in this handler, Dispatcher::method. A * at the end stands for any rest.
    #[arg(long, value_name = "HANDLER")]
    handler: Option<String>,

    /// Only keys whose first event failed with an error of this class, such as timeout. A * at the end stands for any rest.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Only keys whose first event's error contains this, in upper or lower case.
    #[arg(long, short, value_name = "TEXT")]
    error: Option<String>,
}

/// A parked key, and its first event.
pub(super) struct Found {
    pub(super) key: ParkedKey,
    pub(super) first: Option<ParkedRecord>,
}

impl SelectionArguments {
    fn is_of(&self, key: &ParkedKey) -> bool {
        self.topic.as_ref().is_none_or(|topic| **topic == *key.partition.topic)
            && self.partition.is_none_or(|partition| partition == key.partition.partition)
    }

    fn asks_why(&self) -> bool {
        self.handler.is_some() || self.class.is_some() || self.error.is_some()
    }

    fn takes(&self, cause: Option<&ParkCause>) -> bool {
        let Some(cause) = cause else { return !self.asks_why() };
        let matches = |pattern: &Option<String>, text: &str| match pattern
            .as_ref()
            .map(|pattern| (pattern, pattern.strip_suffix('*')))
        {
            None => true,
            Some((_, Some(beginning))) => text.starts_with(beginning),
            Some((pattern, None)) => pattern == text,
        };
        let contains = |part: &String| cause.error.to_lowercase().contains(&part.to_lowercase());
        matches(&self.handler, cause.handler.as_deref().unwrap_or_default())
            && matches(&self.class, &cause.class)
            && self.error.as_ref().is_none_or(contains)
    }

    /// The keys that are meant, the first `limit` of them, and how many there are.
    pub(super) async fn find(&self, parked: &Parked, limit: usize) -> Result<(Vec<Found>, usize), CliError> {
        let (mut found, mut count) = (Vec::new(), 0);
        for key in parked.keys().await?.into_iter().filter(|key| self.is_of(key)) {
            // Events are read only where they matter.
            if found.len() >= limit && !self.asks_why() {
                count += 1;
                continue;
            }
            let first = parked.records(&key, 1).await?.pop();
            if self.takes(first.as_ref().and_then(|first| first.cause.as_ref())) {
                count += 1;
                if found.len() < limit {
                    found.push(Found { key, first });
                }
            }
        }
        Ok((found, count))
    }

    /// The keys called so, each of which must be one.
    pub(super) async fn named(&self, parked: &Parked, names: &[String]) -> Result<Vec<Found>, CliError> {
        let keys = parked.keys().await?;
        let mut named = Vec::with_capacity(names.len());
        for name in names {
            let bytes = unescaped(name).unwrap_or_else(|| name.clone().into_bytes());
            let mut all = keys.iter().filter(|key| *key.key == *bytes && self.is_of(key));
            let shown = Bytes(bytes.clone()).to_line();
            let key = all.next().ok_or_else(|| {
                let group = &parked.group;
                CliError::failure(format!(
                    "the key {shown} is not parked in the group {group}; `tidings parked ls` lists those that are"
                ))
            })?;
            if let Some(other) = all.next() {
                return Err(CliError::usage(format!(
                    "the key {shown} is parked in {} and in {}; say which with --topic and --partition",
                    key.partition, other.partition
                )));
            }
            let first = parked.records(key, 1).await?.pop();
            named.push(Found { key: key.clone(), first });
        }
        Ok(named)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn cause(handler: &str, class: &str, error: &str) -> ParkCause {
        ParkCause {
            handler: Some(handler.to_owned()),
            class: class.to_owned(),
            error: error.to_owned(),
            attempts: 1,
            first_failure: DateTime::UNIX_EPOCH,
            parked_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn keys_are_chosen_by_why_they_are_parked() {
        let selection = |handler: Option<&str>, class: Option<&str>, error: Option<&str>| SelectionArguments {
            topic: None,
            partition: None,
            handler: handler.map(str::to_owned),
            class: class.map(str::to_owned),
            error: error.map(str::to_owned),
        };
        let found = cause("Board::on_score", "timeout", "The registry is away");
        assert!(selection(None, None, None).takes(Some(&found)) && selection(None, None, None).takes(None));
        assert!(selection(Some("Board::*"), Some("time*"), Some("REGISTRY")).takes(Some(&found)));
        assert!(!selection(Some("Board"), None, None).takes(Some(&found)));
        assert!(!selection(None, Some("panic"), None).takes(Some(&found)));
        assert!(!selection(None, None, Some("database")).takes(Some(&found)));
        assert!(!selection(None, None, Some("registry")).takes(None));
    }
}
