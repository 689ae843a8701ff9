//! Dead letters: what is given up is kept whole, with why.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::error_text::ErrorText;
use super::key::Work;
use crate::dead_letters::header;
use crate::envelope::rfc3339;
use crate::transport::OutgoingRecord;

/// The longest error text kept, in bytes: an error may quote a payload of any size.
const MAX_ERROR_BYTES: usize = 4_096;

/// Who gave a record up, and when.
pub(crate) struct Circumstances<'a> {
    pub(crate) error: &'a ErrorText,
    pub(crate) group: &'a str,
    pub(crate) handler: Option<&'static str>,
    pub(crate) first_failure: DateTime<Utc>,
    pub(crate) given_up: DateTime<Utc>,
}

/// The dead letter of `work`: raw key, value and headers untouched, and why behind them.
pub(crate) fn dead_letter(topic: &Arc<str>, work: &Work, why: &Circumstances<'_>) -> OutgoingRecord {
    let record = work.record();
    let mut headers = record.headers.clone();
    let attempts = work.attempts.to_string();
    headers.push_str(header::TOPIC, &record.topic);
    headers.push_str(header::PARTITION, &record.partition.to_string());
    headers.push_str(header::OFFSET, &record.offset.to_string());
    headers.push_str(header::GROUP, why.group);
    headers.push_str(header::DELIVERY_COUNT, &attempts);
    headers.push_str(header::MESSAGE, bounded(&why.error.message));
    if let Some(handler) = why.handler {
        headers.push_str(header::HANDLER, handler);
    }
    headers.push_str(header::CLASS, why.error.class.as_str());
    headers.push_str(header::CHAIN, bounded(&why.error.chain));
    headers.push_str(header::ATTEMPTS, &attempts);
    if let Some(timestamp) = record.timestamp_ms {
        headers.push_str(header::TIMESTAMP, &timestamp.to_string());
    }
    headers.push_str(header::FIRST_FAILURE, &rfc3339(why.first_failure));
    headers.push_str(header::GIVEN_UP, &rfc3339(why.given_up));
    OutgoingRecord {
        topic: Arc::clone(topic),
        partition: None,
        key: record.key.clone(),
        payload: record.payload.clone(),
        headers,
        // Its own time: retention goes by timestamps, and would delete the letter of an old event at once.
        timestamp_ms: None,
    }
}

/// As much of an error's text as is kept.
pub(crate) fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ERROR_BYTES)]
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::consumer::key::WorkRoute;
    use crate::dispatch::{DeliveryContext, Extensions};
    use crate::outcome::{ErrorClass, HandlerError};
    use crate::schema::Codec;
    use crate::transport::{Headers, Record};

    #[test]
    fn a_dead_letter_keeps_everything_and_says_why() {
        let mut headers = Headers::new();
        headers.push([0xff], Some(b"raw"));
        let record = Record {
            topic: "accounts".into(),
            partition: 3,
            offset: 17,
            timestamp_ms: Some(5),
            key: Some(Bytes::from_static(&[0, 159])),
            payload: Some(Bytes::from_static(b"\xffnot avro")),
            headers,
        };
        let context = DeliveryContext { codec: Codec::default(), extensions: Extensions::new(), group: "g".into() };
        let mut work = Work::new(record, &Arc::new(context), WorkRoute::Route(0));
        work.attempts = 4;
        let error = HandlerError::new(ErrorClass::Panic, "é".repeat(MAX_ERROR_BYTES));
        let time = DateTime::UNIX_EPOCH;
        let error = ErrorText::of(&error);
        let why =
            Circumstances { error: &error, group: "g", handler: Some("D::h"), first_failure: time, given_up: time };
        let letter = dead_letter(&"g.dead-letters".into(), &work, &why);
        assert_eq!(letter.key.as_deref(), Some(&[0, 159][..]));
        assert_eq!(letter.payload.as_deref(), Some(&b"\xffnot avro"[..]));
        assert_eq!(letter.headers.iter().next().unwrap().name, [0xff]);
        for (name, value) in [
            (header::TOPIC, "accounts"),
            (header::PARTITION, "3"),
            (header::OFFSET, "17"),
            (header::DELIVERY_COUNT, "4"),
            (header::CLASS, "panic"),
            (header::TIMESTAMP, "5"),
            (header::HANDLER, "D::h"),
            (header::FIRST_FAILURE, "1970-01-01T00:00:00.000000Z"),
        ] {
            assert_eq!(letter.headers.get_str(name), Some(value), "{name}");
        }
        assert!(letter.headers.get_str(header::MESSAGE).unwrap().len() <= MAX_ERROR_BYTES);
    }
}
