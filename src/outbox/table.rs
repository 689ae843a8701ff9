//! Reading, deleting and parking rows of the outbox.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use futures_util::TryStreamExt as _;

use super::row::{OutboxRow, RowId};
use super::wake::BucketSet;
use crate::database::pool::Pool;
use crate::database::sql::push_list;
use crate::transport::Target;

/// The tables of the outbox.
#[derive(Clone)]
pub(super) struct OutboxTable {
    pub(super) pool: Pool,
}

/// Which rows to read.
#[derive(Debug, Clone, Default)]
pub(super) struct Fetch {
    pub(super) buckets: BucketSet,
    /// Where they go; all where it names none.
    pub(super) targets: &'static [Target],
    /// Rows that are known already.
    pub(super) except: Vec<u64>,
    pub(super) max_rows: usize,
    /// Reading stops after the row that passes this.
    pub(super) max_bytes: usize,
}

/// What one consistent read shows of the buckets, in the order of bucket and id.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    pub(super) rows: Vec<OutboxRow>,
    /// Whether there may be more.
    pub(super) truncated: bool,
}

impl OutboxTable {
    /// Read rows from the start of each bucket: no cursor, since a row may commit below every id that was ever seen.
    pub(super) async fn fetch(&self, fetch: &Fetch) -> Result<Snapshot, sqlx::Error> {
        let mut sql = format!("SELECT {} FROM tidings_outbox WHERE (", OutboxRow::COLUMNS);
        for (index, range) in ranges(fetch.buckets).into_iter().enumerate() {
            let or = if index == 0 { "" } else { " OR " };
            // Writing to a `String` cannot fail.
            let _ = write!(sql, "{or}bucket BETWEEN {} AND {}", range.start(), range.end());
        }
        sql.push(')');
        if let [target] = fetch.targets {
            let _ = write!(sql, " AND target = '{}'", target.as_str());
        }
        if !fetch.except.is_empty() {
            sql.push_str(" AND id NOT IN (");
            push_list(&mut sql, &fetch.except);
            sql.push(')');
        }
        let _ = write!(sql, " ORDER BY bucket, id LIMIT {}", fetch.max_rows);

        let mut snapshot = Snapshot::default();
        let mut bytes = 0;
        let mut rows = self.pool.stream(sql);
        while let Some(row) = rows.try_next().await? {
            let row = OutboxRow::read(&row)?;
            bytes += row.bytes();
            snapshot.rows.push(row);
            if bytes > fetch.max_bytes {
                snapshot.truncated = true;
                return Ok(snapshot);
            }
        }
        snapshot.truncated = snapshot.rows.len() >= fetch.max_rows;
        Ok(snapshot)
    }

    /// Delete exactly these rows. Never a range: a lower id may have been committed meanwhile.
    pub(super) async fn delete(&self, rows: &[RowId]) -> Result<(), sqlx::Error> {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        let mut statements = Vec::new();
        for bucket in rows.chunk_by(|left, right| left.bucket == right.bucket) {
            let Some(RowId { bucket: number, .. }) = bucket.first() else { continue };
            let mut sql = format!("DELETE FROM tidings_outbox WHERE bucket = {number} AND id IN (");
            push_list(&mut sql, bucket.iter().map(|row| row.id));
            sql.push(')');
            statements.push(sql);
        }
        match statements.len() {
            0 => Ok(()),
            1 => self.pool.execute(statements.concat()).await.map(drop),
            _ => self.pool.run_transaction(statements).await,
        }
    }

    /// Move a row out of the way, and say why.
    pub(super) async fn park(&self, row: RowId, reason: &str) -> Result<(), sqlx::Error> {
        let dialect = self.pool.dialect();
        let RowId { bucket, id } = row;
        let columns = PARKED_COLUMNS;
        let (reason, now) = (dialect.text(reason), dialect.now());
        let statements = vec![
            format!(
                "DELETE FROM tidings_outbox_parked WHERE event_id IN \
                 (SELECT event_id FROM tidings_outbox WHERE bucket = {bucket} AND id = {id})"
            ),
            format!(
                "INSERT INTO tidings_outbox_parked ({columns}, reason, parked_at) \
                 SELECT {columns}, {reason}, {now} FROM tidings_outbox WHERE bucket = {bucket} AND id = {id}"
            ),
            format!("DELETE FROM tidings_outbox WHERE bucket = {bucket} AND id = {id}"),
        ];
        self.pool.run_transaction(statements).await
    }
}

const PARKED_COLUMNS: &str = "bucket, id, event_id, topic, stream, epoch, sequence, partition_key, source, event_type, \
     schema_version, occurred_at, recorded_at, correlation_id, causation_id, data_schema, spec_version, content_type, \
     traceparent, tracestate, target, created_at, payload";

/// The buckets as ranges: one range is read faster than its buckets one by one.
fn ranges(buckets: BucketSet) -> Vec<RangeInclusive<u8>> {
    let mut ranges: Vec<RangeInclusive<u8>> = Vec::new();
    for bucket in buckets.iter() {
        match ranges.last_mut() {
            Some(range) if range.end().checked_add(1) == Some(bucket) => *range = *range.start()..=bucket,
            _ => ranges.push(bucket..=bucket),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_buckets_are_one_range() {
        assert_eq!(ranges([0, 1, 2, 5, 254, 255].into_iter().collect()), [0..=2, 5..=5, 254..=255]);
        assert_eq!(ranges((0..=255).collect()), [0..=255]);
    }
}
