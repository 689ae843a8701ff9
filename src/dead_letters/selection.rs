//! Which letters are meant.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::letter::{Letter, Place};

/// Which letters are meant: those that every condition given holds for; all of them without any.
///
/// ```
/// use tidings::dead_letters::Selection;
///
/// let selection = Selection::all().class("timeout").handler("Leaderboards::*").key("42");
/// # let _ = selection;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Selection {
    class: Option<String>,
    error: Option<String>,
    handler: Option<String>,
    event: Option<String>,
    key: Option<Vec<u8>>,
    original_topic: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    places: BTreeSet<Place>,
}

impl Selection {
    /// All letters.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only errors of this class, such as `timeout`. A `*` at the end stands for any rest.
    pub fn class(mut self, class: impl Into<String>) -> Self {
        self.class = Some(class.into());
        self
    }

    /// Only errors whose text, or that of a cause, contains `text`, in upper or lower case.
    pub fn error(mut self, text: impl Into<String>) -> Self {
        self.error = Some(text.into().to_lowercase());
        self
    }

    /// Only those of this handler, `Dispatcher::method`. A `*` at the end stands for any rest.
    pub fn handler(mut self, handler: impl Into<String>) -> Self {
        self.handler = Some(handler.into());
        self
    }

    /// Only events of this name. A `*` at the end stands for any rest.
    pub fn event(mut self, event: impl Into<String>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// Only records with this key.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Only records that were read from this topic.
    pub fn original_topic(mut self, topic: impl Into<String>) -> Self {
        self.original_topic = Some(topic.into());
        self
    }

    /// Only letters written at `time` or later.
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// Only letters written before `time`.
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// Only the letters at these places, and those given in earlier calls.
    pub fn at(mut self, places: impl IntoIterator<Item = Place>) -> Self {
        self.places.extend(places);
        self
    }

    /// Whether `letter` is meant.
    pub fn contains(&self, letter: &Letter) -> bool {
        let circumstances = letter.circumstances();
        let named = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found.is_some_and(|found| matches(wanted, found)))
        };
        let mentions = |wanted: &String| {
            let texts = [&circumstances.message, &circumstances.chain];
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(wanted))
        };
        let topic = circumstances.origin.as_ref().map(|origin| origin.topic.as_str());
        (self.places.is_empty() || self.places.contains(&letter.place()))
            && named(&self.class, circumstances.class.as_deref())
            && named(&self.handler, circumstances.handler.as_deref())
            && named(&self.event, letter.event())
            && self.key.as_ref().is_none_or(|key| letter.record().key.as_deref() == Some(key))
            && self.original_topic.as_ref().is_none_or(|wanted| topic == Some(wanted))
            && self.since.is_none_or(|since| letter.written().is_some_and(|written| written >= since))
            && self.until.is_none_or(|until| letter.written().is_some_and(|written| written < until))
            && self.error.as_ref().is_none_or(mentions)
    }

    /// The time before which no letter is meant, in milliseconds since 1970.
    pub(super) fn since_ms(&self) -> Option<i64> {
        self.since.map(|since| since.timestamp_millis())
    }

    /// The first and the last offset that is meant of `partition`, both included; `None` when none is.
    pub(super) fn offsets(&self, partition: i32) -> Option<(i64, i64)> {
        if self.places.is_empty() {
            return Some((0, i64::MAX));
        }
        let mut offsets = self.places.iter().filter(|place| place.partition == partition).map(|place| place.offset);
        let first = offsets.next()?;
        Some((first, offsets.next_back().unwrap_or(first)))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => text.starts_with(beginning),
        None => text == pattern,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::dead_letters::header;
    use crate::transport::{Headers, Record};

    fn letter() -> Letter {
        let headers: Headers = [
            ("ce_type", "accounts.UserUpdated"),
            (header::TOPIC, "accounts"),
            (header::CLASS, "timeout"),
            (header::HANDLER, "Board::on_updated"),
            (header::MESSAGE, "Too slow"),
            (header::CHAIN, "Too slow: connection to 10.0.0.1 was lost"),
        ]
        .into_iter()
        .map(|(name, value)| (name, Some(value)))
        .collect();
        Letter::new(Record {
            topic: "d".into(),
            partition: 3,
            offset: 17,
            timestamp_ms: Some(1_000),
            key: Some(Bytes::from_static(b"42")),
            payload: None,
            headers,
        })
    }

    #[test]
    fn every_condition_must_hold() {
        let second = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let place = |partition, offset| Place { partition, offset };
        let all = Selection::all;
        for (selection, expected) in [
            (all(), true),
            (all().class("timeout"), true),
            (all().class("time*"), true),
            (all().class("panic"), false),
            (all().error("CONNECTION to"), true),
            (all().error("too slow"), true),
            (all().error("refused"), false),
            (all().handler("Board::on_updated"), true),
            (all().handler("Board::*"), true),
            (all().handler("Board"), false),
            (all().event("accounts.*"), true),
            (all().event("scores.*"), false),
            (all().key("42"), true),
            (all().key("4"), false),
            (all().original_topic("accounts"), true),
            (all().original_topic("account"), false),
            (all().since(second(1)).until(second(2)), true),
            (all().since(second(2)), false),
            (all().until(second(1)), false),
            (all().at([place(3, 17), place(0, 1)]), true),
            (all().at([place(3, 18)]), false),
            (all().class("timeout").key("7"), false),
        ] {
            assert_eq!(selection.contains(&letter()), expected, "{selection:?}");
        }
    }

    #[test]
    fn a_letter_that_does_not_tell_is_not_meant_by_a_condition_on_it() {
        let record = Record { headers: Headers::new(), timestamp_ms: None, ..letter().record().clone() };
        let silent = Letter::new(record);
        assert!(Selection::all().contains(&silent));
        for selection in [
            Selection::all().class("*"),
            Selection::all().error(""),
            Selection::all().handler("*"),
            Selection::all().event("*"),
            Selection::all().since(DateTime::UNIX_EPOCH),
            Selection::all().original_topic(""),
        ] {
            assert!(!selection.contains(&silent), "{selection:?}");
        }
    }

    #[test]
    fn only_the_offsets_that_are_meant_are_read() {
        let places = [(0, 5), (0, 9), (2, 1)].map(|(partition, offset)| Place { partition, offset });
        let some = Selection::all().at(places);
        assert_eq!([0, 1, 2].map(|partition| some.offsets(partition)), [Some((5, 9)), None, Some((1, 1))]);
        assert_eq!(Selection::all().offsets(7), Some((0, i64::MAX)));
    }
}
