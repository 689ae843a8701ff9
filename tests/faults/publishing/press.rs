//! A database with an outbox and the topic it is published to, and the proof of what became of its events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidings::audit::{Audit as Auditor, AuditReport};
use tidings::database::sqlx::{self, AssertSqlSafe, Row as _};
use tidings::database::{Database, Error, Transaction};
use tidings::outbox::{KafkaProducers, Relay, RelayHandle, RelayOptions};
use tidings::publisher::{DeliveryMode, Publisher};
use tokio::task::JoinHandle;

use crate::reader::read;
use crate::setting;
use crate::support::chance::tell;
use crate::support::child::Child;
use crate::support::groups::ends;
use crate::support::ledger::{Audit, Ledger, Published};
use crate::support::scene::{Scene, kafka};
use crate::support::scores::ScorePosted;
use crate::support::store::{Player, Store, publishing};
use crate::support::wait::until;

/// How long a relay's buckets stay its own once it says nothing more: what a test must wait.
pub(crate) const LEASE: Duration = Duration::from_secs(3);

/// The settings that say where the databases are.
pub(crate) const MYSQL: &str = "TIDINGS_TEST_DATABASE";
pub(crate) const MARIADB: &str = "TIDINGS_TEST_MARIADB";

/// An outbox and its topic.
pub(crate) struct Press {
    pub(crate) scene: Scene,
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
}

impl Press {
    pub(crate) async fn new() -> Self {
        Self::on(MYSQL, DeliveryMode::Outbox).await
    }

    /// On the server whose address is the setting `server`, with events that travel by `mode`.
    pub(crate) async fn on(server: &str, mode: DeliveryMode) -> Self {
        let (scene, store) = (Scene::new(4).await, Store::on(&setting(server)).await);
        Self { publisher: scene.publisher_in(mode).await, scene, store }
    }

    /// The database, publishing.
    pub(crate) fn database(&self) -> Database {
        publishing(&self.store, &self.publisher)
    }

    /// A child that plays `part` on this outbox.
    pub(crate) fn child(&self, part: &str, more: &[(&str, &str)]) -> Child {
        let (topic, url) = (self.scene.topic(), self.store.url());
        let mut settings = vec![("TOPIC", topic.as_str()), ("DATABASE", url.as_str())];
        settings.extend_from_slice(more);
        Child::start(part, &settings)
    }

    /// A relay in this process.
    pub(crate) fn relay(&self) -> RelayHandle {
        self.relay_as(RelayOptions::default())
    }

    /// The same, as `options` say.
    pub(crate) fn relay_as(&self, options: RelayOptions) -> RelayHandle {
        let options = options.lease_ttl(LEASE);
        Relay::new(&self.database(), KafkaProducers::of(&self.publisher)).options(options).spawn()
    }

    /// Publish what is left.
    pub(crate) async fn drain(&self) {
        let relay = self.relay();
        self.until_empty().await;
        relay.shutdown().await.unwrap();
    }

    /// Wait until nothing is left in the outbox, however long it is, as long as it gets shorter.
    pub(crate) async fn until_empty(&self) {
        let mut before = i64::MAX;
        while before > 0 {
            let look = async || match self.numbers("SELECT COUNT(*), 0 FROM tidings_outbox").await {
                Ok(rows) if rows[0].0 < before => Ok(rows[0].0),
                other => Err(other),
            };
            before = until("the outbox gets shorter", look).await;
        }
    }

    /// Wait until Kafka has `more` records than now.
    pub(crate) async fn progress(&self, more: i64) {
        const STEP: i64 = 2_000;
        let now = async || ends(&self.scene).await.iter().sum::<i64>();
        let goal = now().await + more;
        let mut reached = goal - more;
        while reached < goal {
            let next = goal.min(reached + STEP);
            let look = async || {
                let now = now().await;
                if now >= next { Ok(now) } else { Err(now) }
            };
            reached = until("relays go on", look).await;
        }
    }

    /// Two columns of whole numbers; a database that is away is an error.
    pub(crate) async fn numbers(&self, sql: &str) -> Result<Vec<(i64, i64)>, sqlx::Error> {
        let query = sqlx::query(AssertSqlSafe(sql.to_owned()));
        let rows = query.fetch_all(self.store.database.mysql_pool().unwrap()).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        sql.execute(self.store.database.mysql_pool().unwrap()).await.unwrap();
    }

    /// How many events each stream has, by the players' rows: what is true.
    pub(crate) async fn committed(&self) -> Published {
        let look = async || self.numbers("SELECT id, scores FROM player").await;
        let players = until("the database answers", look).await;
        players.into_iter().map(|(player, scores)| (format!("Player/{player}"), scores)).collect()
    }

    /// Read the whole topic, and compare it with what was committed; and have the auditor do the same.
    pub(crate) async fn proof(&self, what: &str) -> Proof {
        let published = self.committed().await;
        let records = usize::try_from(ends(&self.scene).await.iter().sum::<i64>()).unwrap();
        let (topic, partitions) = (self.scene.topic(), self.scene.partitions());
        let reading = move || read(&setting("TIDINGS_TEST_BROKERS"), &topic, partitions, records);
        let seen = tokio::task::spawn_blocking(reading).await.unwrap();
        let (ledger, mut ids, mut unrecognised) = (Ledger::default(), BTreeMap::new(), 0);
        for record in seen {
            let headers = record.text_headers();
            let (stream, sequence) = (headers["ce_subject"].to_owned(), headers["ce_sequence"].parse().unwrap());
            ledger.note(stream.clone(), sequence);
            let content = (headers["ce_id"].to_owned(), record.payload.clone());
            let first = ids.entry((stream, sequence)).or_insert_with(|| content.clone());
            unrecognised += usize::from(*first != content);
        }
        let auditor = Auditor::new(&kafka(), self.scene.topic()).outbox(&self.store.database);
        let auditor = auditor.run(std::future::pending(), |_| {}).await.unwrap();
        let committed = published.values().sum();
        let proof = Proof { committed, records, ledger: ledger.audit(&published), unrecognised, auditor };
        tell(&format!("{what}: {committed} committed, {records} records, {:?}", proof.ledger));
        proof
    }
}

/// What became of the events of an outbox.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) committed: i64,
    pub(crate) records: usize,
    /// What the ledger says, which knows what was committed.
    pub(crate) ledger: Audit,
    /// Records that have a sequence of another event.
    pub(crate) unrecognised: usize,
    /// What the auditor says.
    pub(crate) auditor: AuditReport,
}

impl Proof {
    /// And no more came again than the relays that were disturbed had under way.
    pub(crate) fn assert_repeats(&self, at_most: usize) {
        assert!(self.ledger.repeated <= at_most, "at most {at_most} may come again: {self:?}");
    }

    /// Nothing is lost, nothing came out of order, and every repeat is recognised by its sequence; the auditor agrees.
    pub(crate) fn assert_sound(&self) {
        let Audit { lost, out_of_order, repeated, invented } = self.ledger;
        assert_eq!((lost, out_of_order, invented, self.unrecognised), (0, 0, 0, 0), "{self:?}");
        assert!(self.committed > 0, "{self:?}");
        assert_eq!(self.records, usize::try_from(self.committed).unwrap() + repeated, "{self:?}");
        let totals = self.auditor.totals;
        assert_eq!((totals.missing, totals.out_of_order, totals.forked, totals.unknown), (0, 0, 0, 0), "{self:?}");
        assert_eq!((totals.repeated, totals.waiting, totals.parked), (repeated as u64, 0, 0), "{self:?}");
    }
}

/// Relays that may have at most this many rows under way, be it read, sent, or yet to be deleted. Only those can come again.
pub(crate) fn with_few_under_way(rows: usize) -> RelayOptions {
    RelayOptions::default().max_in_flight_rows(rows).fetch_rows(rows)
}

/// Post `player`'s next `count` scores in one transaction of `database`.
pub(crate) async fn post_many(database: &Database, player: i64, count: i64) -> Result<i64, Error> {
    let post = async |tx: Transaction, found: Option<Player>| {
        let before = found.map_or(0, |found| found.scores);
        tx.save(&Player { id: player, scores: before + count });
        for serial in before + 1..=before + count {
            tx.publish(&ScorePosted::new(player, serial));
        }
        Ok(before + count)
    };
    database.atomically(&player, post).await
}

/// Writers that post until they are told to stop.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    writers: Vec<JoinHandle<Written>>,
}

/// What a writer, or all of them, did.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    /// Transactions that were said to be committed.
    pub(crate) committed: i64,
    /// Transactions of which nobody can tell.
    pub(crate) unknown: i64,
    /// Transactions that failed.
    pub(crate) failed: i64,
}

/// How a [`Load`] writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) players: i64,
    /// Events of a transaction.
    pub(crate) events: i64,
    pub(crate) pause: Duration,
}

impl Pace {
    /// Some hundred transactions a second.
    pub(crate) const GENTLE: Self = Self { players: 16, events: 2, pause: Duration::from_millis(40) };
    /// As many events as a machine takes while it also relays them.
    pub(crate) const HARD: Self = Self { players: 24, events: 25, pause: Duration::from_millis(60) };
}

impl Load {
    pub(crate) fn begin(database: &Database, pace: Pace) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let writer = |player| {
            let (database, over) = (database.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut written = Written::default();
                let mut ticks = tokio::time::interval(pace.pause);
                while !over.load(Ordering::Acquire) {
                    ticks.tick().await;
                    match post_many(&database, player, pace.events).await {
                        Ok(_) => written.committed += 1,
                        Err(Error::CommitUnknown { .. }) => written.unknown += 1,
                        // The database is away; the next one comes.
                        Err(_) => written.failed += 1,
                    }
                }
                written
            })
        };
        Self { writers: (0..pace.players).map(writer).collect(), over }
    }

    pub(crate) async fn end(self) -> Written {
        self.over.store(true, Ordering::Release);
        let mut all = Written::default();
        for writer in self.writers {
            let written = writer.await.unwrap();
            all.committed += written.committed;
            all.unknown += written.unknown;
            all.failed += written.failed;
        }
        all
    }
}
