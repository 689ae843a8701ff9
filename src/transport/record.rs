//! A Kafka record, owned.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::Headers;

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
        Self::size_of(self.key.as_ref(), self.payload.as_ref(), &self.headers)
    }

    /// The same, of a record of these.
    pub(crate) fn size_of(key: Option<&Bytes>, payload: Option<&Bytes>, headers: &Headers) -> usize {
        key.map_or(0, Bytes::len) + payload.map_or(0, Bytes::len) + headers.held_bytes() + size_of::<Self>()
    }

    /// The same record in memory of its own. A record as it was read shares its memory with its neighbours, and one that is kept
    /// would keep them all.
    #[must_use]
    pub fn detached(&self) -> Self {
        let (key, payload, headers) = (self.key.as_deref(), self.payload.as_deref(), self.headers.bytes());
        let (key_bytes, payload_bytes) = (key.map_or(0, <[u8]>::len), payload.map_or(0, <[u8]>::len));
        let mut all = Vec::with_capacity(key_bytes + payload_bytes + headers.len());
        all.extend_from_slice(key.unwrap_or_default());
        all.extend_from_slice(payload.unwrap_or_default());
        all.extend_from_slice(headers);
        let all = Bytes::from(all);
        Self {
            topic: Arc::clone(&self.topic),
            key: key.map(|_| all.slice(..key_bytes)),
            payload: payload.map(|_| all.slice(key_bytes..key_bytes + payload_bytes)),
            headers: self.headers.over(all.slice(key_bytes + payload_bytes..)),
            ..*self
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detached_record_is_the_same_record() {
        let mut headers = Headers::new();
        headers.push_str("a", "1");
        headers.push("b", None);
        for key in [None, Some(Bytes::new()), Some(Bytes::from_static(b"key"))] {
            for payload in [None, Some(Bytes::from_static(b"payload"))] {
                let (key, payload, headers) = (key.clone(), payload, headers.clone());
                let record =
                    Record { topic: "t".into(), partition: 1, offset: 2, timestamp_ms: Some(3), key, payload, headers };
                let copy = record.detached();
                assert_eq!((&copy.key, &copy.payload), (&record.key, &record.payload));
                assert_eq!((copy.partition, copy.offset, copy.timestamp_ms), (1, 2, Some(3)));
                assert_eq!((copy.headers.get_str("a"), copy.headers.len()), (Some("1"), 2));
            }
        }
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
