//! The record a letter becomes again.

use std::sync::Arc;

use super::circumstances::LetterFormat;
use super::header;
use super::letter::Letter;
use super::refusal::Refusal;
use crate::transport::kafka::topic_name;
use crate::transport::{Headers, OutgoingRecord};

/// What decides whether and how letters become records again.
#[derive(Debug, Clone)]
pub(super) struct RedriveRules {
    /// The dead-letter topic and that of the progress: nothing is redriven into them.
    pub(super) own_topics: [Arc<str>; 2],
    /// Letters redriven so often are refused.
    pub(super) max_redrives: u32,
    /// The group redriven records are for, whatever letters say.
    pub(super) for_group: Option<String>,
    /// The group of letters that name none.
    pub(super) group_of_topic: Option<String>,
}

impl RedriveRules {
    /// The record that `letter` becomes again: its key and payload, its own headers, and ours behind them.
    ///
    /// # Errors
    /// Why it is not to be redriven.
    pub(super) fn apply(&self, letter: &Letter) -> Result<OutgoingRecord, Refusal> {
        let (record, circumstances) = (letter.record(), letter.circumstances());
        let topic = &circumstances.origin.as_ref().ok_or(Refusal::NoOrigin)?.topic;
        // Headers are anybody's who may write to the dead-letter topic; an operator may write to more.
        let own = self.own_topics.iter().any(|own| **own == **topic);
        if own || topic.starts_with("__") || topic_name::fault(topic).is_some() {
            return Err(Refusal::ForbiddenTopic);
        }
        if record.payload.is_none() {
            return Err(Refusal::NoPayload);
        }
        if circumstances.redrives >= self.max_redrives {
            return Err(Refusal::TooOften);
        }
        let group = self.for_group.as_ref().or(circumstances.group.as_ref()).or(self.group_of_topic.as_ref());
        let group = group.ok_or(Refusal::NoGroup)?;
        let mut headers = original_headers(&record.headers, circumstances.format);
        headers.push_str(header::REDRIVES, &(circumstances.redrives.saturating_add(1)).to_string());
        headers.push_str(header::REDRIVE_GROUP, group);
        Ok(OutgoingRecord {
            topic: topic.as_str().into(),
            // The key decides, as it did the first time.
            partition: None,
            key: record.key.clone(),
            payload: record.payload.clone(),
            headers,
            // Its own time: retention goes by timestamps, and would delete an old event at once.
            timestamp_ms: None,
        })
    }
}

/// A letter's headers without those that made it one.
fn original_headers(headers: &Headers, format: LetterFormat) -> Headers {
    let of_letter = |name: &[u8]| {
        let begins = |prefix: &&str| name.starts_with(prefix.as_bytes());
        begins(&header::PREFIX)
            || begins(&header::spring::PREFIX)
            // Left in place, Spring would go on counting attempts where it gave up.
            || (format == LetterFormat::Spring && header::spring::OTHER_PREFIXES.iter().any(begins))
    };
    headers.iter().filter(|header| !of_letter(header.name)).map(|header| (header.name, header.value)).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::transport::Record;

    fn rules() -> RedriveRules {
        RedriveRules {
            own_topics: ["g.dead-letters".into(), "g.dead-letters.redriven".into()],
            max_redrives: 3,
            for_group: None,
            group_of_topic: None,
        }
    }

    fn letter(headers: &[(&str, &str)]) -> Letter {
        let mut all = Headers::new();
        all.push([0xff], Some(b"raw"));
        all.push("null", None);
        for (name, value) in headers {
            all.push_str(name, value);
        }
        Letter::new(Record {
            topic: "g.dead-letters".into(),
            partition: 3,
            offset: 17,
            timestamp_ms: Some(1_000),
            key: Some(Bytes::from_static(&[0, 159])),
            payload: Some(Bytes::from_static(b"\xffnot avro")),
            headers: all,
        })
    }

    const GOOD: [(&str, &str); 3] = [(header::TOPIC, "accounts"), (header::GROUP, "g"), (header::CLASS, "panic")];

    #[test]
    fn a_redriven_record_is_the_original_with_our_two_headers_behind_its_own() {
        let record = rules().apply(&letter(&[("twice", "1"), GOOD[0], GOOD[1], ("twice", "2"), GOOD[2]])).unwrap();
        assert_eq!((&*record.topic, record.partition, record.timestamp_ms), ("accounts", None, None));
        assert_eq!(record.key.as_deref(), Some(&[0, 159][..]));
        assert_eq!(record.payload.as_deref(), Some(&b"\xffnot avro"[..]));
        let headers: Vec<_> = record.headers.iter().map(|header| (header.name.to_vec(), header.value)).collect();
        let expected: [(&[u8], Option<&[u8]>); 6] = [
            (&[0xff], Some(b"raw")),
            (b"null", None),
            (b"twice", Some(b"1")),
            (b"twice", Some(b"2")),
            (b"__dlq.tidings.redrives", Some(b"1")),
            (b"__dlq.tidings.redrive.group", Some(b"g")),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_vec(), value)));
    }

    #[test]
    fn the_count_goes_on_and_the_guard_ends_it() {
        let mut letter = letter(&GOOD);
        for redrives in 1..=3 {
            let mut headers = rules().apply(&letter).unwrap().headers;
            assert_eq!(headers.get_str(header::REDRIVES), Some(redrives.to_string().as_str()));
            // Given up again: the engine keeps all headers and adds its own.
            for (name, value) in GOOD {
                headers.push_str(name, value);
            }
            letter = Letter::new(Record { headers, ..letter.record().clone() });
        }
        assert_eq!(rules().apply(&letter).unwrap_err(), Refusal::TooOften);
        assert!(RedriveRules { max_redrives: 4, ..rules() }.apply(&letter).is_ok());
    }

    #[test]
    fn springs_headers_go_and_an_applications_stay() {
        let springs = [
            ("kafka_dlt-original-topic", "orders"),
            ("kafka_dlt-original-consumer-group", "billing"),
            ("kafka_original-offset", "1"),
            ("kafka_exception-fqcn", "E"),
            ("retry_topic-attempts", "3"),
            ("springDeserializerExceptionValue", "x"),
            ("kafka_correlationId", "7"),
        ];
        let record = rules().apply(&letter(&springs)).unwrap();
        let names: Vec<_> = record.headers.iter().skip(2).map(|header| header.name.to_vec()).collect();
        assert_eq!(names, [&b"kafka_correlationId"[..], b"__dlq.tidings.redrives", b"__dlq.tidings.redrive.group"]);
        assert_eq!(record.headers.get_str(header::REDRIVE_GROUP), Some("billing"));
        // A letter of ours keeps what a Spring application wrote on the event itself.
        let kept = rules().apply(&letter(&[("retry_topic-attempts", "3"), GOOD[0], GOOD[1]])).unwrap();
        assert_eq!(kept.headers.get_str("retry_topic-attempts"), Some("3"));
    }

    #[test]
    fn the_group_is_the_one_asked_for_else_the_letters_else_the_topics() {
        let group = |rules: RedriveRules, letter: &Letter| {
            rules.apply(letter).map(|record| record.headers.get_str(header::REDRIVE_GROUP).unwrap().to_owned())
        };
        let (named, nameless) = (letter(&GOOD), letter(&GOOD[..1]));
        let of_topic = || RedriveRules { group_of_topic: Some("t".to_owned()), ..rules() };
        assert_eq!(group(of_topic(), &named).unwrap(), "g");
        assert_eq!(group(of_topic(), &nameless).unwrap(), "t");
        let asked = RedriveRules { for_group: Some("other".to_owned()), ..of_topic() };
        assert_eq!(group(asked, &named).unwrap(), "other");
        assert_eq!(group(rules(), &nameless).unwrap_err(), Refusal::NoGroup);
    }

    #[test]
    fn a_letter_that_cannot_be_trusted_with_a_topic_is_refused() {
        let refused = |headers: &[(&str, &str)]| rules().apply(&letter(headers)).unwrap_err();
        assert_eq!(refused(&[]), Refusal::NoOrigin);
        for topic in ["__consumer_offsets", "g.dead-letters", "g.dead-letters.redriven", "a/b", "..", "a\0b"] {
            assert_eq!(refused(&[(header::TOPIC, topic), GOOD[1]]), Refusal::ForbiddenTopic, "{topic}");
        }
        let tombstone = Letter::new(Record { payload: None, ..letter(&GOOD).record().clone() });
        assert_eq!(rules().apply(&tombstone).unwrap_err(), Refusal::NoPayload);
    }
}
