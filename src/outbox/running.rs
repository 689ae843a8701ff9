//! A running relay: reads rows, writes them to Kafka, deletes what was acknowledged, and keeps its leases.
//!
//! Reading, writing, deleting and renewing go on at once, each at most once at a time. Whatever fails on the way to Kafka ends
//! the same way: everything under way is purged, the producer is dropped, and the relay begins again from the table.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use super::RelayOptions;
use super::lease::{Leases, Member};
use super::order::StreamOrder;
use super::pipeline::{Pipeline, Sent};
use super::producers::ProducerFactory;
use super::relay::RelaySummary;
use super::row::RowId;
use super::share::to_release;
use super::status::backlog;
use super::table::{Fetch, OutboxTable, Snapshot};
use super::wake::{BucketSet, Listener};
use crate::database::Database;
use crate::telemetry::names;
use crate::transport::Producer;

/// The pause after a failure, doubled with each that follows.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// How long to wait for what becomes of purged records.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many rows are read while one of them is under suspicion, and all go one by one.
const SUSPECT_ROWS: usize = 64;
/// The most rows counted for the backlog's size.
const COUNTED_ROWS: u32 = 1_000_000;

/// An operation under way, if one is.
type Task<T> = Option<BoxFuture<'static, T>>;

pub(super) struct Running {
    database: Database,
    table: OutboxTable,
    producers: Arc<dyn ProducerFactory>,
    options: RelayOptions,
    member: Member,
    listener: Arc<Listener>,

    producer: Option<Arc<dyn Producer>>,
    /// When to make a producer, where there is none.
    make_at: Instant,
    make_backoff: Backoff,
    pipeline: Pipeline,
    order: StreamOrder,
    /// Set while what a failed producer had under way is being waited for.
    purging_until: Option<Instant>,
    /// Rows that were refused in company; each is tried alone, then parked.
    suspects: FxHashSet<RowId>,

    owned: BucketSet,
    /// Owned, but to be given up once nothing of them is under way.
    leaving: BucketSet,
    /// Until when the leases hold, by this process's monotonic clock, counted from before the renewal was sent.
    valid_until: Instant,
    renew_at: Instant,
    renewing: Task<(Instant, Result<Leases, sqlx::Error>)>,
    releasing: Task<(BucketSet, Result<(), sqlx::Error>)>,

    woken: BucketSet,
    /// Where the next read of all buckets begins: a long backlog in one must not hide the others.
    scan_from: u8,
    poll_at: Instant,
    poll_pause: Duration,
    fetching: Task<(Fetch, bool, Result<Snapshot, sqlx::Error>)>,
    fetch_backoff: Backoff,
    /// Deleted since the read under way began: it may still show them.
    deleted_meanwhile: FxHashSet<RowId>,
    deleting: Task<(Vec<RowId>, Result<(), sqlx::Error>)>,
    delete_at: Instant,
    delete_backoff: Backoff,
    parking: Task<(RowId, Result<(), sqlx::Error>)>,
    park_at: Instant,

    report_at: Instant,
    reporting: Task<Result<(u64, Duration), sqlx::Error>>,
    /// Set when shutting down: until when acknowledgements are waited for.
    stopping: Option<Instant>,
    summary: RelaySummary,
}

impl Running {
    pub(super) fn new(database: Database, producers: Arc<dyn ProducerFactory>, options: RelayOptions) -> Self {
        let now = Instant::now();
        let member = Member { owner: uuid::Uuid::new_v4().to_string(), address: None, ttl: options.lease_ttl };
        Self {
            table: OutboxTable { pool: database.pool.clone() },
            listener: database.wake.listen(),
            producers,
            member,
            producer: None,
            make_at: now,
            make_backoff: Backoff::new(),
            pipeline: Pipeline::new(),
            order: StreamOrder::new(options.remembered_streams),
            purging_until: None,
            suspects: FxHashSet::default(),
            owned: BucketSet::EMPTY,
            leaving: BucketSet::EMPTY,
            valid_until: now,
            renew_at: now,
            renewing: None,
            releasing: None,
            woken: BucketSet::EMPTY,
            scan_from: 0,
            poll_at: now,
            poll_pause: options.min_poll,
            fetching: None,
            fetch_backoff: Backoff::new(),
            deleted_meanwhile: FxHashSet::default(),
            deleting: None,
            delete_at: now,
            delete_backoff: Backoff::new(),
            parking: None,
            park_at: now,
            report_at: now,
            reporting: None,
            stopping: None,
            summary: RelaySummary::default(),
            options,
            database,
        }
    }

    pub(super) async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> RelaySummary {
        tracing::info!(owner = self.member.owner, "the relay starts");
        let mut shutdown = pin!(shutdown);
        loop {
            self.start_what_is_due();
            if self.stopping.is_some() && self.is_drained() {
                break;
            }
            let wake_at = self.next_moment();
            let listener = Arc::clone(&self.listener);
            tokio::select! {
                biased;
                () = &mut shutdown, if self.stopping.is_none() => self.stop(),
                leased = task(&mut self.renewing) => self.renewed(leased),
                sent = self.pipeline.next(), if self.pipeline.is_sending() => self.sent(sent),
                deleted = task(&mut self.deleting) => self.deleted(deleted),
                parked = task(&mut self.parking) => self.parked(parked),
                fetched = task(&mut self.fetching) => self.fetched(fetched),
                released = task(&mut self.releasing) => self.released(released),
                reported = task(&mut self.reporting) => self.reported(reported),
                () = listener.woken() => self.woken = self.woken.or(listener.take()),
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        self.leave().await;
        tracing::info!(
            owner = self.member.owner,
            published = self.summary.published,
            parked = self.summary.parked,
            "the relay ends"
        );
        self.summary
    }

    fn start_what_is_due(&mut self) {
        let now = Instant::now();
        if now >= self.valid_until && !self.owned.is_empty() {
            tracing::warn!("the leases ran out before they could be renewed; what is under way is dropped");
            self.owned = BucketSet::EMPTY;
            self.leaving = BucketSet::EMPTY;
            self.begin_again("lease");
        }
        if self.stopping.is_some_and(|until| now >= until) && self.purging_until.is_none() && self.pipeline.is_sending()
        {
            self.begin_again("shutdown");
        }
        if let Some(until) = self.purging_until
            && (now >= until || !self.pipeline.is_sending())
        {
            self.purged(now);
        }
        self.make_producer(now);
        self.send();
        self.start_deleting(now);
        self.start_parking(now);
        self.start_renewing(now);
        self.start_releasing();
        self.start_fetching(now);
        self.start_reporting(now);
    }

    /// When something is due that nothing else wakes this for.
    fn next_moment(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        let when = |condition: bool, moment: Instant| if condition { moment } else { far };
        [
            when(!self.owned.is_empty(), self.valid_until),
            when(self.renewing.is_none() && self.releasing.is_none(), self.renew_at),
            when(self.may_fetch(), self.poll_at),
            when(self.producer.is_none() && self.purging_until.is_none() && self.stopping.is_none(), self.make_at),
            when(self.deleting.is_none() && self.pipeline.has_acknowledged(), self.delete_at),
            when(self.parking.is_none() && self.pipeline.has_refused(), self.park_at),
            when(self.reporting.is_none() && self.stopping.is_none(), self.report_at),
            self.purging_until.unwrap_or(far),
            when(self.pipeline.is_sending() && self.purging_until.is_none(), self.stopping.unwrap_or(far)),
        ]
        .into_iter()
        .min()
        .unwrap_or(far)
    }

    // Writing.

    fn make_producer(&mut self, now: Instant) {
        let wanted = self.producer.is_none() && self.purging_until.is_none() && self.stopping.is_none();
        if !wanted || now < self.make_at {
            return;
        }
        match self.producers.make() {
            Ok(producer) => self.producer = Some(producer),
            Err(error) => {
                self.make_at = now + self.make_backoff.next();
                tracing::error!(error = &*error as &dyn std::error::Error, "the relay has no producer");
            }
        }
    }

    fn send(&mut self) {
        let (Some(producer), None) = (&self.producer, self.purging_until) else { return };
        let window = if self.suspects.is_empty() { self.options.max_in_flight_rows } else { 1 };
        if let Err(sent) = self.pipeline.send(&Arc::clone(producer), window) {
            self.sent(sent);
            // Unless that ended everything, the others go on.
            self.send();
        }
    }

    fn sent(&mut self, sent: Sent) {
        let mut next = Some(sent);
        let mut published = 0;
        // Whatever else is known by now: this is woken once for a batch, not once for a row.
        while let Some(Sent { row, result }) = next {
            match result {
                Ok(_) => {
                    published += 1;
                    self.suspects.remove(&row);
                    self.pipeline.acknowledged(row);
                }
                Err(error) => self.not_sent(row, &error),
            }
            next = self.pipeline.next().now_or_never();
        }
        if published > 0 {
            self.summary.published += published;
            self.make_backoff.reset();
            metrics::counter!(names::OUTBOX_PUBLISHED).increment(published);
        }
    }

    fn not_sent(&mut self, row: RowId, error: &crate::transport::ProduceError) {
        use crate::transport::ProduceError as E;
        if self.purging_until.is_some() {
            // Of what fails while everything is thrown away, only a refusal means anything.
            if is_refusal(error) {
                self.suspects.insert(row);
            }
            self.pipeline.failed(row);
            return;
        }
        let taken = self.pipeline.was_taken(row);
        let alone = self.suspects.contains(&row) && self.pipeline.in_flight() == usize::from(taken);
        match error {
            // The client itself refused it: nothing else was touched.
            E::TooLarge { .. } if !taken => self.refuse(row, error),
            _ if is_refusal(error) && alone => self.refuse(row, error),
            _ => {
                if is_refusal(error) {
                    // A broker refuses a batch as a whole: the row may only have been in bad company.
                    self.suspects.insert(row);
                }
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "a record was not written; the relay begins again"
                );
                self.pipeline.failed(row);
                self.begin_again(error.kind());
            }
        }
    }

    fn refuse(&mut self, row: RowId, error: &(dyn std::error::Error + 'static)) {
        self.suspects.remove(&row);
        // This, too, is a step forward.
        self.make_backoff.reset();
        tracing::error!(bucket = row.bucket, id = row.id, error, "Kafka refuses an event; it is parked");
        self.pipeline.refused(row, error.to_string());
    }

    /// Throw away what is under way; when that is known to have ended, begin again from the table.
    fn begin_again(&mut self, why: &'static str) {
        self.pipeline.clear_queue();
        if self.purging_until.is_some() {
            return;
        }
        self.summary.restarts += 1;
        metrics::counter!(names::OUTBOX_RESTARTS, names::ERROR_TYPE => why).increment(1);
        if let Some(producer) = &self.producer {
            producer.purge();
        }
        self.purging_until = Some(Instant::now() + PURGE_TIMEOUT);
    }

    fn purged(&mut self, now: Instant) {
        self.purging_until = None;
        self.pipeline.abandon();
        self.order.clear();
        self.producer = None;
        self.make_at = now + self.make_backoff.next();
        self.poll_at = now;
    }

    // Deleting and parking.

    fn start_deleting(&mut self, now: Instant) {
        if self.deleting.is_some() || now < self.delete_at {
            return;
        }
        let rows = self.pipeline.to_delete();
        if rows.is_empty() {
            return;
        }
        let table = self.table.clone();
        self.deleting = Some(
            async move {
                let result = table.delete(&rows).await;
                (rows, result)
            }
            .boxed(),
        );
    }

    fn deleted(&mut self, (rows, result): (Vec<RowId>, Result<(), sqlx::Error>)) {
        match result {
            Ok(()) => {
                self.delete_backoff.reset();
                self.pipeline.deleted(&rows);
                if self.fetching.is_some() {
                    self.deleted_meanwhile.extend(rows);
                }
            }
            Err(error) => {
                self.delete_at = Instant::now() + self.delete_backoff.next();
                tracing::warn!(%error, rows = rows.len(), "published rows could not be deleted yet");
                self.pipeline.not_deleted(rows);
            }
        }
    }

    fn start_parking(&mut self, now: Instant) {
        if self.parking.is_some() || now < self.park_at {
            return;
        }
        let Some((row, reason)) = self.pipeline.to_park() else { return };
        let table = self.table.clone();
        self.parking = Some(async move { (row, table.park(row, &reason).await) }.boxed());
    }

    fn parked(&mut self, (row, result): (RowId, Result<(), sqlx::Error>)) {
        match result {
            Ok(()) => {
                self.summary.parked += 1;
                metrics::counter!(names::OUTBOX_PARKED).increment(1);
                self.pipeline.parked(row);
                if self.fetching.is_some() {
                    self.deleted_meanwhile.insert(row);
                }
            }
            Err(error) => {
                self.park_at = Instant::now() + FIRST_BACKOFF;
                tracing::warn!(%error, "a refused row could not be parked yet");
            }
        }
    }

    // Reading.

    fn may_fetch(&self) -> bool {
        self.fetching.is_none()
            && self.producer.is_some()
            && self.purging_until.is_none()
            && self.stopping.is_none()
            && !self.readable().is_empty()
            && (self.suspects.is_empty() || !self.pipeline.has_any())
            && self.pipeline.has_room(self.options.max_in_flight_rows, self.options.max_in_flight_bytes)
    }

    fn readable(&self) -> BucketSet {
        self.owned.without(self.leaving)
    }

    fn start_fetching(&mut self, now: Instant) {
        if !self.may_fetch() {
            return;
        }
        let readable = self.readable();
        let woken = self.woken.and(readable);
        let all = now >= self.poll_at;
        if !all && woken.is_empty() {
            return;
        }
        self.woken = BucketSet::EMPTY;
        let buckets = if !self.suspects.is_empty() {
            // Nothing else until these are cleared: each goes alone.
            self.suspects.iter().map(|row| row.bucket).collect::<BucketSet>().and(readable)
        } else if all {
            readable.iter().filter(|bucket| *bucket >= self.scan_from).collect()
        } else {
            woken
        };
        if buckets.is_empty() {
            if all {
                self.suspects.retain(|row| readable.contains(row.bucket));
                self.scan_from = 0;
            }
            return;
        }
        let room = self.options.max_in_flight_rows.saturating_sub(self.pipeline.rows()).max(1);
        let most = if self.suspects.is_empty() { self.options.fetch_rows } else { SUSPECT_ROWS };
        let fetch = Fetch {
            buckets,
            except: self.pipeline.known_in(buckets),
            max_rows: room.min(most),
            max_bytes: self.options.max_in_flight_bytes.saturating_sub(self.pipeline.bytes()),
        };
        self.deleted_meanwhile.clear();
        let table = self.table.clone();
        self.fetching = Some(
            async move {
                let result = table.fetch(&fetch).await;
                (fetch, all, result)
            }
            .boxed(),
        );
    }

    fn fetched(&mut self, (fetch, all, result): (Fetch, bool, Result<Snapshot, sqlx::Error>)) {
        let now = Instant::now();
        let Snapshot { mut rows, truncated } = match result {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.poll_at = now + self.fetch_backoff.next();
                self.woken = self.woken.or(fetch.buckets);
                tracing::warn!(%error, "the outbox could not be read");
                return;
            }
        };
        self.fetch_backoff.reset();
        if self.purging_until.is_some() || self.stopping.is_some() {
            return;
        }
        let last = rows.last().map(|row| row.id.bucket);
        let found = !rows.is_empty();
        let readable = self.readable();
        rows.retain(|row| {
            readable.contains(row.id.bucket)
                && !self.pipeline.knows(row.id)
                && !self.deleted_meanwhile.contains(&row.id)
        });
        if !self.suspects.is_empty() && !rows.iter().any(|row| self.suspects.contains(&row.id)) && !truncated {
            // They are gone, or not this relay's any more.
            self.suspects.retain(|row| self.pipeline.knows(*row));
        }
        let admitted = self.order.admit(rows);
        let again: BucketSet = admitted.waiting.into_iter().collect();
        self.pipeline.push(admitted.publish);
        self.woken = self.woken.or(again);

        if truncated {
            // The rest of this one later; the others first.
            self.scan_from = last.map_or(0, |bucket| bucket.wrapping_add(1));
            self.poll_at = now;
        } else if all && self.scan_from > 0 {
            self.scan_from = 0;
            self.poll_at = now;
        } else if all {
            self.poll_pause = if found || !self.suspects.is_empty() {
                self.options.min_poll
            } else {
                (self.poll_pause * 2).min(self.options.max_poll)
            };
            self.poll_at = now + self.poll_pause;
        }
    }

    // Leases.

    fn start_renewing(&mut self, now: Instant) {
        if self.renewing.is_some() || self.releasing.is_some() || now < self.renew_at {
            return;
        }
        self.renew_at = now + self.options.lease_ttl / 3;
        let (table, member, keep, claim) =
            (self.table.clone(), self.member.clone(), self.owned, self.stopping.is_none());
        self.renewing = Some(
            async move {
                // Slower than this it is as good as failed.
                let renewed = tokio::time::timeout(member.ttl, table.renew(&member, keep, claim)).await;
                (now, renewed.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into())))
            }
            .boxed(),
        );
    }

    fn renewed(&mut self, (asked, result): (Instant, Result<Leases, sqlx::Error>)) {
        let leases = match result {
            Ok(leases) => leases,
            Err(error) => {
                tracing::warn!(%error, "the leases could not be renewed");
                return;
            }
        };
        let lost = self.owned.without(leases.owned);
        let gained = leases.owned.without(self.owned);
        if !lost.is_empty() {
            tracing::warn!(buckets = lost.len(), "leases were lost to another relay; what is under way is dropped");
            self.begin_again("lease");
        }
        if !gained.is_empty() {
            tracing::info!(buckets = gained.len(), "buckets were taken over");
        }
        self.owned = leases.owned;
        // The server's clock started later than this, so here the lease ends early.
        self.valid_until = asked + self.options.lease_ttl - self.options.lease_ttl / 4;
        self.leaving = if self.stopping.is_some() { self.owned } else { to_release(self.owned, leases.share) };
        self.woken = self.woken.or(gained);
        for bucket in self.leaving.iter() {
            self.pipeline.drop_queued(bucket);
        }
        metrics::gauge!(names::OUTBOX_BUCKETS_OWNED)
            .set(f64::from(u32::try_from(self.owned.len()).unwrap_or(u32::MAX)));
    }

    fn start_releasing(&mut self) {
        if self.leaving.is_empty() || self.releasing.is_some() || self.renewing.is_some() || self.stopping.is_some() {
            return;
        }
        let done: BucketSet = self.leaving.iter().filter(|bucket| !self.pipeline.has_any_of(*bucket)).collect();
        if done.is_empty() {
            return;
        }
        let (table, owner) = (self.table.clone(), self.member.owner.clone());
        self.releasing = Some(async move { (done, table.release(&owner, done).await) }.boxed());
    }

    fn released(&mut self, (buckets, result): (BucketSet, Result<(), sqlx::Error>)) {
        match result {
            Ok(()) => {
                self.owned = self.owned.without(buckets);
                self.leaving = self.leaving.without(buckets);
            }
            // The next renewal tells what became of them.
            Err(error) => {
                tracing::warn!(%error, "buckets could not be given up");
                self.leaving = BucketSet::EMPTY;
            }
        }
    }

    // Ending.

    fn stop(&mut self) {
        self.stopping = Some(Instant::now() + self.options.shutdown_timeout);
        self.pipeline.clear_queue();
    }

    /// Whether nothing is left to wait for. What could not be deleted, because the database is away, is published again.
    fn is_drained(&self) -> bool {
        let late = self.stopping.is_some_and(|until| Instant::now() >= until + PURGE_TIMEOUT);
        late || !(self.pipeline.has_any() || self.parking.is_some() || self.renewing.is_some())
    }

    async fn leave(&mut self) {
        let table = self.table.clone();
        let (owner, owned) = (&self.member.owner, self.owned);
        let leave = async {
            if !owned.is_empty() {
                table.release(owner, owned).await?;
            }
            table.leave(owner).await
        };
        match tokio::time::timeout(PURGE_TIMEOUT, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the buckets could not be given up; others wait until the leases end")
            }
            Err(_) => tracing::warn!("the buckets could not be given up in time; others wait until the leases end"),
        }
    }

    // Reporting.

    fn start_reporting(&mut self, now: Instant) {
        if self.reporting.is_some() || now < self.report_at || self.stopping.is_some() {
            return;
        }
        self.report_at = now + self.options.report_interval;
        let database = self.database.clone();
        self.reporting = Some(async move { backlog(&database, COUNTED_ROWS).await }.boxed());
    }

    #[expect(clippy::unused_self, reason = "reads like its siblings")]
    fn reported(&mut self, result: Result<(u64, Duration), sqlx::Error>) {
        match result {
            Ok((rows, oldest)) => {
                metrics::gauge!(names::OUTBOX_BACKLOG).set(f64::from(u32::try_from(rows).unwrap_or(u32::MAX)));
                metrics::gauge!(names::OUTBOX_OLDEST_AGE).set(oldest.as_secs_f64());
            }
            Err(error) => tracing::debug!(%error, "the backlog could not be measured"),
        }
    }
}

/// Whether Kafka will refuse this record again.
fn is_refusal(error: &crate::transport::ProduceError) -> bool {
    use crate::transport::ProduceError as E;
    matches!(error, E::TooLarge { .. } | E::UnknownPartition { .. } | E::Refused { retryable: false, .. })
}

/// The result of the operation under way; pending where there is none.
async fn task<T>(task: &mut Task<T>) -> T {
    match task {
        Some(running) => {
            let result = running.await;
            *task = None;
            result
        }
        None => std::future::pending().await,
    }
}

/// A pause that doubles.
struct Backoff(Duration);

impl Backoff {
    const fn new() -> Self {
        Self(FIRST_BACKOFF)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (self.0 * 2).min(MAX_BACKOFF);
        pause
    }

    fn reset(&mut self) {
        self.0 = FIRST_BACKOFF;
    }
}
