//! A running relay: reads rows, writes them to Kafka, deletes what was acknowledged, and keeps its leases.
//!
//! Reading, writing, deleting and renewing go on at once, each at most once at a time. Whatever fails on the way to Kafka ends
//! the same way: everything under way is purged, the producer is dropped, and the relay begins again from the table.

mod backoff;
mod holding;
mod leasing;
mod reading;
mod reporting;
mod row_size;
mod settling;
mod silence;
#[cfg(all(test, feature = "sqlite"))]
#[allow(clippy::unwrap_used, reason = "what these tests share may stop at the first surprise")]
mod tests;
mod too_large;
mod unheard;
mod writing;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use self::backoff::Backoff;
use self::leasing::Renewal;
use self::reporting::Report;
use self::row_size::RowSize;
use self::silence::session_limits;
use self::too_large::TooLarge;
use self::unheard::Unheard;
use super::RelayOptions;
use super::held::{Destination, HeldBack};
use super::lease::Member;
use super::order::StreamOrder;
use super::pipeline::Pipeline;
use super::producers::ProducerFactory;
use super::relay::RelaySummary;
use super::row::RowId;
use super::settled::Settled;
use super::table::{Fetch, OutboxTable, Snapshot};
use super::wake::{BucketSet, Ear, Listener, WakeAddress};
use crate::database::Database;
use crate::database::pool::Pool;
use crate::transport::Producer;

/// How long to wait for what becomes of purged records.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many rows are read while one of them is under suspicion, and all go one by one.
const SUSPECT_ROWS: usize = 64;
/// The most rows handed to the producer in one turn: a long backlog must not keep the leases from being renewed.
const SENT_AT_ONCE: usize = 1_024;
/// How often rows are deleted, unless there are many: each time costs the database a flush to its disk.
const DELETE_INTERVAL: Duration = Duration::from_millis(5);
/// How many rows are not waited with.
const WORTH_DELETING: usize = 1_024;
/// How often the gates are asked about, while that is worth while.
const ASK_INTERVAL: Duration = Duration::from_millis(50);
/// How seldom, where one stays shut.
const MAX_ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How many connections it has: for reading, deleting, the leases, parking, noting or asking, and reporting.
const CONNECTIONS: u32 = 5;

/// An operation under way, if one is.
type Task<T> = Option<BoxFuture<'static, T>>;
/// The rows that were to be parked, and those that were.
type Parking = (Vec<RowId>, Result<Vec<RowId>, sqlx::Error>);

pub(super) struct Running {
    database: Database,
    /// When its connections were left for others, if they were.
    replaced_at: Option<Instant>,
    /// Whose connections its own are like.
    service_pool: Pool,
    table: OutboxTable,
    producers: Arc<dyn ProducerFactory>,
    options: RelayOptions,
    member: Member,
    listener: Arc<Listener>,
    /// Where commits in other processes are heard of.
    ear: Option<Ear>,

    producer: Option<Arc<dyn Producer>>,
    /// When to make a producer, where there is none.
    make_at: Instant,
    make_backoff: Backoff,
    pipeline: Pipeline,
    /// Whether the producer would have taken more in this turn.
    more_to_send: bool,
    order: StreamOrder,
    settled: Settled,
    asking: Task<Result<Vec<usize>, sqlx::Error>>,
    ask_at: Instant,
    ask_pause: Duration,
    /// Set while what a failed producer had under way is being waited for.
    purging_until: Option<Instant>,
    /// Rows that were refused in company; each is tried alone, then parked.
    suspects: FxHashSet<RowId>,
    /// Those that brokers found too large, or their company.
    too_large: TooLarge,
    fitting: Task<BTreeMap<String, u32>>,
    /// Where nothing can be taken at present.
    held: HeldBack,
    /// What the last read left out of it.
    left_out: Vec<Destination>,
    /// What it did not leave out though it is held back.
    shown: Vec<Destination>,
    noting: Task<Result<(), sqlx::Error>>,
    note_at: Instant,

    owned: BucketSet,
    /// The epoch of each bucket's lease, when they were last renewed.
    epochs: Vec<u64>,
    /// Owned, but to be given up once nothing of them is under way.
    leaving: BucketSet,
    /// Of which nobody can tell whether they were given up.
    doubtful: BucketSet,
    /// Until when the leases hold, by this process's monotonic clock, counted from before the renewal was sent.
    valid_until: Instant,
    renew_at: Instant,
    renew_backoff: Backoff,
    renewing: Task<Renewal>,
    releasing: Task<(BucketSet, Result<(), sqlx::Error>)>,

    woken: BucketSet,
    /// Where the next read of all buckets begins: a long backlog in one must not hide the others.
    scan_from: u8,
    poll_at: Instant,
    poll_pause: Duration,
    unheard: Unheard,
    /// The buckets that the read under way was told of.
    announced: BucketSet,
    fetching: Task<(Fetch, bool, Result<Snapshot, sqlx::Error>)>,
    fetch_backoff: Backoff,
    row_size: RowSize,
    /// Deleted since the read under way began: it may still show them.
    deleted_meanwhile: FxHashSet<RowId>,
    deleting: Task<(Vec<RowId>, Result<(), sqlx::Error>)>,
    delete_at: Instant,
    /// When to try again what failed.
    delete_again_at: Instant,
    delete_backoff: Backoff,
    parking: Task<Parking>,
    park_at: Instant,

    report_at: Instant,
    /// When the report under way began.
    reported_from: Instant,
    reporting: Task<Result<Report, sqlx::Error>>,
    reported_buckets: BucketSet,
    /// Set when shutting down: until when acknowledgements are waited for.
    stopping: Option<Instant>,
    summary: RelaySummary,
}

impl Running {
    pub(super) fn new(
        database: Database,
        producers: Arc<dyn ProducerFactory>,
        options: RelayOptions,
        ear: Option<(Ear, WakeAddress)>,
    ) -> Self {
        let now = Instant::now();
        // A service that has all its connections in use must not cost its relay the leases.
        let service_pool = database.pool.clone();
        let database = Database { pool: database.pool.apart(CONNECTIONS, session_limits(&options)), ..database };
        let (ear, address) = ear.unzip();
        let address = address.map(|address| address.to_text());
        let member = Member { owner: uuid::Uuid::new_v4().to_string(), address, ttl: options.lease_ttl };
        Self {
            table: OutboxTable::new(database.pool.clone()),
            replaced_at: None,
            service_pool,
            listener: database.wake.listen(),
            producers,
            member,
            producer: None,
            make_at: now,
            make_backoff: Backoff::new(),
            pipeline: Pipeline::new(),
            more_to_send: false,
            order: StreamOrder::new(options.remembered_streams),
            settled: Settled::new(now),
            asking: None,
            ask_at: now,
            ask_pause: ASK_INTERVAL,
            ear,
            purging_until: None,
            suspects: FxHashSet::default(),
            too_large: TooLarge::default(),
            fitting: None,
            held: HeldBack::default(),
            left_out: Vec::new(),
            shown: Vec::new(),
            noting: None,
            note_at: now,
            owned: BucketSet::EMPTY,
            epochs: Vec::new(),
            leaving: BucketSet::EMPTY,
            doubtful: BucketSet::EMPTY,
            valid_until: now,
            renew_at: now,
            renew_backoff: Backoff::new(),
            renewing: None,
            releasing: None,
            woken: BucketSet::EMPTY,
            scan_from: 0,
            poll_at: now,
            poll_pause: options.min_poll,
            unheard: Unheard::new(now),
            announced: BucketSet::EMPTY,
            fetching: None,
            fetch_backoff: Backoff::new(),
            row_size: RowSize::default(),
            deleted_meanwhile: FxHashSet::default(),
            deleting: None,
            delete_at: now,
            delete_again_at: now,
            delete_backoff: Backoff::new(),
            parking: None,
            park_at: now,
            report_at: now,
            reported_from: now,
            reporting: None,
            reported_buckets: BucketSet::EMPTY,
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
                asked = task(&mut self.asking) => self.asked(asked),
                noted = task(&mut self.noting) => self.noted(noted),
                limits = task(&mut self.fitting) => self.fitted(&limits),
                () = listener.woken() => self.wake(listener.take()),
                woken = heard(self.ear.as_ref()) => self.wake(woken),
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
        // It may have ended while this was busy.
        if let Some(leased) = self.renewing.as_mut().and_then(futures_util::FutureExt::now_or_never) {
            self.renewing = None;
            self.renewed(leased);
        }
        let now = Instant::now();
        if now >= self.valid_until && !self.owned.is_empty() {
            tracing::warn!("the leases ran out before they could be renewed; what is under way is dropped");
            self.owned = BucketSet::EMPTY;
            self.listener.owns(self.owned);
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
        self.start_asking(now);
        self.start_noting(now);
        self.start_fetching(now);
        self.start_reporting(now);
    }

    /// When something is due that nothing else wakes this for.
    fn next_moment(&self) -> Instant {
        let far = Instant::now() + Duration::from_hours(1);
        let when = |condition: bool, moment: Instant| if condition { moment } else { far };
        [
            when(!self.owned.is_empty(), self.valid_until),
            when(self.renewing.is_none() && self.releasing.is_none(), self.renew_at),
            when(self.may_fetch(), self.poll_at),
            self.held.next_try(Instant::now()).unwrap_or(far),
            when(self.more_to_send, Instant::now()),
            when(self.wants_producer(), self.make_at),
            when(self.deleting.is_none() && self.pipeline.acknowledged_rows() > 0, self.next_delete()),
            when(self.parking.is_none() && self.pipeline.has_refused(), self.park_at),
            when(self.reporting.is_none() && self.stopping.is_none(), self.report_at),
            when(self.asking.is_none() && self.is_asking(), self.ask_at),
            self.purging_until.unwrap_or(far),
            when(self.pipeline.is_sending() && self.purging_until.is_none(), self.stopping.unwrap_or(far)),
        ]
        .into_iter()
        .min()
        .unwrap_or(far)
    }

    /// Commits to these buckets were told of.
    fn wake(&mut self, buckets: BucketSet) {
        self.unheard.told(buckets);
        self.woken = self.woken.or(buckets);
    }

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
                table.release(owner, &self.epochs, owned).await?;
            }
            table.leave(owner).await?;
            table.pool.close_apart().await;
            Ok::<_, sqlx::Error>(())
        };
        match tokio::time::timeout(PURGE_TIMEOUT, leave).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the buckets could not be given up; others wait until the leases end");
            }
            Err(_) => tracing::warn!("the buckets could not be given up in time; others wait until the leases end"),
        }
    }
}

/// The buckets of what was committed elsewhere; pending where nobody can tell.
async fn heard(ear: Option<&Ear>) -> BucketSet {
    match ear {
        Some(ear) => ear.woken().await,
        None => std::future::pending().await,
    }
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
