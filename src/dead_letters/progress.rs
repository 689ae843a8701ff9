//! Which letters were redriven: a record each, written in the transaction that redrives the letter.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::error::DeadLetterError;
use super::letter::{Letter, Place};
use super::merged_reader::MergedReader;
use crate::envelope::rfc3339;
use crate::transport::kafka::reader::Extent;
use crate::transport::kafka::{KafkaOptions, TopicError, TopicSpec, topics};
use crate::transport::{Headers, OutgoingRecord, Record};

/// What the name of the progress's topic ends with.
const SUFFIX: &str = ".redriven";

/// The topic that remembers which letters of `dead_letter_topic` were redriven.
pub(super) fn topic_of(dead_letter_topic: &str) -> Arc<str> {
    format!("{dead_letter_topic}{SUFFIX}").into()
}

/// A letter that was redriven. Its record's key is the letter's place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Mark {
    /// The letter's own timestamp. A topic that is deleted and made anew has other letters in the same places.
    letter_timestamp: Option<i64>,
    /// When it was redriven.
    redriven: DateTime<Utc>,
}

/// Which letters were redriven.
#[derive(Debug, Default)]
pub(super) struct Progress {
    marks: BTreeMap<Place, Mark>,
}

impl Progress {
    /// Read `topic`; empty where it does not exist.
    pub(super) async fn read(kafka: &KafkaOptions, topic: &str, deadline: Duration) -> Result<Self, DeadLetterError> {
        let mut reader = match MergedReader::open(kafka, topic, None, deadline, |_| Some((0, i64::MAX))).await {
            Ok(reader) => reader,
            Err(DeadLetterError::Missing { .. }) => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut progress = Self::default();
        while let Some(record) = reader.next().await? {
            progress.take(&record);
        }
        Ok(progress)
    }

    fn take(&mut self, record: &Record) {
        let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let Some(place) = key.and_then(|key| key.parse().ok()) else { return };
        match record.payload.as_deref().map(serde_json::from_slice) {
            Some(Ok(mark)) => drop(self.marks.insert(place, mark)),
            None => drop(self.marks.remove(&place)),
            Some(Err(error)) => tracing::warn!(%place, %error, "a mark of a redriven letter cannot be read"),
        }
    }

    /// When `letter` was redriven, if it was.
    pub(super) fn redriven(&self, letter: &Letter) -> Option<DateTime<Utc>> {
        let mark = self.marks.get(&letter.place())?;
        (mark.letter_timestamp == letter.record().timestamp_ms).then_some(mark.redriven)
    }

    /// The marks of letters that the dead-letter topic does not hold any more.
    pub(super) fn obsolete(&self, extents: &[Extent]) -> Vec<Place> {
        let gone = |place: &&Place| {
            let extent = extents.iter().find(|extent| extent.partition == place.partition);
            extent.is_some_and(|extent| place.offset < extent.start)
        };
        self.marks.keys().filter(gone).copied().collect()
    }
}

/// Create the progress's `topic` where it is missing.
pub(super) async fn ensure_topic(kafka: &KafkaOptions, topic: &str, deadline: Duration) -> Result<(), TopicError> {
    match topics::show(kafka, &[topic.to_owned()], deadline).await {
        Err(TopicError::Missing { .. }) => {
            // One partition: it holds a few bytes a letter, and is read from its beginning.
            let spec = TopicSpec::new(topic, 1).compaction(true);
            topics::ensure(kafka, &[spec], deadline).await.map(drop)
        }
        other => other.map(drop),
    }
}

/// The record that marks `letter` as redriven at `time`.
pub(super) fn mark(topic: &Arc<str>, letter: &Letter, time: DateTime<Utc>) -> OutgoingRecord {
    let mark = serde_json::json!({"letter_timestamp": letter.record().timestamp_ms, "redriven": rfc3339(time)});
    record(topic, letter.place(), Some(mark.to_string().into_bytes()))
}

/// The record that takes the mark of the letter at `place` away.
pub(super) fn unmark(topic: &Arc<str>, place: Place) -> OutgoingRecord {
    record(topic, place, None)
}

fn record(topic: &Arc<str>, place: Place, payload: Option<Vec<u8>>) -> OutgoingRecord {
    OutgoingRecord {
        topic: Arc::clone(topic),
        partition: None,
        key: Some(place.to_string().into()),
        payload: payload.map(Bytes::from),
        headers: Headers::new(),
        timestamp_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(partition: i32, offset: i64, timestamp_ms: Option<i64>) -> Letter {
        Letter::new(Record {
            topic: "d".into(),
            partition,
            offset,
            timestamp_ms,
            key: None,
            payload: None,
            headers: Headers::new(),
        })
    }

    fn read_back(records: impl IntoIterator<Item = OutgoingRecord>) -> Progress {
        let mut progress = Progress::default();
        for record in records {
            progress.take(&Record {
                topic: record.topic,
                partition: 0,
                offset: 0,
                timestamp_ms: None,
                key: record.key,
                payload: record.payload,
                headers: record.headers,
            });
        }
        progress
    }

    #[test]
    fn a_marked_letter_is_known_and_another_in_its_place_is_not() {
        let (topic, time) = (topic_of("d"), DateTime::from_timestamp(5, 0).unwrap());
        assert_eq!(&*topic, "d.redriven");
        let marked = letter(3, 17, Some(1_000));
        let progress = read_back([mark(&topic, &marked, time), mark(&topic, &letter(0, 1, None), time)]);
        assert_eq!(progress.redriven(&marked), Some(time));
        assert_eq!(progress.redriven(&letter(0, 1, None)), Some(time));
        for other in [letter(3, 17, Some(1_001)), letter(3, 17, None), letter(3, 18, Some(1_000))] {
            assert_eq!(progress.redriven(&other), None);
        }
    }

    #[test]
    fn marks_of_letters_that_are_gone_are_taken_away() {
        let (topic, time) = (topic_of("d"), DateTime::UNIX_EPOCH);
        let marks = [(0, 1), (0, 7), (1, 3)].map(|(partition, offset)| letter(partition, offset, None));
        let mut records: Vec<_> = marks.iter().map(|letter| mark(&topic, letter, time)).collect();
        let progress = read_back(records.clone());
        let obsolete = progress.obsolete(&[Extent { partition: 0, start: 5, end: 9 }]);
        assert_eq!(obsolete, [Place { partition: 0, offset: 1 }]);
        records.extend(obsolete.into_iter().map(|place| unmark(&topic, place)));
        let progress = read_back(records);
        assert_eq!(marks.map(|letter| progress.redriven(&letter).is_some()), [false, true, true]);
    }

    #[test]
    fn what_is_no_mark_is_passed_over() {
        let topic = topic_of("d");
        let place = Place { partition: 0, offset: 0 };
        let nameless = OutgoingRecord { key: None, ..unmark(&topic, place) };
        let strange = OutgoingRecord { key: Some(Bytes::from_static(b"\xff")), ..unmark(&topic, place) };
        let broken = record(&topic, place, Some(b"{".to_vec()));
        assert!(read_back([nameless, strange, broken]).marks.is_empty());
    }
}
