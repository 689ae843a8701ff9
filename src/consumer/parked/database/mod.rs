//! Parked events in the tables of the consumer's database.

mod rows;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use self::rows::{
    CAUSE_COLUMNS, EVENT_COLUMNS, KEY, bytes, columns, event, fewer, matches, narrow, own_key, read_event, values,
};
use super::{ParkError, ParkRequest, ParkedKey, ParkedKeyId, ParkedRecord, ParkedStore, within};
use crate::database::pool::{Pool, Row};
use crate::database::sql::{Dialect, push_list};
use crate::database::{Database, Error, check_name, may_run_again};
use crate::transport::{Record, TopicPartition};

/// How often a transaction is run that lost against another one, or whose connection broke.
const ATTEMPTS: u32 = 5;

/// Events that are deleted in one transaction.
const DELETED_AT_ONCE: usize = 1_000;

/// Keeps parked events in the tables `tidings_parked_key` and `tidings_parked_record` of a database, which
/// [`migrate`](Database::migrate) creates. A cheap handle.
///
/// Every call is one short transaction, or one statement. How many events of a key wait is kept beside the key, so listing keys
/// reads no events, however many there are.
#[derive(Debug, Clone)]
pub struct DatabaseParkedStore {
    database: Database,
}

impl DatabaseParkedStore {
    /// The parked events of `database`.
    pub fn new(database: &Database) -> Self {
        Self { database: database.clone() }
    }

    fn pool(&self) -> &Pool {
        &self.database.pool
    }

    fn dialect(&self) -> Dialect {
        self.pool().dialect()
    }

    async fn run(&self, operation: &'static str, statements: Vec<String>) -> Result<(), ParkError> {
        // Every call is idempotent, so one whose effect is unknown may run again, too.
        let mut attempt = 1;
        loop {
            match self.pool().run_transaction(statements.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if attempt < ATTEMPTS && may_run_again(&error) => attempt += 1,
                Err(error) => return Err(failed(operation)(error)),
            }
        }
    }

    async fn rows(&self, operation: &'static str, sql: String) -> Result<Vec<Row>, ParkError> {
        let mut attempt = 1;
        loop {
            match self.pool().query(sql.clone()).await {
                Ok(rows) => return Ok(rows),
                Err(error) if attempt < ATTEMPTS && may_run_again(&error) => attempt += 1,
                Err(error) => return Err(failed(operation)(error)),
            }
        }
    }

    async fn list(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<ParkedKey>, ParkError> {
        let dialect = self.dialect();
        let mut sql = format!(
            "SELECT topic, partition_id, record_key, records, request FROM tidings_parked_key WHERE consumer_group = {}",
            dialect.text(group)
        );
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for TopicPartition { topic, partition } in partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        for (index, (topic, partitions)) in topics.iter().enumerate() {
            let before = if index == 0 { " AND (" } else { " OR " };
            // Writing to a `String` cannot fail.
            let _ = write!(sql, "{before}(topic = {} AND partition_id IN (", dialect.text(topic));
            push_list(&mut sql, partitions);
            sql.push_str("))");
        }
        if !topics.is_empty() {
            sql.push(')');
        }
        let rows = self.rows("list", sql).await?;
        let read = |row: &Row| {
            let partition = TopicPartition { topic: row.text(0)?.into(), partition: narrow(row.integer(1)?)? };
            let request = row.optional_text(4)?.as_deref().and_then(ParkRequest::from_word);
            Ok(ParkedKey::new(partition, row.bytes(2)?.into(), row.integer(3)?.unsigned_abs(), request))
        };
        let mut keys: Vec<ParkedKey> = rows.iter().map(read).collect::<Result<_, _>>().map_err(failed("list"))?;
        keys.sort_by(|left, right| (&left.partition, &left.key).cmp(&(&right.partition, &right.key)));
        Ok(keys)
    }

    async fn keep(&self, group: Arc<str>, record: ParkedRecord) -> Result<(), ParkError> {
        check_name("consumer group", &group, 255).map_err(|error| ParkError::new("keep", error))?;
        let dialect = self.dialect();
        let id = ParkedKeyId { group, partition: record.partition.clone(), key: record.key.clone() };
        let (key, columns, values) = (matches(dialect, &id), columns(dialect), values(dialect, &id));
        let offset = record.offset;
        let event = event(dialect, &record);
        let insert = dialect.on_duplicate();
        // One without a cause keeps that of the row it replaces.
        let replaced =
            if record.cause.is_some() { [EVENT_COLUMNS, CAUSE_COLUMNS].concat() } else { EVENT_COLUMNS.to_vec() };
        let replaced = replaced.iter().map(|column| format!("{column} = {}", dialect.inserted(column)));
        let replaced = replaced.collect::<Vec<_>>().join(", ");
        let statements = vec![
            // This locks the key's row: nobody else changes its events meanwhile.
            format!(
                "INSERT INTO tidings_parked_key ({columns}, {KEY}) VALUES ({values}, {}) {insert} request = request",
                bytes(dialect, &id.key)
            ),
            format!(
                "UPDATE tidings_parked_key SET records = records + 1 WHERE {key} AND NOT EXISTS \
                 (SELECT 1 FROM tidings_parked_record WHERE {key} AND record_offset = {offset})"
            ),
            format!(
                "INSERT INTO tidings_parked_record ({columns}{}, record_offset, {}, {}) VALUES ({values}{}, {offset}, {event}) \
                 {insert} {replaced}",
                own_key(dialect, ", record_key"),
                EVENT_COLUMNS.join(", "),
                CAUSE_COLUMNS.join(", "),
                own_key(dialect, &format!(", {}", bytes(dialect, &id.key)))
            ),
        ];
        self.run("keep", statements).await
    }

    async fn read(&self, id: ParkedKeyId, limit: usize) -> Result<Vec<ParkedRecord>, ParkError> {
        let sql = format!(
            "SELECT record_offset, timestamp_ms, headers, payload, handler, error_class, error, attempts, first_failure, parked_at \
             FROM tidings_parked_record WHERE {} ORDER BY record_offset LIMIT {limit}",
            matches(self.dialect(), &id)
        );
        let rows = self.rows("read", sql).await?;
        rows.iter().map(|row| read_event(&id, row)).collect()
    }

    /// How many of a key's first events are within `bytes` together, without reading them.
    async fn count_within(&self, id: &ParkedKeyId, limit: usize, bytes: usize) -> Result<usize, ParkError> {
        let sql = format!(
            "SELECT LENGTH(headers), LENGTH(payload) FROM tidings_parked_record WHERE {} ORDER BY record_offset LIMIT {limit}",
            matches(self.dialect(), id)
        );
        let length = |row: &Row, column| {
            let length = row.optional_integer(column)?.unwrap_or_default();
            Ok::<_, sqlx::Error>(usize::try_from(length).unwrap_or_default())
        };
        let size =
            |row: &Row| Ok::<_, sqlx::Error>(length(row, 0)? + length(row, 1)? + id.key.len() + size_of::<Record>());
        let rows = self.rows("read", sql).await?;
        let sizes: Vec<_> = rows.iter().map(size).collect::<Result<_, _>>().map_err(failed("read"))?;
        Ok(within(sizes.into_iter(), bytes))
    }

    async fn delete(&self, id: ParkedKeyId, offset: i64) -> Result<(), ParkError> {
        let key = matches(self.dialect(), &id);
        let statements = vec![
            format!(
                "UPDATE tidings_parked_key SET records = {} WHERE {key} AND EXISTS \
                 (SELECT 1 FROM tidings_parked_record WHERE {key} AND record_offset = {offset})",
                fewer(1)
            ),
            format!("DELETE FROM tidings_parked_record WHERE {key} AND record_offset = {offset}"),
        ];
        self.run("remove", statements).await
    }

    /// Forget a key, unless it has events.
    async fn delete_empty(&self, id: ParkedKeyId) -> Result<(), ParkError> {
        let key = matches(self.dialect(), &id);
        let statements = vec![
            format!("UPDATE tidings_parked_key SET request = request WHERE {key}"),
            format!(
                "DELETE FROM tidings_parked_key WHERE {key} AND NOT EXISTS (SELECT 1 FROM tidings_parked_record WHERE {key})"
            ),
        ];
        self.run("remove", statements).await
    }

    /// Forget a key and its events, as long as that is asked for.
    async fn delete_key(&self, id: ParkedKeyId) -> Result<(), ParkError> {
        let dialect = self.dialect();
        let key = matches(dialect, &id);
        let discard = dialect.text(ParkRequest::Discard.as_str());
        let asked = format!("EXISTS (SELECT 1 FROM tidings_parked_key WHERE {key} AND request = {discard})");
        loop {
            let sql = format!(
                "SELECT record_offset FROM tidings_parked_record WHERE {key} AND {asked} ORDER BY record_offset LIMIT {DELETED_AT_ONCE}"
            );
            let rows = self.rows("remove", sql).await?;
            let Some(last) = rows.last().filter(|_| rows.len() == DELETED_AT_ONCE) else { break };
            let (last, count) = (last.integer(0).map_err(failed("remove"))?, rows.len());
            let statements = vec![
                // This locks the key's row: what is asked of it does not change meanwhile.
                format!("UPDATE tidings_parked_key SET records = {} WHERE {key} AND request = {discard}", fewer(count)),
                format!("DELETE FROM tidings_parked_record WHERE {key} AND record_offset <= {last} AND {asked}"),
            ];
            self.run("remove", statements).await?;
        }
        let statements = vec![
            format!("UPDATE tidings_parked_key SET request = request WHERE {key} AND request = {discard}"),
            format!("DELETE FROM tidings_parked_record WHERE {key} AND {asked}"),
            format!("DELETE FROM tidings_parked_key WHERE {key} AND request = {discard}"),
        ];
        self.run("remove", statements).await
    }

    /// Ask for `request` instead of `asked`; instead of anything, where that is `None`.
    async fn ask(
        &self,
        id: ParkedKeyId,
        asked: Option<ParkRequest>,
        request: Option<ParkRequest>,
    ) -> Result<bool, ParkError> {
        let dialect = self.dialect();
        let word = request.map_or_else(|| "NULL".to_owned(), |request| dialect.text(request.as_str()));
        let mut sql = format!("UPDATE tidings_parked_key SET request = {word} WHERE {}", matches(dialect, &id));
        if let Some(asked) = asked {
            // Writing to a `String` cannot fail.
            let _ = write!(sql, " AND request = {}", dialect.text(asked.as_str()));
        }
        let mut unknown = None;
        for _ in 1..ATTEMPTS {
            match self.pool().execute(sql.clone()).await {
                // Rows that matched, changed or not.
                Ok(rows) => return answered(rows, unknown),
                Err(error) if may_run_again(&error) => unknown = asked.map(|_| error),
                Err(error) => return Err(failed("ask about")(error)),
            }
        }
        let rows = self.pool().execute(sql).await.map_err(failed("ask about"))?;
        answered(rows, unknown)
    }
}

impl ParkedStore for DatabaseParkedStore {
    fn keys(
        &self,
        group: Arc<str>,
        partitions: Vec<TopicPartition>,
    ) -> BoxFuture<'static, Result<Vec<ParkedKey>, ParkError>> {
        let store = self.clone();
        async move { store.list(&group, &partitions).await }.boxed()
    }

    fn park(&self, group: Arc<str>, record: ParkedRecord) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.keep(group, record).await }.boxed()
    }

    fn records(&self, key: ParkedKeyId, limit: usize) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        let store = self.clone();
        async move { store.read(key, limit).await }.boxed()
    }

    fn records_within(
        &self,
        key: ParkedKeyId,
        limit: usize,
        bytes: usize,
    ) -> BoxFuture<'static, Result<Vec<ParkedRecord>, ParkError>> {
        let store = self.clone();
        async move {
            let count = store.count_within(&key, limit, bytes).await?;
            let mut records = store.read(key, count).await?;
            // They may have changed in between.
            records.truncate(within(records.iter().map(ParkedRecord::size), bytes));
            Ok(records)
        }
        .boxed()
    }

    fn remove(&self, key: ParkedKeyId, offset: i64) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.delete(key, offset).await }.boxed()
    }

    fn forget(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.delete_empty(key).await }.boxed()
    }

    fn discard(&self, key: ParkedKeyId) -> BoxFuture<'static, Result<(), ParkError>> {
        let store = self.clone();
        async move { store.delete_key(key).await }.boxed()
    }

    fn answer(
        &self,
        key: ParkedKeyId,
        asked: ParkRequest,
        then: Option<ParkRequest>,
    ) -> BoxFuture<'static, Result<bool, ParkError>> {
        let store = self.clone();
        async move { store.ask(key, Some(asked), then).await }.boxed()
    }

    fn request(&self, key: ParkedKeyId, request: Option<ParkRequest>) -> BoxFuture<'static, Result<bool, ParkError>> {
        let store = self.clone();
        async move { store.ask(key, None, request).await }.boxed()
    }
}

/// Whether a request was changed, by how many rows matched. Where none did behind an attempt whose effect is `unknown`, that one may have
/// changed it: nothing says what it did.
fn answered(rows: u64, unknown: Option<sqlx::Error>) -> Result<bool, ParkError> {
    match unknown {
        Some(error) if rows == 0 => Err(failed("ask about")(error)),
        _ => Ok(rows > 0),
    }
}

fn failed(operation: &'static str) -> impl FnOnce(sqlx::Error) -> ParkError {
    move |error| ParkError::new(operation, Error::sql("a statement on the tables of parked events")(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_an_earlier_attempt_may_have_changed_a_request_nobody_says_that_it_was_not_asked_for() {
        let lost = || Some(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert!(!answered(0, None).unwrap());
        assert!(answered(0, lost()).is_err());
        assert!(answered(1, None).unwrap() && answered(1, lost()).unwrap());
    }
}
