//! A Kafka record, owned, and its headers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

/// A record as it was read, or as it will be written.
#[derive(Clone)]
pub struct Record {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset; negative while the record has not been written.
    pub offset: i64,
    /// The record's timestamp, in milliseconds since 1970, where it has one.
    pub timestamp_ms: Option<i64>,
    /// The key.
    pub key: Option<Bytes>,
    /// The payload; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// The headers.
    pub headers: Headers,
}

impl Record {
    /// The bytes this record holds in memory.
    pub fn size(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len)
            + self.payload.as_ref().map_or(0, Bytes::len)
            + self.headers.buffer.capacity()
            + if self.headers.spans.spilled() { self.headers.spans.capacity() * size_of::<Span>() } else { 0 }
            + size_of::<Self>()
    }
}

impl fmt::Debug for Record {
    // Keys and payloads are people's data: they do not belong in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("topic", &self.topic)
            .field("partition", &self.partition)
            .field("offset", &self.offset)
            .field("payload_bytes", &self.payload.as_ref().map(Bytes::len))
            .finish_non_exhaustive()
    }
}

/// Record headers in their order; a name may stand more than once, and need not be UTF-8.
#[derive(Clone, Default)]
pub struct Headers {
    // All names and values, one behind the other: one allocation a record instead of one a header.
    buffer: Vec<u8>,
    spans: SmallVec<[Span; 16]>,
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    name: u32,
    value: Option<u32>,
}

/// One header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name.
    pub name: &'a [u8],
    /// The value; headers can be null.
    pub value: Option<&'a [u8]>,
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// No headers, with room for `bytes` of names and values.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { buffer: Vec::with_capacity(bytes), spans: SmallVec::new() }
    }

    /// Add a header behind the others.
    pub fn push(&mut self, name: impl AsRef<[u8]>, value: Option<&[u8]>) {
        if let Some(value) = value {
            self.push_with(name, |buffer| buffer.extend_from_slice(value));
        } else {
            let start = self.push_name(name.as_ref());
            self.push_span(start, name.as_ref().len(), None);
        }
    }

    /// Add a header whose value `write` appends to the buffer it is given: no allocation for the value.
    pub(crate) fn push_with(&mut self, name: impl AsRef<[u8]>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.push_name(name.as_ref());
        let value = self.buffer.len();
        write(&mut self.buffer);
        self.push_span(start, name.as_ref().len(), Some(self.buffer.len() - value));
    }

    fn push_name(&mut self, name: &[u8]) -> usize {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(name);
        start
    }

    // Kafka bounds a record at 2 GiB, so neither offsets nor lengths can pass `u32`.
    #[expect(clippy::cast_possible_truncation, reason = "a record is smaller than 4 GiB")]
    fn push_span(&mut self, start: usize, name: usize, value: Option<usize>) {
        self.spans.push(Span { start: start as u32, name: name as u32, value: value.map(|value| value as u32) });
    }

    /// Add a text header behind the others.
    pub fn push_str(&mut self, name: &str, value: &str) {
        self.push(name, Some(value.as_bytes()));
    }

    /// The last value under `name`, as Kafka's own clients choose among repeated names.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        // Most headers asked for are not there, and most names differ in length.
        let as_long = self.spans.iter().rev().filter(|span| span.name as usize == name.len());
        as_long.map(|span| self.header(*span)).find(|header| header.name == name.as_bytes())?.value
    }

    /// The last value under `name`, if it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Header<'_>> {
        self.spans.iter().map(|span| self.header(*span))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    fn header(&self, span: Span) -> Header<'_> {
        let name_start = span.start as usize;
        let value_start = name_start + span.name as usize;
        Header {
            name: &self.buffer[name_start..value_start],
            value: span.value.map(|length| &self.buffer[value_start..value_start + length as usize]),
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter().map(|header| String::from_utf8_lossy(header.name))).finish()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, Option<V>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, Option<V>)>>(iterator: I) -> Self {
        let mut headers = Self::new();
        for (name, value) in iterator {
            headers.push(name, value.as_ref().map(AsRef::as_ref));
        }
        headers
    }
}

impl fmt::Debug for Header<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", String::from_utf8_lossy(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_order_repeats_and_nulls() {
        let mut headers = Headers::new();
        headers.push_str("a", "1");
        headers.push("b", None);
        headers.push_str("a", "2");
        assert_eq!(headers.get("a"), Some(&b"2"[..]));
        assert_eq!(headers.get("b"), None);
        let names: Vec<_> = headers.iter().map(|header| header.name).collect();
        assert_eq!(names, [b"a", b"b", b"a"]);
    }

    #[test]
    fn a_header_name_need_not_be_utf8() {
        let mut headers = Headers::new();
        headers.push([0xff, 0xfe], Some(b"x"));
        assert_eq!(headers.iter().next().unwrap().name, [0xff, 0xfe]);
        assert_eq!(headers.get("ce_id"), None);
    }

    #[test]
    fn a_records_debug_form_shows_no_data() {
        let record = Record {
            topic: "accounts".into(),
            partition: 0,
            offset: 1,
            timestamp_ms: None,
            key: Some(Bytes::from_static(b"secret-key")),
            payload: Some(Bytes::from_static(b"secret-payload")),
            headers: Headers::new(),
        };
        assert!(!format!("{record:?}").contains("secret"));
    }
}
