//! The envelope: an event's metadata as `CloudEvents` 1.0 headers in Kafka's binary mode.
//!
//! Names and values follow the [`CloudEvents` Kafka binding], with the `correlation`, `partitioning`, `sequence` and
//! `distributed tracing` extensions and, as our own extensions, `schemaversion`, `recordedtime` and `streamepoch`.
//!
//! [`CloudEvents` Kafka binding]: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md

use std::borrow::Cow;

use chrono::{DateTime, Datelike as _, SecondsFormat, Timelike as _, Utc};
use semver::Version;
use uuid::Uuid;

use crate::event::{Stream, source_of_path};
use crate::transport::Headers;

/// Header names.
pub mod header {
    /// Always `1.0`.
    pub const SPEC_VERSION: &str = "ce_specversion";
    /// The event's id, a `UUIDv7`.
    pub const ID: &str = "ce_id";
    /// `/accounts`: a slash and the publishing service's name.
    pub const SOURCE: &str = "ce_source";
    /// The event's name, `accounts.UserUpdated`.
    pub const TYPE: &str = "ce_type";
    /// The payload's version, `1.3.0`: routing needs no decoding.
    pub const SCHEMA_VERSION: &str = "ce_schemaversion";
    /// When it happened, RFC 3339.
    pub const TIME: &str = "ce_time";
    /// When it was recorded, RFC 3339.
    pub const RECORDED_TIME: &str = "ce_recordedtime";
    /// The stream, `Account/42`.
    pub const SUBJECT: &str = "ce_subject";
    /// The position in the stream, from 1, padded with zeros to 20 digits.
    pub const SEQUENCE: &str = "ce_sequence";
    /// The stream's epoch; absent while 0.
    pub const STREAM_EPOCH: &str = "ce_streamepoch";
    /// The key, as text.
    pub const PARTITION_KEY: &str = "ce_partitionkey";
    /// The id all events of one cause share.
    pub const CORRELATION_ID: &str = "ce_correlationid";
    /// The id of the event that caused this one.
    pub const CAUSATION_ID: &str = "ce_causationid";
    /// The URI of the payload's schema.
    pub const DATA_SCHEMA: &str = "ce_dataschema";
    /// Always `application/avro`.
    pub const CONTENT_TYPE: &str = "content-type";
    /// W3C trace context.
    pub const TRACEPARENT: &str = "traceparent";
    /// W3C trace context, the vendors' part.
    pub const TRACESTATE: &str = "tracestate";
}

/// The media type of every payload.
pub const AVRO_CONTENT_TYPE: &str = "application/avro";

/// An event's metadata, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event's id.
    pub id: Uuid,
    /// The publishing service's name, without the slash.
    pub source: Cow<'static, str>,
    /// The event's name.
    pub event: Cow<'static, str>,
    /// The payload's version.
    pub schema_version: Cow<'static, str>,
    /// When it happened.
    pub time: DateTime<Utc>,
    /// When it was recorded.
    pub recorded_time: DateTime<Utc>,
    /// The stream.
    pub stream: Stream,
    /// The position in the stream; only the outbox and the event store give one.
    pub sequence: Option<u64>,
    /// The stream's epoch.
    pub stream_epoch: u32,
    /// The key.
    pub key: String,
    /// The id all events of one cause share.
    pub correlation_id: String,
    /// The id of the event that caused this one.
    pub causation_id: Option<String>,
    /// The URI of the payload's schema.
    pub data_schema: String,
    /// W3C trace context.
    pub traceparent: String,
    /// W3C trace context, the vendors' part.
    pub tracestate: Option<String>,
}

/// About how many bytes an event takes, in a table or waiting: its payload, what of its metadata may be long, and the rest.
#[cfg_attr(not(any(feature = "publisher", feature = "store")), allow(dead_code, reason = "nothing is stored"))]
pub(crate) fn stored_bytes(payload: &[u8], texts: [&str; 3], optional: [&Option<String>; 2]) -> usize {
    /// What is of a bounded length.
    const REST: usize = 1_024;
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    payload.len() + texts + optional.iter().filter_map(|text| text.as_ref()).map(String::len).sum::<usize>() + REST
}

impl Envelope {
    /// About how many bytes an event with `payload` takes where it is stored.
    #[cfg_attr(not(any(feature = "publisher", feature = "store")), allow(dead_code, reason = "nothing is stored"))]
    pub(crate) fn stored_bytes(&self, payload: &[u8]) -> usize {
        let optional = [&self.causation_id, &self.tracestate];
        stored_bytes(payload, [&self.key, &self.data_schema, &self.correlation_id], optional)
    }

    /// The headers of this envelope.
    pub fn to_headers(&self) -> Headers {
        let mut headers = Headers::with_capacity(768);
        headers.push_str(header::SPEC_VERSION, "1.0");
        let mut id = Uuid::encode_buffer();
        headers.push_str(header::ID, self.id.hyphenated().encode_lower(&mut id));
        headers.push_with(header::SOURCE, |value| {
            value.push(b'/');
            value.extend_from_slice(self.source.as_bytes());
        });
        headers.push_str(header::TYPE, &self.event);
        headers.push_str(header::SCHEMA_VERSION, &self.schema_version);
        headers.push_with(header::TIME, |value| write_rfc3339(self.time, value));
        headers.push_with(header::RECORDED_TIME, |value| write_rfc3339(self.recorded_time, value));
        headers.push_str(header::SUBJECT, self.stream.as_str());
        if let Some(sequence) = self.sequence {
            headers.push_with(header::SEQUENCE, |value| push_digits::<20>(value, sequence));
        }
        if self.stream_epoch != 0 {
            headers.push_str(header::STREAM_EPOCH, &self.stream_epoch.to_string());
        }
        headers.push_str(header::PARTITION_KEY, &self.key);
        headers.push_str(header::CORRELATION_ID, &self.correlation_id);
        if let Some(causation_id) = &self.causation_id {
            headers.push_str(header::CAUSATION_ID, causation_id);
        }
        headers.push_str(header::DATA_SCHEMA, &self.data_schema);
        headers.push_str(header::CONTENT_TYPE, AVRO_CONTENT_TYPE);
        headers.push_str(header::TRACEPARENT, &self.traceparent);
        if let Some(tracestate) = &self.tracestate {
            headers.push_str(header::TRACESTATE, tracestate);
        }
        headers
    }
}

/// An envelope as it was read. Nothing is parsed before it is asked for, and what is malformed reads as absent:
/// headers come from strangers.
#[derive(Debug, Clone, Copy)]
pub struct EnvelopeView<'a> {
    headers: &'a Headers,
}

impl<'a> EnvelopeView<'a> {
    /// The envelope in `headers`.
    pub const fn new(headers: &'a Headers) -> Self {
        Self { headers }
    }

    /// The event's id; a UUID when tidings wrote it, any text when others did.
    pub fn id(&self) -> Option<&'a str> {
        self.headers.get_str(header::ID)
    }

    /// The publishing service's name, without the slash.
    pub fn source(&self) -> Option<&'a str> {
        self.headers.get_str(header::SOURCE).map(source_of_path)
    }

    /// The event's name.
    pub fn event(&self) -> Option<&'a str> {
        self.headers.get_str(header::TYPE)
    }

    /// The payload's version, as written.
    pub fn schema_version_text(&self) -> Option<&'a str> {
        self.headers.get_str(header::SCHEMA_VERSION)
    }

    /// The payload's version.
    pub fn schema_version(&self) -> Option<Version> {
        Version::parse(self.schema_version_text()?).ok()
    }

    /// When it happened.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.timestamp(header::TIME)
    }

    /// When it was recorded.
    pub fn recorded_time(&self) -> Option<DateTime<Utc>> {
        self.timestamp(header::RECORDED_TIME)
    }

    /// The stream.
    pub fn stream(&self) -> Option<Stream> {
        self.headers.get_str(header::SUBJECT).map(Stream::from_name)
    }

    /// The position in the stream, within its epoch.
    pub fn sequence(&self) -> Option<u64> {
        self.headers.get_str(header::SEQUENCE)?.parse().ok()
    }

    /// The stream's epoch; 0 unless an operator raised it.
    pub fn stream_epoch(&self) -> u32 {
        self.headers.get_str(header::STREAM_EPOCH).and_then(|epoch| epoch.parse().ok()).unwrap_or(0)
    }

    /// The key.
    pub fn key(&self) -> Option<&'a str> {
        self.headers.get_str(header::PARTITION_KEY)
    }

    /// The id all events of one cause share.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.headers.get_str(header::CORRELATION_ID)
    }

    /// The id of the event that caused this one.
    pub fn causation_id(&self) -> Option<&'a str> {
        self.headers.get_str(header::CAUSATION_ID)
    }

    /// The URI of the payload's schema.
    pub fn data_schema(&self) -> Option<&'a str> {
        self.headers.get_str(header::DATA_SCHEMA)
    }

    /// W3C trace context.
    pub fn traceparent(&self) -> Option<&'a str> {
        self.headers.get_str(header::TRACEPARENT)
    }

    /// W3C trace context, the vendors' part.
    pub fn tracestate(&self) -> Option<&'a str> {
        self.headers.get_str(header::TRACESTATE)
    }

    /// Any header, as text; the last of its name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get_str(name)
    }

    fn timestamp(self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::parse_from_rfc3339(self.headers.get_str(name)?).ok().map(|time| time.to_utc())
    }
}

/// As [`rfc3339`], behind what `buffer` holds. Every event has two: chrono's own formatting costs several times as much.
fn write_rfc3339(time: DateTime<Utc>, buffer: &mut Vec<u8>) {
    // Before the year 0 and after 9999, and in a leap second, the general form.
    let Some(year) = u64::try_from(time.year()).ok().filter(|year| *year <= 9_999 && time.nanosecond() < 1_000_000_000)
    else {
        buffer.extend_from_slice(rfc3339(time).as_bytes());
        return;
    };
    push_digits::<4>(buffer, year);
    let fields = [(b'-', time.month()), (b'-', time.day()), (b'T', time.hour()), (b':', time.minute())];
    for (separator, field) in fields.into_iter().chain([(b':', time.second())]) {
        buffer.push(separator);
        push_digits::<2>(buffer, u64::from(field));
    }
    buffer.push(b'.');
    push_digits::<6>(buffer, u64::from(time.nanosecond() / 1_000));
    buffer.push(b'Z');
}

/// The last `N` digits of `number`, padded with zeros.
fn push_digits<const N: usize>(buffer: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    buffer.extend_from_slice(&digits);
}

/// RFC 3339 with microseconds, the precision databases and Avro timestamps keep.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        Envelope {
            id: Uuid::from_u128(7),
            source: "accounts".into(),
            event: "accounts.UserUpdated".into(),
            schema_version: "1.3.0".into(),
            time: DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap(),
            recorded_time: DateTime::from_timestamp_micros(1_700_000_000_223_456).unwrap(),
            stream: Stream::new("Account", "42"),
            sequence: Some(17),
            stream_epoch: 0,
            key: "42".into(),
            correlation_id: "order-1".into(),
            causation_id: None,
            data_schema: "urn:avro:1".into(),
            traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into(),
            tracestate: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let envelope = envelope();
        let headers = envelope.to_headers();
        let view = EnvelopeView::new(&headers);
        assert_eq!(view.id(), Some("00000000-0000-0000-0000-000000000007"));
        assert_eq!(view.source(), Some("accounts"));
        assert_eq!(view.event(), Some("accounts.UserUpdated"));
        assert_eq!(view.schema_version(), Some(Version::new(1, 3, 0)));
        assert_eq!(view.time(), Some(envelope.time));
        assert_eq!(view.recorded_time(), Some(envelope.recorded_time));
        assert_eq!(view.stream(), Some(envelope.stream.clone()));
        assert_eq!(view.sequence(), Some(17));
        assert_eq!(view.key(), Some("42"));
        assert_eq!(headers.get_str(header::SEQUENCE), Some("00000000000000000017"));
        assert_eq!(headers.get_str(header::SPEC_VERSION), Some("1.0"));
    }

    #[test]
    fn times_are_written_as_chrono_writes_them() {
        let times = ["0000-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z", "2024-02-29T23:59:59.999999Z"];
        let times = times.into_iter().chain(["9999-12-31T23:59:59.9999999Z", "2016-12-31T23:59:60Z"]);
        let extremes = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
        for time in times.map(|text| text.parse::<DateTime<Utc>>().unwrap()).chain(extremes) {
            let mut buffer = Vec::new();
            write_rfc3339(time, &mut buffer);
            assert_eq!(String::from_utf8(buffer).unwrap(), rfc3339(time));
        }
    }

    #[test]
    fn the_epoch_is_written_only_when_it_is_not_zero() {
        let mut envelope = envelope();
        assert_eq!(envelope.to_headers().get(header::STREAM_EPOCH), None);
        envelope.stream_epoch = 3;
        let headers = envelope.to_headers();
        assert_eq!(EnvelopeView::new(&headers).stream_epoch(), 3);
    }

    #[test]
    fn malformed_headers_read_as_absent() {
        let mut headers = Headers::new();
        headers.push_str(header::TIME, "yesterday");
        headers.push_str(header::SEQUENCE, "-1");
        headers.push(header::ID, Some(&[0xff]));
        headers.push_str(header::SCHEMA_VERSION, "one");
        let view = EnvelopeView::new(&headers);
        assert_eq!((view.time(), view.sequence(), view.id(), view.schema_version()), (None, None, None, None));
    }
}
