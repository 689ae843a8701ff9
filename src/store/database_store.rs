//! The store on a database of its own: in a service's process, or behind `tidings store serve`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::append::{Append, Appended, Relayed};
use super::awaited::Awaited;
use super::event::{NewEvent, StoredEvent};
use super::following::{self, Presence};
use super::lane::{Job, Lane, LaneProgress, SILENCE, Work};
use super::page_budget::PageBudget;
use super::reading::{self, Notice, StreamQuery, Subscription};
use super::room::{Amount, Room, Seat};
use super::sequencer::{Sequencer, last_position};
use super::tables::stored_ids;
use super::{EventStore, StoreError, StoreOptions};
use crate::database::pool::Pool;
use crate::database::session::SessionLimits;
use crate::database::{Database, Error, TableSet};
use crate::outbox::{KeyLists, bucket_of, durability};
use crate::telemetry::names;

/// How long the database may take to say that it is there.
const ANSWER: Duration = Duration::from_secs(5);
/// How long what is under way may take when the store closes.
const CLOSING: Duration = Duration::from_secs(10);

/// An event store on a database. A cheap handle: clone it.
///
/// Any number may be open on one database, in any number of processes: they share the work.
///
/// ```no_run
/// # async fn example(event: tidings::store::NewEvent) -> Result<(), Box<dyn std::error::Error>> {
/// use tidings::database::{Database, DatabaseOptions};
/// use tidings::store::{Append, DatabaseStore, EventStore as _, ExpectedVersion, StoreOptions};
///
/// let database = Database::connect(DatabaseOptions::new("sqlite:events.db").migrate(true)).await?;
/// DatabaseStore::migrate(&database).await?;
/// let store = DatabaseStore::open(&database, StoreOptions::default()).await?;
/// let appended = store.append(Append::new([event], ExpectedVersion::None)).await?;
/// assert_eq!(appended.last.sequence, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DatabaseStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// The connections of what works by itself.
    apart: Pool,
    options: StoreOptions,
    /// `None` once closed.
    lanes: Mutex<Option<Vec<mpsc::UnboundedSender<Job>>>>,
    progress: Vec<Arc<LaneProgress>>,
    room: Arc<Room>,
    pages: Arc<PageBudget>,
    awaited: Arc<Awaited>,
    head: watch::Sender<u64>,
    subscriptions: watch::Sender<usize>,
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl DatabaseStore {
    /// Create or change the store's tables in `database`, and those it shares with services: the outbox it forwards from.
    ///
    /// On MySQL with a binary log, creating the triggers that keep the events as they are needs the server's
    /// `log_bin_trust_function_creators`, or a user who may set it.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn migrate(database: &Database) -> Result<(), StoreError> {
        database.migrate().await?;
        database.migrate_set(TableSet::Store).await?;
        Ok(())
    }

    /// Open the store in `database`: from now on it takes events, and takes its turn in giving out positions.
    ///
    /// # Errors
    /// [`StoreError::NotMigrated`]: its tables are missing; [`StoreError::Database`]: it does not answer.
    pub async fn open(database: &Database, options: StoreOptions) -> Result<Self, StoreError> {
        for set in [TableSet::Service, TableSet::Store] {
            database.check_set(set).await.map_err(|error| match error {
                Error::NotMigrated { .. } => StoreError::NotMigrated(error),
                error => StoreError::Database(error),
            })?;
        }
        let options = options.bounded();
        // Where it forwards, its relay says so.
        if !options.forward {
            match durability::warnings(&database.pool).await {
                Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("{warning}")),
                Err(error) => tracing::debug!(%error, "the database's durability settings could not be read"),
            }
        }
        // Lines that die hold up neither this replica nor, with their locks, the others.
        let limits = SessionLimits { idle: SILENCE.max(options.lease_ttl), statement: SILENCE, lock_wait: SILENCE / 3 };
        // One for each lane, one for the sequencer, and one for whoever asks how the database is.
        let connections = u32::try_from(options.lanes + 2).unwrap_or(u32::MAX);
        let apart = Database { pool: database.pool.apart(connections, limits), ..database.clone() };
        let (appended, head) = (watch::Sender::new(0), watch::Sender::new(0));
        let awaited = Arc::<Awaited>::default();
        let progress: Vec<_> = (0..options.lanes).map(|_| Arc::<LaneProgress>::default()).collect();
        let (subscriptions, stop) = (watch::Sender::new(0), watch::Sender::new(false));
        let mut tasks = Vec::new();
        let lanes = progress.iter().map(|progress| {
            let (sender, jobs) = mpsc::unbounded_channel();
            let (database, options) = (apart.clone(), options.clone());
            let (progress, awaited) = (Arc::clone(progress), Arc::clone(&awaited));
            let lane = Lane { database, options, progress, appended: appended.clone(), awaited };
            tasks.push(tokio::spawn(lane.run(jobs)));
            sender
        });
        let lanes = lanes.collect();
        let sequencer = Sequencer {
            pool: apart.pool.clone(),
            keys: KeyLists::new(apart.pool.dialect()),
            owner: Uuid::new_v4().to_string(),
            ttl: options.lease_ttl,
            poll: options.poll,
            head: head.clone(),
            appended: appended.subscribe(),
            subscriptions: subscriptions.subscribe(),
        };
        tasks.push(tokio::spawn(sequencer.run(stop.subscribe())));
        let inner = Inner {
            database: database.clone(),
            apart: apart.pool,
            room: Room::told_as(names::STORE_QUEUED, options.max_queued_events, options.max_queued_bytes),
            pages: PageBudget::new(options.max_page_bytes),
            options,
            lanes: Mutex::new(Some(lanes)),
            progress,
            awaited,
            head,
            subscriptions,
            stop,
            tasks: Mutex::new(tasks),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The database it keeps its events in; its [`Relay`](crate::outbox::Relay) forwards them.
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Take no more events, wait for those under way, at most 10 s, and let another replica give out positions.
    pub async fn close(&self) {
        self.inner.lanes.lock().take();
        self.inner.stop.send_replace(true);
        let tasks = std::mem::take(&mut *self.inner.tasks.lock());
        let deadline = Instant::now() + CLOSING;
        for mut task in tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
        // One that is silent would be waited for.
        let _ = tokio::time::timeout_at(deadline, self.inner.apart.close_apart()).await;
    }

    /// As [`append`](EventStore::append), with an answer by `deadline`.
    ///
    /// # Errors
    /// As there; [`StoreError::Deadline`].
    pub async fn append_by(&self, append: Append, deadline: Option<Instant>) -> Result<Appended, StoreError> {
        let options = &self.inner.options;
        append.check(options.max_event_bytes, options.max_queued_events)?;
        let seat = self.seat(&append.events)?;
        let lane = append.events.first().map_or(0, |event| self.lane_of(event));
        let (reply, answer) = oneshot::channel();
        self.send(lane, Work::Append(append, reply), deadline, seat)?;
        let result = within(deadline, answer).await;
        counted(result)
    }

    /// As [`relay`](EventStore::relay), with an answer by `deadline`.
    ///
    /// # Errors
    /// As there; [`StoreError::Deadline`].
    pub async fn relay_by(&self, events: Vec<NewEvent>, deadline: Option<Instant>) -> Result<Vec<Relayed>, StoreError> {
        let options = &self.inner.options;
        if events.len() > options.max_queued_events {
            let reason = format!("a request of {} events, and {} are allowed", events.len(), options.max_queued_events);
            return Err(StoreError::Invalid { reason });
        }
        for event in &events {
            event.check(options.max_event_bytes)?;
        }
        let seat = self.seat(&events)?;
        let mut results = vec![None; events.len()];
        let mut of_lanes: Vec<(Vec<usize>, Vec<NewEvent>)> = vec![Default::default(); options.lanes];
        for (index, event) in events.into_iter().enumerate() {
            let (indexes, events) = &mut of_lanes[self.lane_of(&event)];
            indexes.push(index);
            events.push(event);
        }
        let mut answers = Vec::new();
        for (lane, (indexes, events)) in
            of_lanes.into_iter().enumerate().filter(|(_, (indexes, _))| !indexes.is_empty())
        {
            let (reply, answer) = oneshot::channel();
            self.send(lane, Work::Relay(events, reply), deadline, Arc::clone(&seat))?;
            answers.push(async move { within(deadline, answer).await.map(|results| (indexes, results)) });
        }
        for (indexes, answers) in try_join_all(answers).await? {
            for (index, answer) in indexes.into_iter().zip(answers) {
                if let Relayed::Refused(refusal) = &answer {
                    metrics::counter!(names::STORE_REFUSED, names::ERROR_TYPE => refusal.kind()).increment(1);
                }
                results[index] = Some(answer);
            }
        }
        results.into_iter().collect::<Option<_>>().ok_or(StoreError::Closed)
    }

    /// Whether its database answers, and soon, and takes what is appended.
    pub(super) async fn is_usable(&self) -> bool {
        if !self.inner.progress.iter().all(|progress| progress.is_fine()) {
            return false;
        }
        // Readers may have all the others in use, and some of those may be silent.
        let answer = tokio::time::timeout(ANSWER, last_position(&self.inner.apart)).await;
        matches!(answer, Ok(Ok(_)))
    }

    /// Whether there is no room for any event.
    pub(super) fn is_full(&self) -> bool {
        self.inner.room.is_full()
    }

    fn seat(&self, events: &[NewEvent]) -> Result<Arc<Seat>, StoreError> {
        let amount = Amount { events: events.len(), bytes: events.iter().map(NewEvent::bytes).sum() };
        let seat = self.inner.room.take(amount).ok_or_else(|| {
            metrics::counter!(names::STORE_OVERLOADED).increment(1);
            StoreError::Overloaded
        })?;
        Ok(Arc::new(seat))
    }

    fn lane_of(&self, event: &NewEvent) -> usize {
        // The streams of a key go through one lane, which is as well: only equal streams must.
        usize::from(bucket_of(event.envelope.stream.as_str())) % self.inner.options.lanes
    }

    fn send(&self, lane: usize, work: Work, deadline: Option<Instant>, seat: Arc<Seat>) -> Result<(), StoreError> {
        let lanes = self.inner.lanes.lock();
        let lane = lanes.as_ref().and_then(|lanes| lanes.get(lane)).ok_or(StoreError::Closed)?;
        lane.send(Job { work, deadline, _seat: seat }).map_err(|_| StoreError::Closed)
    }
}

impl EventStore for DatabaseStore {
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended, StoreError>> {
        self.append_by(append, None).boxed()
    }

    fn relay(&self, events: Vec<NewEvent>) -> BoxFuture<'_, Result<Vec<Relayed>, StoreError>> {
        self.relay_by(events, None).boxed()
    }

    fn stored(&self, id: Uuid) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let find = |ids: Vec<Uuid>| async move { stored_ids(&self.inner.database.pool, &ids).await };
            let stored = self.inner.awaited.wait(id, find).await;
            stored.map_err(|error| StoreError::Unavailable(Box::new(error)))
        }
        .boxed()
    }

    fn read(&self, query: StreamQuery) -> BoxStream<'static, Result<StoredEvent, StoreError>> {
        reading::read(self.inner.database.pool.clone(), query, self.inner.pages.share())
    }

    fn subscribe(&self, subscription: Subscription) -> BoxStream<'static, Result<Notice, StoreError>> {
        let Inner { database, head, subscriptions, pages, .. } = &*self.inner;
        let presence = Presence::new(subscriptions);
        following::follow(database.pool.clone(), subscription, head.subscribe(), presence, pages.share())
    }
}

/// The answer, by the deadline. After that nobody here knows what became of it.
async fn within<T>(
    deadline: Option<Instant>,
    answer: oneshot::Receiver<Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let answer = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, answer).await.map_err(|_| StoreError::Deadline)?,
        None => answer.await,
    };
    answer.map_err(|_| StoreError::Closed)?
}

fn counted<T>(result: Result<T, StoreError>) -> Result<T, StoreError> {
    if let Err(StoreError::Refused(refusal)) = &result {
        metrics::counter!(names::STORE_REFUSED, names::ERROR_TYPE => refusal.kind()).increment(1);
    }
    result
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The lanes end by themselves, with what they have; the sequencer's lease ends.
        for task in self.tasks.get_mut().drain(..).skip(self.options.lanes) {
            task.abort();
        }
    }
}

impl fmt::Debug for DatabaseStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DatabaseStore")
            .field("database", &self.inner.database)
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}
