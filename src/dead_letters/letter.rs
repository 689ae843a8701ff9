//! A dead letter.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::circumstances::Circumstances;
use crate::envelope::EnvelopeView;
use crate::transport::Record;

/// Where a letter stands in its dead-letter topic. Written `PARTITION:OFFSET`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.partition, self.offset)
    }
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place of a letter: write PARTITION:OFFSET, such as 3:17")]
pub struct UnknownPlace(String);

impl FromStr for Place {
    type Err = UnknownPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownPlace(text.to_owned());
        let (partition, offset) = text.split_once(':').ok_or_else(unknown)?;
        let place = Self {
            partition: partition.parse().map_err(|_| unknown())?,
            offset: offset.parse().map_err(|_| unknown())?,
        };
        if place.partition < 0 || place.offset < 0 { Err(unknown()) } else { Ok(place) }
    }
}

/// A dead letter: the record as it was, and how it became a letter.
#[derive(Debug, Clone)]
pub struct Letter {
    record: Record,
    circumstances: Circumstances,
    redriven: Option<DateTime<Utc>>,
}

impl Letter {
    /// The letter that `record` of a dead-letter topic is.
    pub fn new(record: Record) -> Self {
        let circumstances = Circumstances::of(&record.headers);
        Self { record, circumstances, redriven: None }
    }

    /// The same letter, redriven at a time.
    pub(super) fn redriven_at(mut self, time: Option<DateTime<Utc>>) -> Self {
        self.redriven = time;
        self
    }

    /// The same letter without its payload, which may be large.
    pub(super) fn without_payload(&self) -> Self {
        // What it shares with its neighbours would be kept with it.
        let record = Record { payload: None, ..self.record.clone() }.detached();
        Self { record, circumstances: self.circumstances.clone(), redriven: self.redriven }
    }

    /// Where it stands in its dead-letter topic.
    pub fn place(&self) -> Place {
        Place { partition: self.record.partition, offset: self.record.offset }
    }

    /// The record: key, payload and headers as they were, and the letter's own headers.
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// How it became a letter.
    pub const fn circumstances(&self) -> &Circumstances {
        &self.circumstances
    }

    /// When it was redriven, if it was.
    pub const fn redriven(&self) -> Option<DateTime<Utc>> {
        self.redriven
    }

    /// When the letter was written.
    pub fn written(&self) -> Option<DateTime<Utc>> {
        self.record.timestamp_ms.and_then(DateTime::from_timestamp_millis)
    }

    /// The event's name, if the record carries it.
    pub fn event(&self) -> Option<&str> {
        EnvelopeView::new(&self.record.headers).event()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_from_its_text() {
        let place = Place { partition: 3, offset: 17 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "3", "3:", ":17", "-1:17", "3:-17", "3:17:1", "a:b"] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }
}
