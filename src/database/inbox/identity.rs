//! What an event is remembered by.

use super::rules::Latest;
use crate::database::Error;
use crate::database::error::check_name;
use crate::database::sql::Dialect;
use crate::envelope::EnvelopeView;
use crate::event::MAX_NAME_BYTES;
use crate::transport::Record;

/// The widths of the inbox's columns, in bytes. Together they fit the longest key of an index.
const MAX_DISPATCHER_BYTES: usize = 64;
const MAX_SOURCE_BYTES: usize = 180;

/// Whose memory it is, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) group: String,
    pub(super) dispatcher: String,
    /// The publishing service; the topic, where the event does not say.
    pub(super) source: String,
    pub(super) event: EventIdentity,
}

/// How an event is told from others of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EventIdentity {
    /// By its place in its stream.
    Sequenced { stream: String, place: Latest },
    /// By its id; by where the record lies, where it has none.
    Single { event_id: String },
}

impl Identity {
    /// The identity of `record` for `dispatcher` in `group`.
    ///
    /// # Errors
    /// [`Error::Name`]: a name does not fit its column.
    pub(super) fn of(group: &str, dispatcher: &str, record: &Record) -> Result<Self, Error> {
        let envelope = EnvelopeView::new(&record.headers);
        let source = envelope.source().unwrap_or(&record.topic);
        let event_id = envelope.id();
        let event = match (envelope.stream(), envelope.sequence()) {
            (Some(stream), Some(sequence)) => {
                check_name("stream", stream.as_str(), MAX_NAME_BYTES)?;
                let sequence = i64::try_from(sequence).map_err(|_| Error::Name {
                    what: "sequence",
                    name: sequence.to_string(),
                    reason: format!("the greatest that fits is {}", i64::MAX),
                })?;
                let event_id = event_id.unwrap_or_default().to_owned();
                let place = Latest { epoch: envelope.stream_epoch(), sequence, event_id };
                EventIdentity::Sequenced { stream: stream.to_string(), place }
            }
            _ => {
                let place = || {
                    // With its time: a topic that is created anew has the same offsets again.
                    let time = record.timestamp_ms.unwrap_or_default();
                    format!("{}[{}]@{}/{time}", record.topic, record.partition, record.offset)
                };
                EventIdentity::Single { event_id: event_id.map_or_else(place, str::to_owned) }
            }
        };
        check_name("consumer group", group, MAX_NAME_BYTES)?;
        check_name("dispatcher", dispatcher, MAX_DISPATCHER_BYTES)?;
        check_name("source", source, MAX_SOURCE_BYTES)?;
        let (EventIdentity::Single { event_id } | EventIdentity::Sequenced { place: Latest { event_id, .. }, .. }) =
            &event;
        check_name("event id", event_id, MAX_NAME_BYTES)?;
        Ok(Self { group: group.to_owned(), dispatcher: dispatcher.to_owned(), source: source.to_owned(), event })
    }

    /// The values of `consumer_group, dispatcher, source`.
    pub(super) fn owner_values(&self, dialect: Dialect) -> String {
        let mut sql = String::new();
        dialect.push_text(&mut sql, &self.group);
        sql.push_str(", ");
        dialect.push_text(&mut sql, &self.dispatcher);
        sql.push_str(", ");
        dialect.push_text(&mut sql, &self.source);
        sql
    }

    /// A condition for the rows of this owner.
    pub(super) fn owner_condition(&self, dialect: Dialect) -> String {
        let (group, dispatcher) = (dialect.text(&self.group), dialect.text(&self.dispatcher));
        let source = dialect.text(&self.source);
        format!("consumer_group = {group} AND dispatcher = {dispatcher} AND source = {source}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::header;
    use crate::transport::Headers;

    fn record(headers: &[(&str, &str)]) -> Record {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.push_str(name, value);
        }
        Record {
            topic: "accounts".into(),
            partition: 3,
            offset: 17,
            timestamp_ms: Some(5),
            key: None,
            payload: None,
            headers: all,
        }
    }

    #[test]
    fn an_event_with_a_sequence_is_known_by_its_place() {
        let headers = [
            (header::SOURCE, "/accounts"),
            (header::SUBJECT, "Account/42"),
            (header::SEQUENCE, "00000000000000000007"),
            (header::STREAM_EPOCH, "2"),
            (header::ID, "e7"),
        ];
        let identity = Identity::of("g", "D", &record(&headers)).unwrap();
        let place = Latest { epoch: 2, sequence: 7, event_id: "e7".into() };
        assert_eq!(identity.event, EventIdentity::Sequenced { stream: "Account/42".into(), place });
        assert_eq!(identity.source, "accounts");
    }

    #[test]
    fn an_event_without_a_sequence_is_known_by_its_id_and_without_one_by_where_it_lies() {
        let identity = Identity::of("g", "D", &record(&[(header::ID, "e7"), (header::SUBJECT, "Account/42")])).unwrap();
        assert_eq!(identity.event, EventIdentity::Single { event_id: "e7".into() });
        let identity = Identity::of("g", "D", &record(&[])).unwrap();
        assert_eq!(identity.event, EventIdentity::Single { event_id: "accounts[3]@17/5".into() });
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let long = "x".repeat(256);
        for (headers, what) in [
            ([(header::SUBJECT, long.as_str()), (header::SEQUENCE, "1")], "stream"),
            ([(header::SUBJECT, "A/1"), (header::SEQUENCE, "9223372036854775808")], "sequence"),
            ([(header::ID, long.as_str()), (header::SUBJECT, "A/1")], "event id"),
            ([(header::SOURCE, long.as_str()), (header::SUBJECT, "A/1")], "source"),
        ] {
            let error = Identity::of("g", "D", &record(&headers)).unwrap_err();
            assert!(matches!(error, Error::Name { what: found, .. } if found == what), "{error}");
        }
    }
}
