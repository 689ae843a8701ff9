//! Reading and deleting rows of the outbox.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use futures_util::TryStreamExt as _;
use rustc_hash::FxHashMap;

use super::held::Destination;
use super::keys::{KeyLists, deletion};
use super::row::{BEHIND_A_PARKED_EVENT, OutboxRow, RowId};
use super::wake::BucketSet;
#[cfg(any(feature = "mysql", feature = "store"))]
use crate::database::Failure;
use crate::database::pool::Pool;
#[cfg(any(feature = "mysql", feature = "store"))]
use crate::database::pool::Row;
use crate::database::sql::push_list;
use crate::transport::Target;

/// The tables of the outbox.
#[derive(Clone)]
pub(super) struct OutboxTable {
    pub(super) pool: Pool,
    pub(super) keys: KeyLists,
}

/// Which rows to read.
#[derive(Debug, Clone, Default)]
pub(super) struct Fetch {
    pub(super) buckets: BucketSet,
    /// Of some buckets, the id up to which nothing need be read: see [`Settled`](super::settled::Settled).
    pub(super) marks: FxHashMap<u8, u64>,
    /// What was settled when the read began.
    pub(super) until: u64,
    /// Where they go; all where it names none.
    pub(super) targets: &'static [Target],
    /// Where they do not go.
    pub(super) left_out: Vec<Destination>,
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
    pub(super) fn new(pool: Pool) -> Self {
        Self { keys: KeyLists::new(pool.dialect()), pool }
    }

    /// Read rows from the start of each bucket: no cursor, since a row may commit below every id that was ever seen.
    pub(super) async fn fetch(&self, fetch: &Fetch) -> Result<Snapshot, sqlx::Error> {
        let (columns, index) = (OutboxRow::COLUMNS, self.pool.dialect().by_primary_key());
        let mut sql = format!("SELECT {columns}, {BEHIND_A_PARKED_EVENT} FROM tidings_outbox {index} WHERE (");
        let marked: BucketSet = fetch.marks.keys().copied().collect();
        let mut or = "";
        for range in ranges(fetch.buckets.without(marked)) {
            // Writing to a `String` cannot fail.
            let _ = write!(sql, "{or}bucket BETWEEN {} AND {}", range.start(), range.end());
            or = " OR ";
        }
        for bucket in fetch.buckets.and(marked).iter() {
            let _ = write!(sql, "{or}bucket = {bucket} AND id > {}", fetch.marks.get(&bucket).copied().unwrap_or(0));
            or = " OR ";
        }
        sql.push(')');
        if let [target] = fetch.targets {
            let _ = write!(sql, " AND target = '{}'", target.as_str());
        }
        for Destination { target, topic } in &fetch.left_out {
            let topic = self.pool.dialect().text(topic);
            let _ = write!(sql, " AND NOT (target = '{}' AND topic = {topic})", target.as_str());
        }
        if !fetch.except.is_empty() {
            // An expression, so that nobody makes thousands of ranges of it.
            sql.push_str(" AND id + 0 NOT IN (");
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

    /// Whether writers hold gates.
    pub(super) const fn has_gates(&self) -> bool {
        match &self.pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(_) => true,
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => false,
        }
    }

    /// Whether nobody who writes holds `gate` now: see [`Settled`](super::settled::Settled). `false` also where there are no gates.
    #[cfg_attr(not(feature = "mysql"), allow(clippy::unused_async, reason = "only MySQL is asked"))]
    pub(super) async fn is_free(&self, gate: usize) -> Result<bool, sqlx::Error> {
        match &self.pool {
            #[cfg(feature = "mysql")]
            Pool::MySql(_) => is_gate_free(self.pool.query(gate_question(gate)).await),
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => {
                let _ = gate;
                Ok(false)
            }
        }
    }

    /// Delete exactly these rows. Never a range: a lower id may have been committed meanwhile.
    pub(super) async fn delete(&self, rows: &[RowId]) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        let mut list = self.keys.first();
        loop {
            let result = self.pool.execute(deletion(list, &rows)).await;
            match self.keys.after(list, &result) {
                Some(plainer) => list = plainer,
                None => return result.map(drop),
            }
        }
    }
}

/// Asks whether nobody who writes holds `gate`. Shut and opened again in one statement; it does not wait, and so makes nobody else wait.
#[cfg(any(feature = "mysql", feature = "store"))]
pub(crate) fn gate_question(gate: usize) -> String {
    format!("SELECT slot FROM tidings_outbox_gate WHERE slot = {gate} FOR UPDATE NOWAIT")
}

/// What the answer to [`gate_question`] says.
#[cfg(any(feature = "mysql", feature = "store"))]
pub(crate) fn is_gate_free(answer: Result<Vec<Row>, sqlx::Error>) -> Result<bool, sqlx::Error> {
    match answer {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(error) if Failure::of(&error) == Failure::Conflict => Ok(false),
        Err(error) => Err(error),
    }
}

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
