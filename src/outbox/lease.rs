//! Who publishes which bucket. The database's clock decides: nobody's own clock matters.

use std::fmt::Write as _;
use std::time::Duration;

use super::share::{share, to_claim};
use super::table::OutboxTable;
use super::wake::BucketSet;
use crate::database::sql::push_list;

/// A relay, as the others see it.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// A UUID made when the relay starts.
    pub(super) owner: String,
    /// Where it listens for wake-ups.
    pub(super) address: Option<String>,
    pub(super) ttl: Duration,
}

/// What the lease tables say after a renewal.
#[derive(Debug, Clone, Default)]
pub(super) struct Leases {
    /// This relay's.
    pub(super) owned: BucketSet,
    /// Owned by nobody, or by somebody who did not renew.
    pub(super) free: BucketSet,
    /// How many this relay ought to own.
    pub(super) share: usize,
}

impl OutboxTable {
    /// Say that `member` lives and keeps `keep`; claim free buckets up to its share, unless it is leaving.
    pub(super) async fn renew(&self, member: &Member, keep: BucketSet, claim: bool) -> Result<Leases, sqlx::Error> {
        let dialect = self.pool.dialect();
        let Member { owner, address, ttl } = member;
        let until = dialect.now_plus(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 1_000));
        let (me, now) = (dialect.text(owner), dialect.now());
        let mut place = String::new();
        dialect.push_optional_text(&mut place, address.as_deref());

        let mut sql = format!(
            "INSERT INTO tidings_outbox_relay (owner, address, expires_at) VALUES ({me}, {place}, {until}) {} \
             address = {place}, expires_at = {until};\
             DELETE FROM tidings_outbox_relay WHERE expires_at < {}",
            dialect.on_duplicate(),
            dialect.now_plus(-60_000),
        );
        if !keep.is_empty() {
            let kept = list(keep.iter());
            // Writing to a `String` cannot fail.
            let _ = write!(
                sql,
                ";UPDATE tidings_outbox_lease SET expires_at = {until} WHERE owner = {me} AND bucket IN ({kept})"
            );
        }
        self.pool.execute(sql).await?;

        let rows = self.pool.query(format!("SELECT owner FROM tidings_outbox_relay WHERE expires_at > {now}")).await?;
        let members = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let share = share(&members, owner);
        let mut leases = Leases { share, ..self.leases(&me).await? };

        let wanted = if claim { to_claim(leases.free, leases.owned.len(), share, owner) } else { Vec::new() };
        if !wanted.is_empty() {
            let wanted = list(wanted);
            // The epoch tells a takeover from a renewal.
            let sql = format!(
                "UPDATE tidings_outbox_lease SET owner = {me}, address = {place}, epoch = epoch + 1, expires_at = {until} \
                 WHERE bucket IN ({wanted}) AND (owner IS NULL OR expires_at <= {now})"
            );
            if self.pool.execute(sql).await? > 0 {
                leases = Leases { share, ..self.leases(&me).await? };
            }
        }
        Ok(leases)
    }

    async fn leases(&self, me: &str) -> Result<Leases, sqlx::Error> {
        let now = self.pool.dialect().now();
        let sql = format!(
            "SELECT bucket, CASE WHEN owner IS NULL OR expires_at <= {now} THEN 0 WHEN owner = {me} THEN 1 ELSE 2 END \
             FROM tidings_outbox_lease"
        );
        let mut leases = Leases::default();
        for row in self.pool.query(sql).await? {
            let Ok(bucket) = u8::try_from(row.integer(0)?) else { continue };
            match row.integer(1)? {
                0 => leases.free.insert(bucket),
                1 => leases.owned.insert(bucket),
                _ => {}
            }
        }
        Ok(leases)
    }

    /// Give up `buckets`.
    pub(super) async fn release(&self, owner: &str, buckets: BucketSet) -> Result<(), sqlx::Error> {
        let dialect = self.pool.dialect();
        let (me, now, released) = (dialect.text(owner), dialect.now(), list(buckets.iter()));
        let sql = format!(
            "UPDATE tidings_outbox_lease SET owner = NULL, address = NULL, expires_at = {now} \
             WHERE owner = {me} AND bucket IN ({released})"
        );
        self.pool.execute(sql).await.map(drop)
    }

    /// Say that `owner` is gone.
    pub(super) async fn leave(&self, owner: &str) -> Result<(), sqlx::Error> {
        let me = self.pool.dialect().text(owner);
        self.pool.execute(format!("DELETE FROM tidings_outbox_relay WHERE owner = {me}")).await.map(drop)
    }
}

fn list(buckets: impl IntoIterator<Item = u8>) -> String {
    let mut sql = String::new();
    push_list(&mut sql, buckets);
    sql
}
