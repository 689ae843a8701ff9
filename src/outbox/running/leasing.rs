//! Keeping the leases, and giving up what is more than the share.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Running;
use super::silence::within;
use crate::outbox::lease::Leases;
use crate::outbox::share::to_release;
use crate::outbox::wake::BucketSet;
use crate::telemetry::names;

impl Running {
    pub(super) fn start_renewing(&mut self, now: Instant) {
        if self.renewing.is_some() || self.releasing.is_some() || now < self.renew_at {
            return;
        }
        self.renew_at = now + self.options.lease_ttl / 3;
        let (table, member, claim) = (self.table.clone(), self.member.clone(), self.stopping.is_none());
        self.renewing = Some(
            async move {
                // Slower than this it is as good as failed.
                (now, within(member.ttl, table.renew(&member, claim)).await)
            }
            .boxed(),
        );
    }

    pub(super) fn renewed(&mut self, (asked, result): (Instant, Result<Leases, sqlx::Error>)) {
        let leases = match result {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(%error, "the leases could not be renewed");
                self.heed(&error);
                return;
            }
        };
        // One that came back under another epoch was somebody else's meanwhile: this process may have stood still.
        let kept = |bucket: &u8| {
            let bucket = usize::from(*bucket);
            self.epochs.get(bucket) == leases.epochs.get(bucket)
        };
        let kept: BucketSet = self.owned.and(leases.owned).iter().filter(kept).collect();
        let lost = self.owned.without(kept);
        let gained = leases.owned.without(kept);
        if !lost.is_empty() {
            tracing::warn!(buckets = lost.len(), "leases were lost to another relay; what is under way is dropped");
            self.begin_again("lease");
        }
        if !gained.is_empty() {
            tracing::info!(buckets = gained.len(), "buckets were taken over");
        }
        self.owned = leases.owned;
        self.listener.owns(self.owned);
        gained.iter().for_each(|bucket| self.settled.forget(bucket));
        self.epochs = leases.epochs;
        // The server's clock started later than this, so here the lease ends early.
        self.valid_until = asked + self.options.lease_ttl - self.options.lease_ttl / 4;
        self.leaving = if self.stopping.is_some() { self.owned } else { to_release(self.owned, leases.share) };
        self.woken = self.woken.or(gained);
        for bucket in self.leaving.iter() {
            self.settled.forget(bucket);
            // A read under way has left them out, and may show their successors once the bucket is read again.
            for stream in self.pipeline.drop_queued(bucket) {
                self.order.forget(&stream);
            }
        }
        metrics::gauge!(names::OUTBOX_BUCKETS_OWNED)
            .set(f64::from(u32::try_from(self.owned.len()).unwrap_or(u32::MAX)));
    }

    pub(super) fn start_releasing(&mut self) {
        if self.leaving.is_empty() || self.releasing.is_some() || self.renewing.is_some() || self.stopping.is_some() {
            return;
        }
        let done: BucketSet = self.leaving.iter().filter(|bucket| !self.pipeline.has_any_of(*bucket)).collect();
        if done.is_empty() {
            return;
        }
        let (table, owner) = (self.table.clone(), self.member.owner.clone());
        // Nothing is renewed meanwhile.
        let limit = self.options.lease_ttl / 3;
        self.releasing = Some(async move { (done, within(limit, table.release(&owner, done)).await) }.boxed());
    }

    pub(super) fn released(&mut self, (buckets, result): (BucketSet, Result<(), sqlx::Error>)) {
        // Also where it failed: it may have been done all the same, and somebody else may own them by now.
        self.owned = self.owned.without(buckets);
        self.listener.owns(self.owned);
        self.leaving = self.leaving.without(buckets);
        if let Err(error) = result {
            tracing::warn!(%error, "nobody can tell whether buckets were given up");
            self.heed(&error);
            // A renewal tells what became of them.
            self.renew_at = Instant::now();
        }
    }
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::database::{Database, DatabaseOptions};
    use crate::outbox::RelayOptions;
    use crate::outbox::row::OutboxRow;
    use crate::outbox::table::{Fetch, Snapshot};
    use crate::transport::Producer;
    use crate::transport::memory::MemoryProducer;

    /// The leases are renewed, as if it ought to own this many.
    async fn renew(running: &mut Running, share: usize) {
        running.start_renewing(running.renew_at);
        let (asked, leases) = running.renewing.take().unwrap().await;
        running.renewed((asked, leases.map(|leases| Leases { share, ..leases })));
    }

    #[tokio::test]
    async fn what_follows_events_that_were_let_go_of_waits_until_they_are_read_again() {
        let mut running = running().await;
        renew(&mut running, 256).await;
        let row = |sequence| OutboxRow::example(sequence, "Account/42", sequence);
        let first = running.order.admit(vec![row(1), row(2)]).publish;
        running.pipeline.push(first);
        let fetch = Fetch { buckets: running.owned, except: vec![1, 2], ..Fetch::default() };
        // While it reads, the bucket was to be given up, and then it was not.
        renew(&mut running, 0).await;
        renew(&mut running, 256).await;
        assert_eq!(running.pipeline.rows(), 0);
        running.fetched((fetch, true, Ok(Snapshot { rows: vec![row(3)], truncated: false })));
        assert!(!running.pipeline.knows(row(3).id), "two events before it are not published");
    }

    #[tokio::test]
    async fn a_hold_ends_when_a_read_of_everything_shows_nothing_that_goes_there() {
        let mut running = running().await;
        renew(&mut running, 256).await;
        let row = OutboxRow::example(1, "Account/42", 1);
        running.held.hold(row.destination(), "missing".to_owned(), Instant::now());
        let fetch = || Fetch { buckets: (0..=255).collect(), ..Fetch::default() };
        running.choose_left_out(Instant::now());
        running.fetched((fetch(), true, Ok(Snapshot::default())));
        assert!(!running.held.is_empty(), "this read left it out");

        let due = Instant::now() + std::time::Duration::from_secs(2);
        running.choose_left_out(due);
        running.fetched((fetch(), true, Ok(Snapshot { rows: vec![row], truncated: false })));
        assert!(!running.held.is_empty(), "there is one to be tried");
        running.pipeline.abandon();
        running.choose_left_out(due);
        running.fetched((fetch(), true, Ok(Snapshot::default())));
        assert!(running.held.is_empty());
    }

    async fn running() -> Running {
        let options = DatabaseOptions::new("sqlite::memory:").migrate(true);
        let database = Database::connect(options).await.unwrap();
        let producers = || -> Arc<dyn Producer> { Arc::new(MemoryProducer::new(1)) };
        Running::new(database, Arc::new(producers), RelayOptions::default(), None)
    }

    #[tokio::test]
    async fn buckets_of_which_nobody_can_tell_whether_they_were_given_up_are_not_worked_on() {
        let mut running = running().await;
        running.start_renewing(Instant::now());
        let renewed = running.renewing.take().unwrap().await;
        running.renewed(renewed);
        let (given_up, kept) = ((0..8).collect::<BucketSet>(), (8..=255).collect());
        running.leaving = given_up;
        // It was done, and the answer was lost; somebody else takes them.
        running.table.release(&running.member.owner, given_up).await.unwrap();
        running.released((given_up, Err(sqlx::Error::PoolTimedOut)));
        assert_eq!((running.owned, running.readable(), running.leaving), (kept, kept, BucketSet::EMPTY));
        assert!(running.renew_at <= Instant::now(), "it asks at once");
    }

    #[tokio::test]
    async fn buckets_that_were_not_given_up_after_all_are_found_again_by_the_next_renewal() {
        let mut running = running().await;
        for failed in [true, false] {
            running.start_renewing(running.renew_at);
            let renewed = running.renewing.take().unwrap().await;
            running.renewed(renewed);
            assert_eq!(running.owned.len(), 256);
            if failed {
                let buckets = (0..8).collect();
                running.leaving = buckets;
                running.released((buckets, Err(sqlx::Error::PoolTimedOut)));
            }
        }
    }
}
