//! Moving rows out of the way, by the relay that owns their bucket.

use std::fmt::Write as _;

use super::{SHARED_COLUMNS, WAITS};
use crate::database::open::OpenTransaction;
use crate::database::sql::push_list;
use crate::outbox::keys::{KeyList, deletion};
use crate::outbox::row::{BEHIND_A_PARKED_EVENT, RowId};
use crate::outbox::table::OutboxTable;

/// A row to park.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::outbox) struct Refused {
    pub(in crate::outbox) row: RowId,
    /// Why it was refused; `None` where it waits behind one that was.
    pub(in crate::outbox) reason: Option<String>,
}

impl OutboxTable {
    /// Park rows of buckets whose leases `owner` holds under these `epochs`. Returns those that have left the outbox: not a row
    /// that waits for one that was released meanwhile, and none of a bucket that is somebody else's by now.
    pub(in crate::outbox) async fn park(
        &self,
        owner: &str,
        epochs: &[u64],
        refused: &[Refused],
    ) -> Result<Vec<RowId>, sqlx::Error> {
        let mut list = self.keys.first();
        loop {
            let result = self.try_park(owner, epochs, refused, list).await;
            match self.keys.after(list, &result) {
                Some(plainer) => list = plainer,
                None => return result,
            }
        }
    }

    async fn try_park(
        &self,
        owner: &str,
        epochs: &[u64],
        refused: &[Refused],
        list: KeyList,
    ) -> Result<Vec<RowId>, sqlx::Error> {
        let dialect = self.pool.dialect();
        let me = dialect.text(owner);
        // Those that are waited for come first.
        let mut refused: Vec<&Refused> = refused.iter().collect();
        refused
            .sort_by_key(|refused| (refused.row.bucket, refused.reason.is_none(), refused.reason.clone(), refused.row));

        let mut buckets: Vec<u8> = refused.iter().map(|refused| refused.row.bucket).collect();
        buckets.dedup();
        let mut sql = "UPDATE tidings_outbox_lease SET owner = owner WHERE bucket IN (".to_owned();
        push_list(&mut sql, &buckets);
        sql.push(')');
        let (mut places, mut or) = (String::new(), "");
        for group in refused.chunk_by(|a, b| (a.row.bucket, &a.reason) == (b.row.bucket, &b.reason)) {
            let Some(Refused { row: RowId { bucket, .. }, reason }) = group.first() else { continue };
            let epoch = epochs.get(usize::from(*bucket)).copied().unwrap_or_default();
            let mut ids = String::new();
            push_list(&mut ids, group.iter().map(|refused| refused.row.id));
            let here = format!("bucket = {bucket} AND id IN ({ids})");
            let delete = deletion(list, &group.iter().map(|refused| refused.row).collect::<Vec<_>>());
            let mine = format!(
                "EXISTS (SELECT 1 FROM tidings_outbox_lease l WHERE l.bucket = {bucket} AND l.owner = {me} AND l.epoch = {epoch})"
            );
            let behind = match reason {
                Some(_) => String::new(),
                None => format!(" AND {BEHIND_A_PARKED_EVENT}"),
            };
            let (reason, now) = (dialect.text(reason.as_deref().unwrap_or(WAITS)), dialect.now());
            // Writing to a `String` cannot fail.
            let _ = write!(
                sql,
                ";REPLACE INTO tidings_outbox_parked (id, {SHARED_COLUMNS}, reason, parked_at) \
                 SELECT id, {SHARED_COLUMNS}, {reason}, {now} FROM tidings_outbox WHERE {here} AND {mine}{behind};\
                 {delete} AND {mine} AND \
                 EXISTS (SELECT 1 FROM tidings_outbox_parked p WHERE p.event_id = tidings_outbox.event_id)"
            );
            let _ = write!(places, "{or}{here}");
            or = " OR ";
        }
        let _ = write!(sql, ";SELECT bucket, id FROM tidings_outbox WHERE {places}");

        let mut open = OpenTransaction::begin(&self.pool).await?;
        let mut left = Vec::new();
        for row in open.query(sql).await? {
            left.push((row.integer(0)?, row.integer(1)?));
        }
        open.commit(Vec::new()).await.map_err(crate::database::open::CommitFailure::into_source)?;
        let is_left = |row: &RowId| left.contains(&(i64::from(row.bucket), row.id.cast_signed()));
        Ok(refused.iter().map(|refused| refused.row).filter(|row| !is_left(row)).collect())
    }
}
