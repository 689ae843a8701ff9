//! Keeping the leases, and giving up what is more than the share.

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::silence::{session_limits, sooner};
use super::{CONNECTIONS, Running};
use crate::database::bounded::within;
use crate::database::pool::Pool;
use crate::outbox::lease::Leases;
use crate::outbox::share::to_release;
use crate::outbox::table::OutboxTable;
use crate::outbox::wake::BucketSet;
use crate::telemetry::names;

/// What became of a renewal.
pub(super) struct Renewal {
    /// When it was begun.
    pub(super) asked: Instant,
    pub(super) leases: Result<Leases, sqlx::Error>,
    /// The connections that answered, where those at hand were silent.
    pub(super) other: Option<Pool>,
}

impl Running {
    pub(super) fn start_renewing(&mut self, now: Instant) {
        if self.renewing.is_some() || self.releasing.is_some() || now < self.renew_at {
            return;
        }
        self.renew_at = now + self.options.lease_ttl / 3;
        let (table, member, claim) = (self.table.clone(), self.member.clone(), self.stopping.is_none());
        let (doubtful, patience) = (self.doubtful, self.options.lease_ttl / 4);
        // Slower than this it is as good as failed.
        let limit = if self.owned.is_empty() { member.ttl } else { member.ttl / 2 };
        let (service_pool, limits) = (self.service_pool.clone(), session_limits(&self.options));
        self.renewing = Some(
            async move {
                let first = async { Ok((table.renew(&member, claim, doubtful).await?, None)) };
                let second = async {
                    let pool = service_pool.apart(CONNECTIONS, limits);
                    let table = OutboxTable { pool: pool.clone(), ..table.clone() };
                    Ok((table.renew(&member, claim, doubtful).await?, Some(pool)))
                };
                let (leases, other) = match within(limit, sooner(first, patience, second)).await {
                    Ok((leases, other)) => (Ok(leases), other),
                    Err(error) => (Err(error), None),
                };
                Renewal { asked: now, leases, other }
            }
            .boxed(),
        );
    }

    pub(super) fn renewed(&mut self, Renewal { asked, leases, other }: Renewal) {
        if let Some(pool) = other {
            self.go_on_with(pool);
        }
        let leases = match leases {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(%error, "the leases could not be renewed");
                self.heed(&error);
                let pause = self.renew_backoff.next().min(self.options.lease_ttl / 12);
                self.renew_at = self.renew_at.min(Instant::now() + pause);
                return;
            }
        };
        self.renew_backoff.reset();
        self.doubtful = BucketSet::EMPTY;
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
        let (table, owner, epochs) = (self.table.clone(), self.member.owner.clone(), self.epochs.clone());
        // Nothing is renewed meanwhile.
        let limit = self.options.lease_ttl / 4;
        self.releasing = Some(async move { (done, within(limit, table.release(&owner, &epochs, done)).await) }.boxed());
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
            self.doubtful = self.doubtful.or(buckets);
            self.renew_at = Instant::now();
        }
    }
}
