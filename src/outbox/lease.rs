//! Who publishes which bucket. The database's clock decides: nobody's own clock matters.

use std::time::Duration;

use super::bucket::BUCKETS;
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
    /// The epoch of each bucket's lease.
    pub(super) epochs: Vec<u64>,
    /// How many this relay ought to own.
    pub(super) share: usize,
}

impl OutboxTable {
    /// Say that `member` lives and keeps what it owns; claim free buckets up to its share, unless it is leaving.
    pub(super) async fn renew(&self, member: &Member, claim: bool) -> Result<Leases, sqlx::Error> {
        let dialect = self.pool.dialect();
        let Member { owner, address, ttl } = member;
        let until = dialect.now_plus(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 1_000));
        let (me, now) = (dialect.text(owner), dialect.now());
        let mut place = String::new();
        dialect.push_optional_text(&mut place, address.as_deref());

        // A lease that ran out and that nobody took is still this member's.
        let sql = format!(
            "INSERT INTO tidings_outbox_relay (owner, address, expires_at) VALUES ({me}, {place}, {until}) {} \
             address = {place}, expires_at = {until};\
             DELETE FROM tidings_outbox_relay WHERE expires_at < {};\
             UPDATE tidings_outbox_lease SET expires_at = {until} WHERE owner = {me}",
            dialect.on_duplicate(),
            dialect.now_plus(-60_000),
        );
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
            "SELECT bucket, CASE WHEN owner IS NULL OR expires_at <= {now} THEN 0 WHEN owner = {me} THEN 1 ELSE 2 END, \
             epoch FROM tidings_outbox_lease"
        );
        let mut leases = Leases { epochs: vec![0; BUCKETS], ..Leases::default() };
        for row in self.pool.query(sql).await? {
            let Ok(bucket) = u8::try_from(row.integer(0)?) else { continue };
            leases.epochs[usize::from(bucket)] = row.integer(2)?.unsigned_abs();
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
        let sql = format!(
            "DELETE FROM tidings_outbox_held WHERE owner = {me};DELETE FROM tidings_outbox_relay WHERE owner = {me}"
        );
        self.pool.execute(sql).await.map(drop)
    }
}

fn list(buckets: impl IntoIterator<Item = u8>) -> String {
    let mut sql = String::new();
    push_list(&mut sql, buckets);
    sql
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    use crate::database::{Database, DatabaseOptions};

    async fn table() -> (OutboxTable, Database) {
        let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
        let database = Database::connect(options).await.unwrap();
        (OutboxTable::new(database.pool.clone()), database)
    }

    fn member(name: &str, ttl: Duration) -> Member {
        Member { owner: name.to_owned(), address: None, ttl }
    }

    #[tokio::test]
    async fn a_newcomer_gets_its_share_when_the_other_gives_up_the_rest() {
        let (table, _database) = table().await;
        let (first, second) = (member("a", Duration::from_mins(1)), member("b", Duration::from_mins(1)));
        assert_eq!(table.renew(&first, true).await.unwrap().owned.len(), 256);
        let leases = table.renew(&second, true).await.unwrap();
        assert_eq!((leases.owned.len(), leases.free.len(), leases.share), (0, 0, 128));
        let leases = table.renew(&first, true).await.unwrap();
        assert_eq!((leases.owned.len(), leases.share), (256, 128));
        table.release("a", crate::outbox::share::to_release(leases.owned, leases.share)).await.unwrap();
        assert_eq!(table.renew(&second, true).await.unwrap().owned.len(), 128);
        assert_eq!(table.renew(&first, true).await.unwrap().owned.len(), 128);
    }

    #[tokio::test]
    async fn a_renewal_extends_all_that_is_owned() {
        let (table, database) = table().await;
        table.renew(&member("a", Duration::from_secs(2)), true).await.unwrap();
        // A relay that forgot what it owns, and is told.
        let leases = table.renew(&member("a", Duration::from_hours(1)), false).await.unwrap();
        assert_eq!(leases.owned.len(), 256);
        let until = table.pool.dialect().now_plus(3_000_000);
        let rows = database.pool.query(format!("SELECT COUNT(*) FROM tidings_outbox_lease WHERE expires_at > {until}"));
        assert_eq!(rows.await.unwrap()[0].integer(0).unwrap(), 256);
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_is_taken_and_its_epoch_grows() {
        let (table, database) = table().await;
        table.renew(&member("a", Duration::ZERO), true).await.unwrap();
        database.pool.execute("DELETE FROM tidings_outbox_relay".to_owned()).await.unwrap();
        assert_eq!(table.renew(&member("b", Duration::from_mins(1)), true).await.unwrap().owned.len(), 256);
        assert_eq!(table.renew(&member("a", Duration::from_mins(1)), true).await.unwrap().owned.len(), 0);
        let epochs = database.pool.query("SELECT MIN(epoch), MAX(epoch) FROM tidings_outbox_lease".to_owned());
        let epochs = epochs.await.unwrap();
        assert_eq!((epochs[0].integer(0).unwrap(), epochs[0].integer(1).unwrap()), (2, 2));
    }
}
