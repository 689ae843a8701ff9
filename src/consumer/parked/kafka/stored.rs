//! What a record of the parked topic says: its key is JSON that names an event or a request, its value the event's payload or
//! the request's word.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::consumer::parked::{ParkCause, ParkRequest, ParkedKeyId, ParkedRecord};
use crate::envelope::rfc3339;
use crate::transport::{Headers, OutgoingRecord, Record, TopicPartition};

/// Headers that stand behind the event's own.
mod header {
    /// The payload is null; an empty value stands for it, since a null value would remove the event.
    pub(super) const NULL: &str = "__parked.null";
    /// The record's own timestamp, in milliseconds since 1970.
    pub(super) const TIMESTAMP: &str = "__parked.timestamp";
    pub(super) const HANDLER: &str = "__parked.handler";
    pub(super) const CLASS: &str = "__parked.error.class";
    pub(super) const ERROR: &str = "__parked.error";
    pub(super) const ATTEMPTS: &str = "__parked.attempts";
    pub(super) const FIRST_FAILURE: &str = "__parked.first.failure";
    pub(super) const AT: &str = "__parked.at";
    /// The last one: how many headers are the event's own. An event may have headers of these names, too.
    pub(super) const OWN: &str = "__parked.headers";
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) key: ParkedKeyId,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// The event at this offset.
    Event(i64),
    /// What is asked of the key.
    Request,
}

/// The key of a record. The order of the fields is part of the format: compaction compares bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordKey {
    group: String,
    topic: String,
    partition: i32,
    key: KeyText,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<bool>,
}

/// The event's key: text, where it is some that needs no escapes, else base64.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum KeyText {
    Text(String),
    Bytes { base64: String },
}

impl KeyText {
    fn of(key: &[u8]) -> Self {
        match std::str::from_utf8(key) {
            Ok(text) if !text.chars().any(char::is_control) => Self::Text(text.to_owned()),
            _ => Self::Bytes { base64: STANDARD.encode(key) },
        }
    }

    fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(text.into()),
            Self::Bytes { base64 } => STANDARD.decode(base64).ok().map(Bytes::from),
        }
    }
}

impl Subject {
    pub(super) fn event(key: ParkedKeyId, offset: i64) -> Self {
        Self { key, what: What::Event(offset) }
    }

    pub(super) fn request(key: ParkedKeyId) -> Self {
        Self { key, what: What::Request }
    }

    /// The subject of a record with this key. `None` where it is anything but what [`to_bytes`](Self::to_bytes) makes: under another
    /// spelling a record could not be removed.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let RecordKey { group, topic, partition, key, offset, request } = serde_json::from_slice(bytes).ok()?;
        let what = match (offset, request) {
            (Some(offset @ 0..), None) => What::Event(offset),
            (None, Some(true)) => What::Request,
            _ => return None,
        };
        let partition = TopicPartition { topic: topic.into(), partition };
        let subject = Self { key: ParkedKeyId { group: group.into(), partition, key: key.into_bytes()? }, what };
        (subject.to_bytes() == bytes).then_some(subject)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let ParkedKeyId { group, partition, key } = &self.key;
        let (offset, request) = match self.what {
            What::Event(offset) => (Some(offset), None),
            What::Request => (None, Some(true)),
        };
        let key = RecordKey {
            group: group.to_string(),
            topic: partition.topic.to_string(),
            partition: partition.partition,
            key: KeyText::of(key),
            offset,
            request,
        };
        // Text and numbers always have a JSON.
        serde_json::to_vec(&key).unwrap_or_default()
    }

    /// The record for `topic` that removes what stands under this key.
    pub(super) fn tombstone(&self, topic: &std::sync::Arc<str>) -> OutgoingRecord {
        self.outgoing(topic, None, Headers::new())
    }

    fn outgoing(&self, topic: &std::sync::Arc<str>, payload: Option<Bytes>, headers: Headers) -> OutgoingRecord {
        OutgoingRecord {
            topic: topic.clone(),
            partition: Some(0),
            key: Some(self.to_bytes().into()),
            payload,
            headers,
            timestamp_ms: None,
        }
    }
}

/// The record that asks for something.
pub(super) fn write_request(topic: &std::sync::Arc<str>, key: ParkedKeyId, request: ParkRequest) -> OutgoingRecord {
    Subject::request(key).outgoing(topic, Some(Bytes::from_static(request.as_str().as_bytes())), Headers::new())
}

/// What a record asks for.
pub(super) fn read_request(record: &Record) -> Option<ParkRequest> {
    let word = std::str::from_utf8(record.payload.as_deref()?).ok()?;
    ParkRequest::from_word(word.trim())
}

/// The record that keeps an event.
pub(super) fn write_event(topic: &std::sync::Arc<str>, key: ParkedKeyId, event: &ParkedRecord) -> OutgoingRecord {
    let mut headers = event.headers.clone();
    let own = headers.len().to_string();
    if event.payload.is_none() {
        headers.push(header::NULL, None);
    }
    if let Some(timestamp) = event.timestamp_ms {
        headers.push_str(header::TIMESTAMP, &timestamp.to_string());
    }
    if let Some(cause) = &event.cause {
        if let Some(handler) = &cause.handler {
            headers.push_str(header::HANDLER, handler);
        }
        headers.push_str(header::CLASS, &cause.class);
        headers.push_str(header::ERROR, &cause.error);
        headers.push_str(header::ATTEMPTS, &cause.attempts.to_string());
        headers.push_str(header::FIRST_FAILURE, &rfc3339(cause.first_failure));
        headers.push_str(header::AT, &rfc3339(cause.parked_at));
    }
    headers.push_str(header::OWN, &own);
    Subject::event(key, event.offset).outgoing(topic, Some(event.payload.clone().unwrap_or_default()), headers)
}

/// The event that a record keeps. `None` when the record says anything else than [`write_event`] makes of one.
pub(super) fn read_event(record: &Record) -> Option<ParkedRecord> {
    let Subject { key: ParkedKeyId { partition, key, .. }, what: What::Event(offset) } =
        Subject::read(record.key.as_deref()?)?
    else {
        return None;
    };
    let (last, count) = (record.headers.iter().last()?, record.headers.len());
    let own = std::str::from_utf8(last.value.filter(|_| last.name == header::OWN.as_bytes())?).ok()?;
    let own = own.parse::<usize>().ok().filter(|own| *own < count)?;
    let headers: Headers = record.headers.iter().take(own).map(|header| (header.name, header.value)).collect();
    let ours: Headers = record.headers.iter().skip(own).map(|header| (header.name, header.value)).collect();
    let is_null = ours.iter().any(|header| header.name == header::NULL.as_bytes());
    let timestamp_ms = match ours.get_str(header::TIMESTAMP) {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let cause = match ours.get_str(header::CLASS) {
        Some(class) => Some(ParkCause {
            handler: ours.get_str(header::HANDLER).map(str::to_owned),
            class: class.to_owned(),
            error: ours.get_str(header::ERROR)?.to_owned(),
            attempts: ours.get_str(header::ATTEMPTS)?.parse().ok()?,
            first_failure: time(ours.get_str(header::FIRST_FAILURE)?)?,
            parked_at: time(ours.get_str(header::AT)?)?,
        }),
        None => None,
    };
    let payload = record.payload.clone().filter(|_| !is_null);
    Some(ParkedRecord { partition, offset, timestamp_ms, key, payload, headers, cause })
}

fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(key: &'static [u8]) -> ParkedKeyId {
        let partition = TopicPartition { topic: "accounts".into(), partition: 3 };
        ParkedKeyId { group: "boards.Board".into(), partition, key: Bytes::from_static(key) }
    }

    /// As if it had been written and read.
    fn written(outgoing: OutgoingRecord) -> Record {
        let OutgoingRecord { topic, key, payload, headers, .. } = outgoing;
        Record { topic, partition: 0, offset: 9, timestamp_ms: None, key, payload, headers }
    }

    #[test]
    fn a_request_can_be_written_by_hand() {
        let text = r#"{"group":"boards.Board","topic":"accounts","partition":3,"key":"42","request":true}"#;
        let subject = Subject::read(text.as_bytes()).unwrap();
        assert_eq!(subject, Subject::request(key(b"42")));
        let record = written(write_request(&"p".into(), key(b"42"), ParkRequest::Skip));
        assert_eq!(record.key.as_deref(), Some(text.as_bytes()));
        assert_eq!((record.payload.as_deref(), read_request(&record)), (Some(&b"skip"[..]), Some(ParkRequest::Skip)));
    }

    #[test]
    fn whatever_the_bytes_of_a_key_its_subject_reads_back() {
        for bytes in [&b""[..], b"42", b"\xff\x00", b"a\nb", "Łódź".as_bytes(), b"{\"base64\":\"\"}", b"\"\\"] {
            let id = ParkedKeyId { key: Bytes::copy_from_slice(bytes), ..key(b"") };
            for subject in [Subject::event(id.clone(), i64::MAX), Subject::request(id.clone())] {
                assert_eq!(Subject::read(&subject.to_bytes()), Some(subject));
            }
        }
    }

    #[test]
    fn another_spelling_of_a_subject_is_none() {
        for text in [
            r#"{"group": "g","topic":"t","partition":3,"key":"42","request":true}"#,
            r#"{"topic":"t","group":"g","partition":3,"key":"42","request":true}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":{"base64":"NDI="},"request":true}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":"42","request":false}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":"42","offset":-1}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":"42","offset":1,"request":true}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":"42"}"#,
            r#"{"group":"g","topic":"t","partition":3,"key":"42","offset":1,"more":1}"#,
            "42",
            "",
        ] {
            assert_eq!(Subject::read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_event_with_headers_of_our_names_keeps_them() {
        let mut headers = Headers::new();
        headers.push_str(header::OWN, "7");
        headers.push_str(header::CLASS, "mine");
        headers.push([0xff], None);
        let ParkedKeyId { partition, key: bytes, .. } = key(b"42");
        let event =
            ParkedRecord { partition, offset: 5, timestamp_ms: None, key: bytes, payload: None, headers, cause: None };
        let read = read_event(&written(write_event(&"p".into(), key(b"42"), &event))).unwrap();
        assert_eq!(read.headers.to_wire(), event.headers.to_wire());
        assert_eq!((read.payload, read.cause), (None, None));
    }

    proptest! {
        #[test]
        fn no_record_makes_reading_panic(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
            own in proptest::option::of("[0-9]{0,20}"),
            payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
        ) {
            let mut headers = Headers::new();
            headers.push_str("a", "b");
            if let Some(own) = own {
                headers.push_str(header::OWN, &own);
            }
            let good = Subject::event(super::tests::key(b"42"), 1).to_bytes();
            for key in [key.clone().map(Bytes::from), Some(good.into())] {
                let record = Record {
                    topic: "p".into(), partition: 0, offset: 0, timestamp_ms: None, key,
                    payload: payload.clone().map(Bytes::from), headers: headers.clone(),
                };
                let _ = (read_event(&record), read_request(&record));
            }
        }
    }
}
