//! What stands in the rows of parked events, and how it is read again.

use std::fmt::Write as _;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::failed;
use crate::consumer::parked::{ParkCause, ParkError, ParkedKeyId, ParkedRecord};
use crate::database::pool::Row;
use crate::database::sql::Dialect;
use crate::envelope::rfc3339;
use crate::transport::{Headers, TopicPartition};

/// A row that somebody else wrote, or changed, and that makes no event.
#[derive(Debug, thiserror::Error)]
#[error(
    "the row of the parked event at {partition}@{offset} cannot be read: its {column} is not what was written; correct or delete it"
)]
struct Unreadable {
    partition: TopicPartition,
    offset: i64,
    column: &'static str,
}

pub(super) const KEY: &str = "record_key";

/// The columns that name a key. MySQL's index takes no key as long as it may be, so there its hash stands for it.
pub(super) fn columns(dialect: Dialect) -> &'static str {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => "consumer_group, topic, partition_id, key_hash",
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => "consumer_group, topic, partition_id",
    }
}

/// What stands in them.
pub(super) fn values(dialect: Dialect, id: &ParkedKeyId) -> String {
    let (group, topic) = (dialect.text(&id.group), dialect.text(&id.partition.topic));
    let number = id.partition.partition;
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => format!("{group}, {topic}, {number}, {}", hash(dialect, &id.key)),
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => format!("{group}, {topic}, {number}"),
    }
}

/// The condition for the rows of a key.
pub(super) fn matches(dialect: Dialect, id: &ParkedKeyId) -> String {
    let (group, topic) = (dialect.text(&id.group), dialect.text(&id.partition.topic));
    let place = format!("consumer_group = {group} AND topic = {topic} AND partition_id = {}", id.partition.partition);
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => format!("{place} AND key_hash = {}", hash(dialect, &id.key)),
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => format!("{place} AND {KEY} = {}", bytes(dialect, &id.key)),
    }
}

/// What only the table of events has in one dialect: there the key itself stands in each row.
pub(super) fn own_key(dialect: Dialect, sql: &str) -> &str {
    match dialect {
        #[cfg(feature = "mysql")]
        Dialect::MySql => {
            let _ = sql;
            ""
        }
        #[cfg(feature = "sqlite")]
        Dialect::Sqlite => sql,
    }
}

#[cfg(feature = "mysql")]
fn hash(dialect: Dialect, key: &[u8]) -> String {
    format!("UNHEX(SHA2({}, 256))", bytes(dialect, key))
}

pub(super) fn bytes(dialect: Dialect, bytes: &[u8]) -> String {
    let mut sql = String::new();
    dialect.push_bytes(&mut sql, bytes);
    sql
}

/// A count without `gone`; not below 0, whoever changed it.
pub(super) fn fewer(gone: usize) -> String {
    format!("CASE WHEN records > {gone} THEN records - {gone} ELSE 0 END")
}

/// The event's own columns.
pub(super) const EVENT_COLUMNS: &[&str] = &["timestamp_ms", "headers", "payload"];

/// Those of why it is parked.
pub(super) const CAUSE_COLUMNS: &[&str] =
    &["handler", "error_class", "error", "attempts", "first_failure", "parked_at"];

/// What stands in them, the event's own first.
pub(super) fn event(dialect: Dialect, record: &ParkedRecord) -> String {
    let mut sql = record.timestamp_ms.map_or_else(|| "NULL".to_owned(), |time| time.to_string());
    sql.push(',');
    dialect.push_bytes(&mut sql, &record.headers.to_wire());
    sql.push(',');
    match &record.payload {
        Some(payload) => dialect.push_bytes(&mut sql, payload),
        None => sql.push_str("NULL"),
    }
    let Some(cause) = &record.cause else {
        sql.push_str(",NULL,NULL,NULL,NULL,NULL,NULL");
        return sql;
    };
    sql.push(',');
    dialect.push_optional_text(&mut sql, cause.handler.as_deref());
    for text in [&cause.class, &cause.error] {
        sql.push(',');
        dialect.push_text(&mut sql, text);
    }
    let _ = write!(sql, ",{}", cause.attempts);
    for time in [cause.first_failure, cause.parked_at] {
        sql.push(',');
        dialect.push_text(&mut sql, &rfc3339(time));
    }
    sql
}

pub(super) fn read_event(id: &ParkedKeyId, row: &Row) -> Result<ParkedRecord, ParkError> {
    let offset = row.integer(0).map_err(failed("read"))?;
    let unreadable = |column| ParkError::new("read", Unreadable { partition: id.partition.clone(), offset, column });
    let of_row =
        || Ok::<_, sqlx::Error>((row.optional_integer(1)?, row.bytes(2)?, row.optional_bytes(3)?, read_cause(row)?));
    let (timestamp_ms, headers, payload, cause) = of_row().map_err(failed("read"))?;
    Ok(ParkedRecord {
        partition: id.partition.clone(),
        offset,
        timestamp_ms,
        key: id.key.clone(),
        payload: payload.map(Bytes::from),
        headers: Headers::from_wire(headers.into()).ok_or_else(|| unreadable("headers"))?,
        cause: cause.transpose().map_err(unreadable)?,
    })
}

/// The cause, if there is one, or the column that is spoilt.
fn read_cause(row: &Row) -> Result<Option<Result<ParkCause, &'static str>>, sqlx::Error> {
    let Some(class) = row.optional_text(5)? else { return Ok(None) };
    let time = |text: Option<String>| {
        text.and_then(|text| DateTime::parse_from_rfc3339(&text).ok()).map(|time| time.with_timezone(&Utc))
    };
    let (first_failure, parked_at) = (time(row.optional_text(8)?), time(row.optional_text(9)?));
    let attempts = row.optional_integer(7)?.unwrap_or_default();
    let (handler, error) = (row.optional_text(4)?, row.optional_text(6)?.unwrap_or_default());
    let cause = || {
        Ok(ParkCause {
            handler,
            class,
            error,
            attempts: u32::try_from(attempts).map_err(|_| "attempts")?,
            first_failure: first_failure.ok_or("first_failure")?,
            parked_at: parked_at.ok_or("parked_at")?,
        })
    };
    Ok(Some(cause()))
}

pub(super) fn narrow(number: i64) -> Result<i32, sqlx::Error> {
    i32::try_from(number).map_err(|_| sqlx::Error::Decode(format!("{number} is no partition").into()))
}
