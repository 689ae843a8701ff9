//! What Spring for Apache Kafka says of a record it gave up.

use super::circumstances::{Circumstances, LetterFormat, Origin};
use super::header::spring as header;
use crate::transport::Headers;

/// Where the name of the original topic stands among `headers`, the last one if it is there more than once.
pub(super) fn position(headers: &Headers) -> Option<usize> {
    let names = |name: &[u8]| header::TOPIC.iter().any(|topic| topic.as_bytes() == name);
    headers.iter().enumerate().filter(|(_, header)| names(header.name)).map(|(index, _)| index).last()
}

/// What `headers` say.
pub(super) fn circumstances(headers: &Headers) -> Circumstances {
    let text = |names: &[&str]| first(headers, names).and_then(text);
    let last_text = |names: &[&str]| last(headers, names).and_then(self::text);
    let integer = |names: &[&str]| first(headers, names).and_then(number);
    let origin = text(&header::TOPIC).map(|topic| Origin {
        topic,
        partition: integer(&header::PARTITION).and_then(|partition| i32::try_from(partition).ok()),
        offset: integer(&header::OFFSET),
    });
    Circumstances {
        format: LetterFormat::Spring,
        origin,
        group: text(&header::GROUP),
        handler: None,
        // The exception itself is Spring's wrapper around what the listener threw.
        class: last_text(&header::CAUSE)
            .or_else(|| last_text(&header::EXCEPTION))
            .or_else(|| last_text(&header::KEY_EXCEPTION)),
        message: last_text(&header::MESSAGE).or_else(|| last_text(&header::KEY_MESSAGE)),
        chain: last_text(&header::STACK_TRACE).or_else(|| last_text(&header::KEY_STACK_TRACE)),
        attempts: last(headers, &header::ATTEMPTS).and_then(number).and_then(|attempts| u32::try_from(attempts).ok()),
        timestamp_ms: integer(&header::TIMESTAMP),
        first_failure: None,
        given_up: None,
        redrives: 0,
        redrive_group: None,
    }
}

/// The first value under the first of `names` that is there. Spring adds where a record was read each time it is given up, behind
/// what it said before: the first is where it stood at first.
fn first<'a>(headers: &'a Headers, names: &[&str]) -> Option<&'a [u8]> {
    names.iter().find_map(|name| headers.iter().find(|header| header.name == name.as_bytes())?.value)
}

/// The last value under the first of `names` that is there: what went wrong the last time.
fn last<'a>(headers: &'a Headers, names: &[&str]) -> Option<&'a [u8]> {
    names.iter().find_map(|name| headers.get(name))
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A number as text, or as big-endian bytes. Bytes that are all digits are text: as a number they would be beyond any partition,
/// offset or time.
fn number(value: &[u8]) -> Option<i64> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return std::str::from_utf8(value).ok()?.parse().ok();
    }
    if !(1..=8).contains(&value.len()) {
        return None;
    }
    let sign = if value[0] & 0x80 == 0 { 0 } else { 0xff };
    let mut bytes = [sign; 8];
    bytes[8 - value.len()..].copy_from_slice(value);
    Some(i64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&str, &[u8])]) -> Headers {
        values.iter().map(|(name, value)| (*name, Some(*value))).collect()
    }

    #[test]
    fn numbers_are_read_as_bytes_and_as_text() {
        for (value, expected) in [
            (&3_i32.to_be_bytes()[..], Some(3)),
            (&(-1_i32).to_be_bytes()[..], Some(-1)),
            (&4_711_i64.to_be_bytes()[..], Some(4_711)),
            (&i64::MIN.to_be_bytes()[..], Some(i64::MIN)),
            (&[2], Some(2)),
            (b"17", Some(17)),
            (b"1234", Some(1_234)),
            (b"12345678", Some(12_345_678)),
            (b"-1", Some(-1)),
            (b"1700000000123", Some(1_700_000_000_123)),
            (b"", None),
            (b"-", Some(45)),
            (b"not a number", None),
            (b"99999999999999999999", None),
        ] {
            assert_eq!(number(value), expected, "{value:?}");
        }
    }

    #[test]
    fn the_recoverers_headers_are_read_and_the_first_origin_counts() {
        let found = circumstances(&headers(&[
            ("kafka_dlt-original-topic", b"orders"),
            ("kafka_dlt-original-partition", &7_i32.to_be_bytes()),
            ("kafka_dlt-original-offset", &42_i64.to_be_bytes()),
            ("kafka_dlt-original-timestamp", &1_700_000_000_123_i64.to_be_bytes()),
            ("kafka_dlt-original-timestamp-type", b"CreateTime"),
            ("kafka_dlt-original-consumer-group", b"billing"),
            ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
            ("kafka_dlt-exception-cause-fqcn", b"java.lang.IllegalStateException"),
            ("kafka_dlt-exception-message", b"Listener failed; no such account"),
            ("kafka_dlt-exception-stacktrace", b"at com.example.Billing.on(Billing.java:12)"),
            ("kafka_dlt-original-topic", b"orders.DLT"),
            ("kafka_dlt-original-partition", &0_i32.to_be_bytes()),
            ("kafka_dlt-original-offset", &1_i64.to_be_bytes()),
        ]));
        let origin = Origin { topic: "orders".to_owned(), partition: Some(7), offset: Some(42) };
        assert_eq!(found.origin, Some(origin));
        assert_eq!((found.group.as_deref(), found.timestamp_ms), (Some("billing"), Some(1_700_000_000_123)));
        assert_eq!(found.class.as_deref(), Some("java.lang.IllegalStateException"));
        assert_eq!(found.message.as_deref(), Some("Listener failed; no such account"));
        assert!(found.chain.unwrap().contains("Billing.java:12"));
        assert_eq!((found.format, found.redrives), (LetterFormat::Spring, 0));
    }

    #[test]
    fn the_retry_topics_headers_are_read_too_and_text_in_place_of_bytes() {
        let found = circumstances(&headers(&[
            ("kafka_original-topic", b"orders"),
            ("kafka_original-partition", b"7"),
            ("kafka_original-offset", b"42"),
            ("kafka_dlt-original-consumer-group", b"billing"),
            ("kafka_exception-fqcn", b"java.io.IOException"),
            ("kafka_exception-message", b"away"),
            ("retry_topic-attempts", &4_i32.to_be_bytes()),
        ]));
        let origin = Origin { topic: "orders".to_owned(), partition: Some(7), offset: Some(42) };
        assert_eq!((found.origin, found.attempts), (Some(origin), Some(4)));
        assert_eq!((found.class.as_deref(), found.group.as_deref()), (Some("java.io.IOException"), Some("billing")));
    }

    #[test]
    fn what_is_malformed_reads_as_absent() {
        let found = circumstances(&headers(&[
            ("kafka_dlt-original-topic", &[0xff]),
            ("kafka_dlt-original-offset", b"123456789a"),
            ("kafka_dlt-exception-message", b""),
        ]));
        assert_eq!((found.origin, found.message), (None, None));
    }
}
