//! What a dead letter's headers say of how it became one.

use chrono::{DateTime, Utc};

use super::{header, spring};
use crate::transport::Headers;

/// Whose headers a dead letter carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LetterFormat {
    /// Those of KIP-1191 and tidings' own.
    Tidings,
    /// Those of KIP-1191 alone, as brokers write them for share groups.
    Kafka,
    /// Those of Spring for Apache Kafka.
    Spring,
    /// None that are known.
    Unknown,
}

/// Where a record stood before it became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The topic.
    pub topic: String,
    /// The partition, where the letter tells.
    pub partition: Option<i32>,
    /// The offset, where the letter tells.
    pub offset: Option<i64>,
}

/// What a dead letter's headers say of how it became one. What is missing or malformed reads as absent: headers come from
/// strangers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Circumstances {
    /// Whose headers they are.
    pub format: LetterFormat,
    /// Where the record stood.
    pub origin: Option<Origin>,
    /// The consumer group that gave it up.
    pub group: Option<String>,
    /// The handler that failed, `Dispatcher::method`; absent when the record reached none.
    pub handler: Option<String>,
    /// The error's class: one of [`ErrorClass`](crate::ErrorClass), or the name of a Java class.
    pub class: Option<String>,
    /// The error's text.
    pub message: Option<String>,
    /// The error and its causes, or a Java stack trace.
    pub chain: Option<String>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// The record's own timestamp, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// When it first failed.
    pub first_failure: Option<DateTime<Utc>>,
    /// When it was given up.
    pub given_up: Option<DateTime<Utc>>,
    /// How often it had been redriven before it became this letter.
    pub redrives: u32,
    /// The group it was last redriven for.
    pub redrive_group: Option<String>,
}

impl Circumstances {
    /// What `headers` say. Where more than one framework gave the record up, the later one counts.
    pub fn of(headers: &Headers) -> Self {
        let ours = headers.iter().enumerate().filter(|(_, found)| found.name == header::TOPIC.as_bytes());
        let ours = ours.map(|(index, _)| index).last();
        let mut found = match (ours, spring::position(headers)) {
            (Some(ours), Some(springs)) if springs > ours => spring::circumstances(headers),
            (None, Some(_)) => spring::circumstances(headers),
            (Some(_), _) => Self::ours(headers),
            (None, None) => Self { format: LetterFormat::Unknown, ..Self::ours(headers) },
        };
        // Frameworks copy headers they do not know: the count survives them all.
        found.redrives = number(headers, header::REDRIVES).unwrap_or(0);
        found.redrive_group = text(headers, header::REDRIVE_GROUP);
        found
    }

    fn ours(headers: &Headers) -> Self {
        let format = if headers.get(header::CLASS).is_some() { LetterFormat::Tidings } else { LetterFormat::Kafka };
        let origin = text(headers, header::TOPIC).map(|topic| Origin {
            topic,
            partition: number(headers, header::PARTITION),
            offset: number(headers, header::OFFSET),
        });
        Self {
            format,
            origin,
            group: text(headers, header::GROUP),
            handler: text(headers, header::HANDLER),
            class: text(headers, header::CLASS),
            message: text(headers, header::MESSAGE),
            chain: text(headers, header::CHAIN),
            attempts: number(headers, header::ATTEMPTS).or_else(|| number(headers, header::DELIVERY_COUNT)),
            timestamp_ms: number(headers, header::TIMESTAMP),
            first_failure: time(headers, header::FIRST_FAILURE),
            given_up: time(headers, header::GIVEN_UP),
            redrives: 0,
            redrive_group: None,
        }
    }
}

fn text(headers: &Headers, name: &str) -> Option<String> {
    headers.get_str(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn number<T: std::str::FromStr>(headers: &Headers, name: &str) -> Option<T> {
    headers.get_str(name)?.parse().ok()
}

fn time(headers: &Headers, name: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(headers.get_str(name)?).ok().map(|time| time.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&str, &str)]) -> Headers {
        values.iter().map(|(name, value)| (*name, Some(*value))).collect()
    }

    #[test]
    fn a_letter_of_tidings_tells_everything() {
        let found = Circumstances::of(&headers(&[
            ("ce_type", "accounts.UserUpdated"),
            (header::REDRIVES, "2"),
            (header::REDRIVE_GROUP, "boards.Board"),
            (header::TOPIC, "accounts"),
            (header::PARTITION, "3"),
            (header::OFFSET, "17"),
            (header::GROUP, "boards.Board"),
            (header::DELIVERY_COUNT, "4"),
            (header::MESSAGE, "no"),
            (header::HANDLER, "Board::on_user_updated"),
            (header::CLASS, "panic"),
            (header::CHAIN, "no: really"),
            (header::ATTEMPTS, "4"),
            (header::TIMESTAMP, "5"),
            (header::FIRST_FAILURE, "1970-01-01T00:00:00Z"),
            (header::GIVEN_UP, "1970-01-01T00:00:01Z"),
        ]));
        let text = |text: &str| Some(text.to_owned());
        let expected = Circumstances {
            format: LetterFormat::Tidings,
            origin: Some(Origin { topic: "accounts".to_owned(), partition: Some(3), offset: Some(17) }),
            group: text("boards.Board"),
            handler: text("Board::on_user_updated"),
            class: text("panic"),
            message: text("no"),
            chain: text("no: really"),
            attempts: Some(4),
            timestamp_ms: Some(5),
            first_failure: Some(DateTime::UNIX_EPOCH),
            given_up: DateTime::from_timestamp(1, 0),
            redrives: 2,
            redrive_group: text("boards.Board"),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_broker_of_a_share_group_tells_what_kip_1191_names() {
        let found = Circumstances::of(&headers(&[
            (header::TOPIC, "orders"),
            (header::PARTITION, "x"),
            (header::GROUP, "billing"),
            (header::DELIVERY_COUNT, "5"),
        ]));
        let origin = Origin { topic: "orders".to_owned(), partition: None, offset: None };
        assert_eq!((found.format, found.origin, found.attempts), (LetterFormat::Kafka, Some(origin), Some(5)));
    }

    #[test]
    fn where_two_frameworks_gave_up_the_later_one_counts() {
        let ours = (header::TOPIC, "accounts");
        let springs = (header::spring::TOPIC[0], "orders");
        let topic = |values: &[(&str, &str)]| Circumstances::of(&headers(values)).origin.unwrap().topic;
        assert_eq!(topic(&[ours, springs]), "orders");
        assert_eq!(topic(&[springs, ours]), "accounts");
    }

    #[test]
    fn a_record_that_is_no_letter_names_no_origin() {
        let found = Circumstances::of(&headers(&[("ce_type", "accounts.UserUpdated"), (header::REDRIVES, "many")]));
        assert_eq!((found.format, found.origin, found.redrives), (LetterFormat::Unknown, None, 0));
    }
}
