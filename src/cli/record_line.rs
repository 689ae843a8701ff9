//! A record as JSON: what `tail` writes and `publish` reads back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat};
use serde::Serialize;
use serde_json::{Map, Value};

use super::header_map::{Bytes, HeaderMap};
use super::masking::PayloadView;
use crate::envelope::EnvelopeView;
use crate::transport::Record;

/// A record as JSON.
#[derive(Serialize)]
pub(super) struct RecordLine {
    pub(super) topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<String>,
    pub(super) key: Option<Bytes>,
    pub(super) event: Option<String>,
    pub(super) version: Option<String>,
    pub(super) headers: HeaderMap,
    /// The name of the payload's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_id: Option<u32>,
    /// The payload; null for a tombstone, and where it could not be decoded.
    pub(super) payload: Option<Value>,
    /// Whether some of the payload is hidden: such a line is for reading, not for publishing again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) masked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) payload_error: Option<String>,
}

/// The names of a line's parts.
const PARTS: &[&str] = &[
    "topic",
    "partition",
    "offset",
    "timestamp",
    "key",
    "event",
    "version",
    "headers",
    "record",
    "schema_id",
    "payload",
    "masked",
    "payload_base64",
    "payload_error",
];

/// What a payload was found to be.
pub(super) enum Payload {
    /// There is none.
    Tombstone,
    /// It could be decoded.
    Decoded { record: String, schema_id: Option<u32>, value: Value, masked: bool },
    /// It could not.
    Undecodable { reason: String },
}

impl Payload {
    /// What the payload of `record` is found to be.
    pub(super) async fn of(record: &Record, view: &PayloadView) -> Self {
        if record.payload.is_none() {
            return Self::Tombstone;
        }
        match view.codec.decode_record_json(record).await {
            Ok(json) => {
                let (record, schema_id, mut value) = (json.record, json.schema_id, json.value);
                let masked = view.mask(schema_id, &record, &mut value).await;
                Self::Decoded { record, schema_id: schema_id.number(), value, masked }
            }
            Err(error) => Self::Undecodable { reason: reason(&error) },
        }
    }
}

/// An error and its causes, on one line.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl RecordLine {
    /// `record`, with what its payload was found to be.
    pub(super) fn new(record: &Record, payload: Payload) -> Self {
        let envelope = EnvelopeView::new(&record.headers);
        let mut line = Self {
            topic: record.topic.to_string(),
            partition: Some(record.partition),
            offset: Some(record.offset),
            timestamp: record.timestamp_ms.and_then(timestamp),
            key: record.key.as_deref().map(|key| Bytes(key.to_vec())),
            event: envelope.event().map(str::to_owned),
            version: envelope.schema_version_text().map(str::to_owned),
            headers: HeaderMap::of(&record.headers),
            record: None,
            schema_id: None,
            payload: None,
            masked: false,
            payload_base64: None,
            payload_error: None,
        };
        match payload {
            Payload::Tombstone => {}
            Payload::Decoded { record, schema_id, value, masked } => {
                (line.record, line.schema_id, line.payload) = (Some(record), schema_id, Some(value));
                line.masked = masked;
            }
            Payload::Undecodable { reason } => {
                line.payload_base64 = Some(STANDARD.encode(record.payload.as_deref().unwrap_or_default()));
                line.payload_error = Some(reason);
            }
        }
        line
    }

    /// Whether an object is a line of `tail`: it has headers and a payload, and nothing that a line has not.
    pub(super) fn is_one(object: &Map<String, Value>) -> bool {
        let has_payload = object.contains_key("payload") || object.contains_key("payload_base64");
        let all_known = object.keys().all(|key| PARTS.contains(&key.as_str()));
        has_payload && all_known && object.get("headers").is_some_and(Value::is_object)
    }

    /// Read a line of `tail`.
    ///
    /// # Errors
    /// Which part is not what it should be.
    pub(super) fn read(mut object: Map<String, Value>) -> Result<Self, String> {
        if object.remove("masked").is_some_and(|masked| masked != Value::Bool(false)) {
            return Err("`payload` is masked: read it again with --unmask to publish it".to_owned());
        }
        let mut text = |name: &str| match object.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` is not text")),
        };
        let line = Self {
            topic: text("topic")?.unwrap_or_default(),
            partition: None,
            offset: None,
            timestamp: None,
            event: text("event")?,
            version: text("version")?,
            payload_base64: text("payload_base64")?,
            payload_error: text("payload_error")?,
            record: text("record")?,
            schema_id: None,
            masked: false,
            key: Bytes::read(object.remove("key").unwrap_or_default()).map_err(|reason| format!("`key` {reason}"))?,
            headers: HeaderMap::read(object.remove("headers").unwrap_or_default())?,
            payload: object.remove("payload").filter(|payload| !payload.is_null()),
        };
        if let Some(text) = &line.payload_base64 {
            STANDARD.decode(text).map_err(|error| format!("`payload_base64` is not base64: {error}"))?;
        }
        Ok(line)
    }

    /// The payload's own bytes, where they could not be decoded.
    pub(super) fn raw_payload(&self) -> Option<Vec<u8>> {
        STANDARD.decode(self.payload_base64.as_ref()?).ok()
    }
}

fn timestamp(milliseconds: i64) -> Option<String> {
    DateTime::from_timestamp_millis(milliseconds).map(|time| time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Headers;

    fn record() -> Record {
        let mut headers = Headers::new();
        headers.push_str("ce_type", "accounts.UserUpdated");
        headers.push_str("twice", "1");
        headers.push([0xff, b'x'], Some(&[0xfe]));
        headers.push("twice", None);
        headers.push("", Some(b"\x1b[2J"));
        Record {
            topic: "accounts".into(),
            partition: 3,
            offset: 42,
            timestamp_ms: Some(1_700_000_000_123),
            key: Some(bytes::Bytes::from_static(&[0xff, 0])),
            payload: Some(bytes::Bytes::from_static(&[7, 0xff])),
            headers,
        }
    }

    #[test]
    fn whatever_a_record_holds_reads_back_from_its_line() {
        let line = RecordLine::new(&record(), Payload::Undecodable { reason: "no".to_owned() });
        let json = serde_json::to_string(&line).unwrap();
        let Value::Object(object) = serde_json::from_str(&json).unwrap() else { panic!("{json}") };
        assert!(RecordLine::is_one(&object), "{json}");
        let read = RecordLine::read(object).unwrap();
        assert_eq!((read.key.clone(), read.event.clone()), (line.key.clone(), line.event.clone()));
        assert_eq!(read.raw_payload().as_deref(), Some(&[7, 0xff][..]));
        let sorted = |headers: &HeaderMap| {
            let mut headers = headers.0.clone();
            headers.sort_by(|(a, _), (b, _)| a.cmp(b));
            headers
        };
        assert_eq!(sorted(&read.headers), sorted(&line.headers), "{json}");
    }

    #[test]
    fn a_line_names_the_event_and_shows_the_payload() {
        let payload = Payload::Decoded {
            record: "accounts.UserUpdated".to_owned(),
            schema_id: Some(5),
            value: serde_json::json!({"user_id": 42}),
            masked: false,
        };
        let json = serde_json::to_value(RecordLine::new(&record(), payload)).unwrap();
        assert_eq!(json["event"], "accounts.UserUpdated");
        assert_eq!(json["payload"]["user_id"], 42);
        assert_eq!(json["timestamp"], "2023-11-14T22:13:20.123Z");
        assert_eq!(json["headers"]["twice"], serde_json::json!(["1", null]));
        assert!(json.get("payload_error").is_none());
    }

    #[test]
    fn a_payload_is_not_mistaken_for_a_line() {
        let is_one = |value: Value| matches!(value, Value::Object(object) if RecordLine::is_one(&object));
        assert!(!is_one(serde_json::json!({"user_id": 42})));
        assert!(!is_one(serde_json::json!({"headers": {}, "payload": {}, "user_id": 42})));
        assert!(!is_one(serde_json::json!({"headers": "none", "payload": {}})));
        assert!(is_one(serde_json::json!({"headers": {}, "payload": null, "key": "42"})));
    }

    #[test]
    fn a_broken_line_says_which_part() {
        let read = |value: Value| match value {
            Value::Object(object) => RecordLine::read(object).err().unwrap_or_default(),
            _ => String::new(),
        };
        assert!(read(serde_json::json!({"headers": {}, "payload": {}, "event": 5})).contains("`event`"));
        assert!(read(serde_json::json!({"headers": {"a": 5}, "payload": {}})).contains("`a`"));
        assert!(read(serde_json::json!({"headers": {}, "key": {"base64": "?"}, "payload": {}})).contains("`key`"));
        assert!(read(serde_json::json!({"headers": {}, "payload_base64": "?"})).contains("payload_base64"));
        assert!(read(serde_json::json!({"headers": {}, "payload": {}, "masked": true})).contains("--unmask"));
    }
}
