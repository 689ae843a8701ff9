//! Who publishes which bucket. The database's clock decides: nobody's own clock matters.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bucket::BUCKETS;
use super::share::{share, to_claim};
use super::table::OutboxTable;
use super::wake::BucketSet;
use crate::database::Failure;
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
    /// Say that `member` lives and keeps what it owns; claim free buckets up to its share, unless it is leaving. Nobody can tell whether
    /// `doubtful` ones were released, or will be yet: where they are still this member's, they get a new epoch, which ends that.
    pub(super) async fn renew(&self, member: &Member, claim: bool, doubtful: BucketSet) -> Result<Leases, sqlx::Error> {
        let dialect = self.pool.dialect();
        let Member { owner, address, ttl } = member;
        let until = dialect.now_plus(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX / 1_000));
        let (me, now) = (dialect.text(owner), dialect.now());
        let mut place = String::new();
        dialect.push_optional_text(&mut place, address.as_deref());

        let doubtful = if doubtful.is_empty() {
            String::new()
        } else {
            let doubtful = list(doubtful.iter());
            format!("UPDATE tidings_outbox_lease SET epoch = epoch + 1 WHERE owner = {me} AND bucket IN ({doubtful});")
        };
        // A lease that ran out and that nobody took is still this member's.
        let sql = format!(
            "{doubtful}INSERT INTO tidings_outbox_relay (owner, address, expires_at) VALUES ({me}, {place}, {until}) {} \
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
            match self.pool.execute(sql).await {
                Ok(0) => {}
                Ok(_) => leases = Leases { share, ..self.leases(&me).await? },
                // Whoever has locked one of them may be gone, which must not cost what is owned already.
                Err(error) if Failure::of(&error) == Failure::Conflict => {
                    tracing::debug!(%error, "free buckets could not be taken yet");
                }
                Err(error) => return Err(error),
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

    /// Give up `buckets`, held under these `epochs`. It may reach the server late: under another epoch they stay.
    pub(super) async fn release(&self, owner: &str, epochs: &[u64], buckets: BucketSet) -> Result<(), sqlx::Error> {
        let dialect = self.pool.dialect();
        let (me, now) = (dialect.text(owner), dialect.now());
        let mut of_epoch: BTreeMap<u64, BucketSet> = BTreeMap::new();
        for bucket in buckets.iter() {
            let Some(epoch) = epochs.get(usize::from(bucket)) else { continue };
            of_epoch.entry(*epoch).or_default().insert(bucket);
        }
        let statements = of_epoch.into_iter().map(|(epoch, buckets)| {
            let released = list(buckets.iter());
            format!(
                "UPDATE tidings_outbox_lease SET owner = NULL, address = NULL, expires_at = {now} \
                 WHERE owner = {me} AND epoch = {epoch} AND bucket IN ({released})"
            )
        });
        let statements: Vec<_> = statements.collect();
        if statements.is_empty() {
            return Ok(());
        }
        self.pool.execute(statements.join(";")).await.map(drop)
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

    async fn renew(table: &OutboxTable, member: &Member) -> Leases {
        table.renew(member, true, BucketSet::EMPTY).await.unwrap()
    }

    fn member(name: &str, ttl: Duration) -> Member {
        Member { owner: name.to_owned(), address: None, ttl }
    }

    #[tokio::test]
    async fn a_newcomer_gets_its_share_when_the_other_gives_up_the_rest() {
        let (table, _database) = table().await;
        let (first, second) = (member("a", Duration::from_mins(1)), member("b", Duration::from_mins(1)));
        assert_eq!(renew(&table, &first).await.owned.len(), 256);
        let leases = renew(&table, &second).await;
        assert_eq!((leases.owned.len(), leases.free.len(), leases.share), (0, 0, 128));
        let leases = renew(&table, &first).await;
        assert_eq!((leases.owned.len(), leases.share), (256, 128));
        let released = crate::outbox::share::to_release(leases.owned, leases.share);
        table.release("a", &leases.epochs, released).await.unwrap();
        assert_eq!(renew(&table, &second).await.owned.len(), 128);
        assert_eq!(renew(&table, &first).await.owned.len(), 128);
    }

    #[tokio::test]
    async fn a_renewal_extends_all_that_is_owned() {
        let (table, database) = table().await;
        renew(&table, &member("a", Duration::from_secs(2))).await;
        // A relay that forgot what it owns, and is told.
        let leases = table.renew(&member("a", Duration::from_hours(1)), false, BucketSet::EMPTY).await.unwrap();
        assert_eq!(leases.owned.len(), 256);
        let until = table.pool.dialect().now_plus(3_000_000);
        let rows = database.pool.query(format!("SELECT COUNT(*) FROM tidings_outbox_lease WHERE expires_at > {until}"));
        assert_eq!(rows.await.unwrap()[0].integer(0).unwrap(), 256);
    }

    #[tokio::test]
    async fn a_release_that_comes_late_takes_nothing_away_from_who_went_on() {
        let (table, _database) = table().await;
        let me = member("a", Duration::from_mins(1));
        let before = renew(&table, &me).await;
        // Nobody can tell whether these were released; they were not.
        let doubtful: BucketSet = [3, 7].into_iter().collect();
        let after = table.renew(&me, true, doubtful).await.unwrap();
        assert_eq!((after.epochs[3], after.epochs[7]), (before.epochs[3] + 1, before.epochs[7] + 1));
        assert_eq!(after.epochs[4], before.epochs[4]);
        table.release("a", &before.epochs, doubtful).await.unwrap();
        assert_eq!(renew(&table, &me).await.epochs, after.epochs, "they were taken again");
        table.release("a", &after.epochs, doubtful).await.unwrap();
        assert_eq!(table.renew(&me, false, BucketSet::EMPTY).await.unwrap().owned.len(), 254);
    }

    #[tokio::test]
    async fn a_lease_that_ran_out_is_taken_and_its_epoch_grows() {
        let (table, database) = table().await;
        renew(&table, &member("a", Duration::ZERO)).await;
        database.pool.execute("DELETE FROM tidings_outbox_relay".to_owned()).await.unwrap();
        assert_eq!(renew(&table, &member("b", Duration::from_mins(1))).await.owned.len(), 256);
        assert_eq!(renew(&table, &member("a", Duration::from_mins(1))).await.owned.len(), 0);
        let epochs = database.pool.query("SELECT MIN(epoch), MAX(epoch) FROM tidings_outbox_lease".to_owned());
        let epochs = epochs.await.unwrap();
        assert_eq!((epochs[0].integer(0).unwrap(), epochs[0].integer(1).unwrap()), (2, 2));
    }
}
