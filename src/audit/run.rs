//! An audit, from its start to its report.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Instant;

use super::comparison::Comparison;
use super::error::AuditError;
use super::log::Log;
use super::names::{Names, SLOTS};
use super::options::AuditOptions;
use super::origin::Origin;
use super::reading::{Topic, Wish};
use super::report::AuditReport;
use super::state::Progress;
use super::streams::{Sighting, Streams};
use crate::consumer::sequences::place;
use crate::transport::Record;
use crate::transport::kafka::KafkaOptions;

/// After how many records it is looked at memory, the clock, and who watches.
const LOOK: u64 = 8_192;
/// Streams asked for at a time.
const PAGE: usize = 5_000;

/// An audit of a topic: what of each stream is missing, repeated or out of order.
///
/// ```no_run
/// use tidings::audit::{Audit, AuditOptions, Tolerance};
/// use tidings::database::{Database, DatabaseOptions};
/// use tidings::transport::kafka::KafkaOptions;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect(DatabaseOptions::new("mysql://accounts@db.example/accounts")).await?;
/// let report = Audit::new(&KafkaOptions::new("broker-1:9092"), "accounts")
///     .options(AuditOptions::default().state_file("accounts.audit"))
///     .outbox(&database)
///     .run(std::future::pending(), |_| {})
///     .await?;
/// assert!(!report.is_wrong(Tolerance::default().repeats(true)), "{:?}", report.streams);
/// # Ok(())
/// # }
/// ```
pub struct Audit {
    kafka: KafkaOptions,
    topic: String,
    options: AuditOptions,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    outboxes: Vec<crate::database::Database>,
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    store: Option<crate::database::Database>,
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditProgress {
    /// Which pass this is, from 1.
    pub pass: u32,
    /// About the part of the streams, of 256, that is done when this pass is.
    pub covered: u16,
    /// Offsets read in this pass.
    pub read: u64,
    /// Offsets to be read in this pass.
    pub total: u64,
}

impl Audit {
    /// An audit of `topic`.
    pub fn new(kafka: &KafkaOptions, topic: impl Into<String>) -> Self {
        Self {
            kafka: kafka.clone(),
            topic: topic.into(),
            options: AuditOptions::default(),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            outboxes: Vec::new(),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            store: None,
        }
    }

    /// Work as `options` say.
    #[must_use]
    pub fn options(mut self, options: AuditOptions) -> Self {
        self.options = options;
        self
    }

    /// Compare with the outbox of `database`, whose events this topic has: what was committed must be in the topic, in the outbox,
    /// or parked there. Ask the primary: a replica that is behind knows less than the topic. A service with shards calls it for each:
    /// together they answer for all that was committed.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    #[must_use]
    pub fn outbox(mut self, database: &crate::database::Database) -> Self {
        self.outboxes.push(database.clone());
        self
    }

    /// Compare with the event store in `database`, which forwards the events of the source of the topic's name: what is stored must be in
    /// the topic, or in the store's own outbox. With [`outbox`](Self::outbox) too, what was committed there for the store must be in
    /// one of the three. Ask the primary.
    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    #[must_use]
    pub fn store(mut self, database: &crate::database::Database) -> Self {
        self.store = Some(database.clone());
        self
    }

    #[cfg(any(feature = "mysql", feature = "sqlite"))]
    fn origin(&self) -> Option<Box<dyn Origin>> {
        use super::chain::Chain;
        use super::outbox::{Outbox, THROUGH_THE_STORE, TO_KAFKA};
        use super::side_by_side::SideBySide;
        use super::store::Store;
        let outbox = |database: &crate::database::Database, modes| Outbox {
            database: database.clone(),
            topic: self.topic.clone(),
            modes,
        };
        let outboxes = |modes| SideBySide(self.outboxes.iter().map(|database| outbox(database, modes)).collect());
        let store = self.store.as_ref().map(|database| Store { outbox: outbox(database, TO_KAFKA) });
        match (self.outboxes.is_empty(), store) {
            (true, None) => None,
            (false, None) => Some(Box::new(outboxes(TO_KAFKA))),
            (true, Some(store)) => Some(Box::new(store)),
            (false, Some(store)) => Some(Box::new(Chain { first: outboxes(THROUGH_THE_STORE), second: store })),
        }
    }

    #[cfg(not(any(feature = "mysql", feature = "sqlite")))]
    #[expect(clippy::unused_self, reason = "without a database there is none")]
    fn origin(&self) -> Option<Box<dyn Origin>> {
        None
    }

    /// Read the topic to its end, tell `watch` how far it is now and then, and say what was found. It keeps a thread busy, and
    /// writes its state file there: give it a task of its own, or a process.
    ///
    /// # Errors
    /// [`AuditError`]; [`AuditError::Interrupted`] once `shutdown` resolves.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()> + Send,
        watch: impl FnMut(&AuditProgress) + Send,
    ) -> Result<AuditReport, AuditError> {
        let mut shutdown = pin!(shutdown);
        let mut topic = Topic::find(&self.kafka, &self.topic, self.options.timeout).await?;
        let progress = self.begin(&topic).await?;
        let mut auditing = Auditing { audit: &self, progress, watch, saved_at: Instant::now() };
        loop {
            auditing.pass(&mut topic, shutdown.as_mut()).await?;
            let range = auditing.progress.streams.range();
            if range.end >= SLOTS {
                return auditing.end(&topic);
            }
            // About as many of the others fit as did of these.
            let next = range.end..(range.end + (range.end - range.start)).min(SLOTS);
            auditing.progress.streams = Streams::new(auditing.progress.streams.names(), next);
            auditing.progress.log = self.start_of(&topic).await?;
            auditing.save()?;
            topic.look_again().await?;
        }
    }

    async fn begin(&self, topic: &Topic) -> Result<Progress, AuditError> {
        if let Some(path) = self.options.state_file.clone() {
            let name = self.topic.clone();
            let load = path.clone();
            let loaded = tokio::task::spawn_blocking(move || Progress::load(&load, &name)).await??;
            if let Some(progress) = loaded {
                let is_shorter = |extent: &&crate::transport::kafka::reader::Extent| {
                    progress.log.next(extent.partition) > extent.end
                };
                if let Some(extent) = topic.extents().iter().find(is_shorter) {
                    let partition = extent.partition;
                    let reason =
                        format!("partition {partition} of {} ends before what was read: it was made anew", self.topic);
                    return Err(AuditError::State { path, reason });
                }
                return Ok(progress);
            }
        }
        let names = Names::new([rand::random(), rand::random()]);
        let over = AuditReport { topic: self.topic.clone(), ..AuditReport::default() };
        Ok(Progress { streams: Streams::new(names, 0..SLOTS), log: self.start_of(topic).await?, over })
    }

    async fn start_of(&self, topic: &Topic) -> Result<Log, AuditError> {
        Ok(match self.options.since {
            Some(since) => Log::beginning(topic.offsets_at(since.timestamp_millis()).await?),
            None => Log::beginning(topic.extents().iter().map(|extent| (extent.partition, extent.start))),
        })
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Audit")
            .field("topic", &self.topic)
            .field("options", &self.options)
            .field("compared", &self.origin().is_some())
            .finish_non_exhaustive()
    }
}

/// An audit under way.
struct Auditing<'a, W> {
    audit: &'a Audit,
    progress: Progress,
    watch: W,
    saved_at: Instant,
}

type Shutdown<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

impl<W: FnMut(&AuditProgress) + Send> Auditing<'_, W> {
    /// Read the topic for the streams of this pass, and add what was found to the report.
    async fn pass(&mut self, topic: &mut Topic, mut shutdown: Shutdown<'_>) -> Result<(), AuditError> {
        self.read(topic, shutdown.as_mut()).await?;
        let mut comparison = Comparison::default();
        let mut found = AuditReport::default();
        if let Some(origin) = self.audit.origin() {
            let mut after: Option<String> = None;
            loop {
                let mut is_last = false;
                loop {
                    let claims = origin.claims(after.as_deref(), PAGE).await?;
                    is_last |= claims.len() < PAGE;
                    after = claims.last().map(|claim| claim.stream.clone()).or(after);
                    let Progress { streams, log, .. } = &self.progress;
                    let mut room = true;
                    for claim in claims {
                        room &= comparison.claim(streams, log, claim);
                    }
                    if is_last || !room {
                        break;
                    }
                }
                let Progress { streams, log, .. } = &self.progress;
                let mut take = |event| comparison.on_the_way(streams, log, &event);
                origin.unpublished(&mut take).await?;
                if comparison.has_suspects() {
                    topic.look_again().await?;
                    self.read(topic, shutdown.as_mut()).await?;
                }
                comparison.settle(&self.progress.streams, &self.progress.log, &mut found);
                if is_last {
                    break;
                }
            }
        }
        let Progress { streams, log, .. } = &self.progress;
        comparison.tell_flaws(streams, log, &mut found);
        if self.progress.over.passes == 0 && streams.range() == (0..SLOTS) {
            // All streams are there, so the next audit can go on from here.
            self.save()?;
        }
        self.progress.over.add(found);
        Ok(())
    }

    async fn read(&mut self, topic: &Topic, shutdown: Shutdown<'_>) -> Result<(), AuditError> {
        let memory = self.audit.options.memory;
        let ends: BTreeMap<i32, i64> = topic.extents().iter().map(|extent| (extent.partition, extent.end)).collect();
        let from: BTreeMap<i32, i64> =
            ends.keys().map(|partition| (*partition, self.progress.log.next(*partition))).collect();
        let total = ends.iter().map(|(partition, end)| end.saturating_sub(from[partition]).max(0).unsigned_abs()).sum();
        let mut records = 0_u64;
        let read = topic.read(&from, shutdown, |record| {
            self.take(record);
            records += 1;
            if records.is_multiple_of(LOOK) {
                while self.progress.streams.bytes() > memory {
                    self.progress
                        .streams
                        .narrow()
                        .map_err(|_| AuditError::Memory { bytes: memory, topic: self.audit.topic.clone() })?;
                }
                self.look(records, total)?;
            }
            Ok(Wish::GoOn)
        });
        let wish = read.await?;
        if wish == Wish::Stop {
            self.save()?;
            return Err(AuditError::Interrupted { saved: self.audit.options.state_file.is_some() });
        }
        for (partition, end) in ends {
            self.progress.log.reach(partition, end);
        }
        self.look(records, total)
    }

    fn take(&mut self, record: &Record) {
        let Some(unread) = self.progress.log.read(record.partition, record.offset) else { return };
        match place(record) {
            Some(place) => {
                let Record { partition, offset, .. } = *record;
                self.progress.streams.see(Sighting { partition, offset, unread, place });
            }
            None => self.progress.log.unsequenced += 1,
        }
    }

    fn look(&mut self, read: u64, total: u64) -> Result<(), AuditError> {
        let covered = self.progress.streams.range().end;
        (self.watch)(&AuditProgress { pass: self.progress.over.passes + 1, covered, read, total });
        if self.saved_at.elapsed() >= self.audit.options.save_interval {
            self.save()?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), AuditError> {
        self.saved_at = Instant::now();
        match &self.audit.options.state_file {
            Some(path) => self.progress.save(path),
            None => Ok(()),
        }
    }

    fn end(mut self, topic: &Topic) -> Result<AuditReport, AuditError> {
        if let (Some(path), 2..) = (&self.audit.options.state_file, self.progress.over.passes) {
            // Of most streams it knows nothing: it is of no use to the next audit.
            std::fs::remove_file(path).or_else(|source| match source.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(AuditError::StateFile { path: path.clone(), doing: "removed", source }),
            })?;
        }
        let mut report = std::mem::take(&mut self.progress.over);
        report.partitions = topic.extents().len();
        report.totals.unsequenced = self.progress.log.unsequenced;
        report.sort();
        Ok(report)
    }
}
